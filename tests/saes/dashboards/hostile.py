"""Texts that would do something on a page that didn't take care, and dashboards that are full of them."""

from html.parser import HTMLParser

from arena_lib.saes.analysis.activations.examples import Example
from arena_lib.saes.analysis.directions.logits import TokenEffects
from arena_lib.saes.dashboards.collecting import LatentDashboard, Neighbour

HOSTILE = (
    "<script>window.acted = 1</script>",
    '"><img src=x onerror="window.acted = 1">',
    "' onmouseover='window.acted = 1",
    "</script></style></title></textarea><svg onload=window.acted=1>",
    "<!-- ",
    "]]>",
    "&lt;b&gt; &#60;",
    "javascript:window.acted=1",
    "\u202egnp.exe",
    "مرحبا ",
    "\x00\x1b[31m\x7f",
    "\ud800",
    "line\u2028break\n\r\t",
    "`${window.acted = 1}`",
    "",
    " ",
    "é́́́",
    "👩\u200d🔬",
)


def make_dashboard(latent_idx: int = 7, text: str | None = None) -> LatentDashboard:
    """A latent whose every text is hostile, or one that is only `text`."""
    tokens = list(HOSTILE) if text is None else [text]
    acts = [float(i) for i in range(len(tokens))]
    examples = [Example(acts[-1] or 1.0, tokens, len(tokens) - 1, acts)]
    pairs = [(token, float(i) - 3) for i, token in enumerate(tokens)]
    joined = "".join(tokens)
    return LatentDashboard(
        latent_idx=latent_idx,
        origin={"model": joined, joined: "hook"},
        explanation=joined,
        n_tokens=1000,
        n_active=17,
        counts=[10, 0, 7],
        edges=[0.0, 1.0, 2.0, 3.0],
        top=examples,
        quantiles=[examples, []],
        logits=TokenEffects(pairs, pairs),
        deembeddings=TokenEffects(pairs, []),
        decoder_neighbours=[Neighbour(3, 0.5)],
        encoder_neighbours=[Neighbour(4, -0.25)],
    )


class Reading(HTMLParser):
    """What a page holds: its tags, its attributes, its texts by the element that they are in."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        self.open.append(tag)

    def handle_endtag(self, tag):
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data):
        if not self.open or self.open[-1] not in ("style", "script"):
            self.texts.append(data)

    @property
    def text(self) -> str:
        return "".join(self.texts)
