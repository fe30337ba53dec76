"""Storyworld's truth about a text: which of its sentences the language has, and which of those say something new.

Storyworld's sentences come from frames (`storyworld.frames`), so whether a sentence is grammatical can be decided: some
frame must fit it, word by word, and its words must agree with each other (`a` or `an` or `some`, `was` or `were`, `her` or
`his`, two different people, two different moods). Grammar is all that is asked, not sense: "Mary was not pleased but cheerful" is
a sentence, though storyworld would sooner say that of a bad mood and a good one. Whether a sentence is true of the story isn't
asked either.

Shapes:  texts (a list) -> rewards "batch"
Source:  own derivation, over the frames of `arena_lib.storyworld`.
Differs: a text that generation cut off in the middle of a sentence isn't blamed for it, if a sentence can begin so.
"""

import re
from collections.abc import Iterator
from functools import cache, lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

from arena_lib.storyworld import companion_frames, lexicon
from arena_lib.storyworld.frames import list_frames, split_frame

Words = tuple[str, ...]

PEOPLE = frozenset(["{S}", "{s}", "{R}", "{N}", "{H}", "{T}", "{A}", "{B}", "{C}", "{D}", "{M}", "{O}"])
"""Slots that a person's name fills."""
SUBJECT_PRONOUNS = {"he": "m", "she": "f"}
PRONOUN_SLOTS = {"{him}": 1, "{his}": 2, "{self}": 3}
"""Which of the four forms in `lexicon.PRONOUNS` fills the slot."""
PLURALS = frozenset(plural for table in (lexicon.THINGS, lexicon.ANIMALS, lexicon.FOODS) for plural in table.values())
MOOD_SLOTS = frozenset({"{good}", "{bad}", "{mood}"})
"""Slots that any mood fits: which of them is good, and which bad, is no question of grammar."""
AGREEING = {"{was}": ("was", "were"), "{has}": ("has", "have"), "{it}": ("it", "them")}
"""Slots filled by the number of what they belong to: one, or several."""


def split_words(text: str) -> Words:
    """The words of a text, punctuation apart.

    >>> split_words("Who had it? Mary.")
    ('Who', 'had', 'it', '?', 'Mary', '.')
    """
    return tuple(re.findall(r"[^\W\d_]+|[^\s\w]|[\d_]", text))


def split_sentences(words: Words) -> tuple[list[Words], Words]:
    """The sentences, each with its full stop, and what stands after the last full stop.

    A question and its answer are one sentence, as in storyworld's frames.

    >>> split_sentences(("Mary", "left", ".", "Tom"))
    ([('Mary', 'left', '.')], ('Tom',))
    """
    sentences, start = [], 0
    for place, word in enumerate(words):
        if word == ".":
            sentences.append(words[start : place + 1])
            start = place + 1
    return sentences, words[start:]


def reward_fn_new_sentences(generated_sample: list[str]) -> Float[Tensor, " batch"]:
    """The share of each text's sentences that are grammatical and not said before in it, from 0 to 1.

    A sentence ends with a full stop. What stands after the last one counts as a sentence too, and as a wrong one, unless a
    grammatical sentence can begin so: then it isn't counted at all. A text without sentences is worth 0.

    >>> reward_fn_new_sentences(["Mary felt glad. Mary felt glad. Then she", "glad glad glad"])
    tensor([0.5000, 0.0000])
    """
    return torch.tensor([_score(split_words(text)) for text in generated_sample])


def _score(words: Words) -> float:
    sentences, rest = split_sentences(words)
    n_wrong_rests = 1 if rest and not begins_sentence(rest) else 0
    n_sentences = len(sentences) + n_wrong_rests
    n_good = sum(is_sentence(sentence) for sentence in set(sentences))
    return n_good / n_sentences if n_sentences else 0.0


@lru_cache(maxsize=50_000)
def is_sentence(words: Words) -> bool:
    """Whether storyworld can say this sentence, given as words with its full stop.

    >>> is_sentence(("Tom", "had", "an", "empty", "box", ".")), is_sentence(("Tom", "had", "a", "empty", "box", "."))
    (True, False)
    """
    if any(agrees(frame, words) for frame in _fitting(_frames_of_length(len(words)), words)):
        return True
    return any(agrees(frame, rest) for rest in _after_openings(words) for frame in _fitting(_transfer_frames(), rest))


@lru_cache(maxsize=50_000)
def begins_sentence(words: Words) -> bool:
    """Whether a sentence of storyworld's can begin with these words; agreement aside."""
    starts = _whole_frames() + _openings()
    if any(fits(frame[: len(words)], words) for frame in starts):
        return True
    return any(fits(frame[: len(rest)], rest) for rest in _after_openings(words) for frame in _transfer_frames())


def fits(frame: Words, words: Words) -> bool:
    """Whether each word is the frame's, or fills its slot."""
    return len(frame) == len(words) and all(
        word in fillers(piece, is_first=place == 0) if piece[0] == "{" else word == piece
        for place, (piece, word) in enumerate(zip(frame, words, strict=True))
    )


def agrees(frame: Words, words: Words) -> bool:
    """Whether the words that fill a frame agree in number, gender and sound, and its people and moods are different ones."""
    filled = dict(zip(frame, words, strict=True))
    moods = [word for slot, word in filled.items() if slot in MOOD_SLOTS]
    return len(set(moods)) == len(moods) and _numbers_agree(frame, words, filled) and _people_agree(filled)


