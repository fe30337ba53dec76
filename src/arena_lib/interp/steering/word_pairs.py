"""Pairs of English words that in-context tasks of real models are made of.

In the vocabularies of GPT-2's kind each word here is one token, with the space in front.

Source:  own choice of common words.
"""


def _pairs(text: str) -> tuple[tuple[str, str], ...]:
    return tuple((x, y) for x, y in (pair.split("/") for pair in text.split()))


ANTONYMS: tuple[tuple[str, str], ...] = _pairs(
    """hot/cold big/small old/new happy/sad fast/slow hard/soft dark/light strong/weak rich/poor high/low long/short
    wide/narrow deep/shallow clean/dirty wet/dry open/closed full/empty true/false good/bad early/late near/far up/down
    left/right in/out day/night black/white love/hate begin/end start/finish first/last win/lose buy/sell push/pull
    male/female boy/girl king/queen north/south east/west above/below before/after inside/outside more/less
    always/never same/different safe/dangerous simple/complex easy/difficult thick/thin warm/cool bright/dim
    smooth/rough tight/loose cheap/expensive major/minor positive/negative public/private import/export
    increase/decrease success/failure question/answer life/death war/peace alive/dead present/absent future/past
    top/bottom front/back summer/winter friend/enemy give/take come/go rise/fall accept/reject maximum/minimum
    internal/external active/passive upper/lower many/few"""
)
"""Words and their opposites, each in one pair only."""