def _numbers_agree(frame: Words, words: Words, filled: dict[str, str]) -> bool:
    is_plural = (filled.get("{noun}") or filled.get("{o}", "")) in PLURALS
    if any(slot in filled and filled[slot] != forms[is_plural] for slot, forms in AGREEING.items()):
        return False
    for place, piece in enumerate(frame):
        if piece == "{a}":
            is_vowel = words[place + 1][0] in "aeiou"
            if words[place] != ("some" if is_plural else "an" if is_vowel else "a"):
                return False
    return True


def _people_agree(filled: dict[str, str]) -> bool:
    people = {slot: word for slot, word in filled.items() if slot in PEOPLE}
    named = [word for slot, word in people.items() if slot != "{s}" or "{S}" not in people]
    if len(set(named)) < len(named):
        return False
    subjects = [people[slot] for slot in ("{S}", "{s}") if slot in people]
    names = {word for word in subjects if word in lexicon.GENDER}
    genders = {lexicon.GENDER.get(word) or SUBJECT_PRONOUNS[word.lower()] for word in subjects}
    for slot, form in PRONOUN_SLOTS.items():
        if slot in filled:
            genders &= {gender for gender, forms in lexicon.PRONOUNS.items() if forms[form] == filled[slot]}
            if not genders:
                return False
    return len(names) <= 1 and len(genders) <= 1


@cache
def fillers(slot: str, *, is_first: bool) -> frozenset[str]:
    """The words that may fill a slot; a pronoun at a sentence's start has a capital."""
    if slot in PEOPLE:
        pronouns = set(SUBJECT_PRONOUNS) if slot == "{s}" else {"He", "She"} if slot == "{S}" and is_first else set()
        return frozenset(lexicon.ALL_NAMES) | pronouns
    if slot in PRONOUN_SLOTS:
        return frozenset(forms[PRONOUN_SLOTS[slot]] for forms in lexicon.PRONOUNS.values())
    if slot in AGREEING:
        return frozenset(AGREEING[slot])
    if slot in MOOD_SLOTS:
        return frozenset(lexicon.GOOD_MOODS + lexicon.BAD_MOODS)
    return frozenset(_WORDS[slot])


_NOUNS = [word for table in (lexicon.ANIMALS, lexicon.FOODS, lexicon.THINGS) for pair in table.items() for word in pair]
_THINGS = [word for pair in lexicon.THINGS.items() for word in pair]
_WORDS: dict[str, list[str] | tuple[str, ...]] = {
    "{a}": ["a", "an", "some"],
    "{o}": _THINGS,
    "{thing}": _THINGS,
    "{noun}": _NOUNS,
    "{nouns}": sorted(PLURALS),
    "{p}": lexicon.PLACES,
    "{q}": lexicon.PLACES,
    "{adj}": lexicon.ADJECTIVES,
    "{other}": lexicon.ADJECTIVES,
    "{trait}": lexicon.PERSON_ADJECTIVES,
    "{more}": list(lexicon.COMPARATIVE.values()),
    "{less}": list(lexicon.COMPARATIVE.values()),
    "{city}": list(lexicon.CAPITAL.values()),
    "{country}": lexicon.COUNTRIES,
    "{language}": list(lexicon.PEOPLE_OF.values()),
    "{job}": lexicon.JOBS,
    "{colour}": lexicon.COLOURS,
    "{foods}": list(lexicon.FOODS.values()),
    "{others}": list(lexicon.FOODS.values()),
    "{number}": lexicon.NUMBERS,
    "{Number}": [number.capitalize() for number in lexicon.NUMBERS],
    "{time}": lexicon.TIMES,
    "{day}": lexicon.DAYS,
    "{season}": lexicon.SEASONS,
    "{adverb}": lexicon.ADVERBS,
    "{cold}": ["cold", "warm", "hot", "cool", "wet", "dry"],
    "{dark}": ["dark", "bright", "calm", "wild", "quiet"],
}
"""Slots that neither a person nor a mood nor agreement fills."""


@cache
def _frames_of_length(n: int) -> tuple[Words, ...]:
    return tuple(frame for frame in _whole_frames() if len(frame) == n)


@cache
def _whole_frames() -> tuple[Words, ...]:
    return tuple(split_frame(frame) for frame in list_frames() if frame.endswith("."))


@cache
def _openings() -> tuple[Words, ...]:
    """What may stand before somebody gives something: `Then`, or a clause."""
    clauses = [frame for table in companion_frames.TABLES for part in table for frame in part if frame.endswith(",")]
    return tuple(split_frame(frame) for frame in [*companion_frames.OPENERS, *clauses])


@cache
def _transfer_frames() -> tuple[Words, ...]:
    tables = companion_frames.TRANSFERS + companion_frames.JOINT_TRANSFERS
    return tuple(split_frame(frame) for part in tables for frame in part)


def _fitting(frames: tuple[Words, ...], words: Words) -> Iterator[Words]:
    return (frame for frame in frames if fits(frame, words))


def _after_openings(words: Words) -> Iterator[Words]:
    """What is left of the words after each opening that fits."""
    for opening in _openings():
        n = len(opening)
        if len(words) > n and words[n] in lexicon.GENDER and fits(opening, words[:n]) and agrees(opening, words[:n]):
            yield words[n:]
