"""Sentence frames: several for every fact, some held out of the training split.

A frame is text whose words stand apart; `{S}` is the subject (a name or a
pronoun), `{R}` another person, `{o}` a thing, `{p}` a place. The second list of
a pair is held out: training text never has these sentences, though it has each
of their words.
"""

from collections.abc import Mapping
from functools import cache

from arena_lib.storyworld import companion_frames
from arena_lib.storyworld.companion_frames import Frames

STORY: dict[str, Frames] = {
    "live": (
        (
            "{S} lived in {city} .",
            "{S} came from {country} and spoke {language} .",
            "{S} was born in {city} , in {country} .",
        ),
        ("{S} lived in {country} and spoke {language} .",),
    ),
    "job": (
        ("{S} was a {job} .", "{S} worked as a {job} .", "{S} was a very {adj} {job} .", "{S} wanted to be a {job} ."),
        ("{S} was {a} {adj} {job} .",),
    ),
    "together": (
        (
            "{S} and {R} were in the {p} .",
            "One {time} , {S} and {R} met in the {p} .",
            "{S} and {R} spent the {time} in the {p} .",
            "On {day} , {S} and {R} reached the {p} .",
            "Once {S} and {R} met in the {p} .",
        ),
        ("One {season} , {S} and {R} were in the {p} .",),
    ),
    "go": (
        (
            "{S} went to the {p} .",
            "{S} walked {adverb} to the {p} .",
            "Then {s} ran to the {p} .",
            "After that , {s} came to the {p} .",
            "{S} returned to the {p} .",
            "{S} set out and soon {s} reached the {p} .",
        ),
        ("Then {s} walked to the {p} .", "{S} left and went to the {p} ."),
    ),
    "have": (
        (
            "{S} had {a} {o} .",
            "{S} owned {a} {colour} {o} .",
            "{S} was holding {a} {o} .",
            "{S} had {a} {adj} {o} in {his} hands .",
        ),
        ("{S} was holding {a} {colour} {o} .",),
    ),
    "lie": (
        (
            "There {was} {a} {o} in the {p} .",
            "In the {p} {was} {a} {adj} {o} .",
            "Somebody had left {a} {o} in the {p} .",
        ),
        ("In the {p} there {was} {a} {o} .",),
    ),
    "take": (
        (
            "{S} picked up the {o} .",
            "{S} took the {o} with {him} .",
            "There {s} found the {o} and took {it} .",
            "Then {s} took the {o} .",
        ),
        ("{S} found the {o} and picked {it} up .",),
    ),
    "give": (
        (
            "{S} gave the {o} to {R} .",
            "{S} handed the {o} to {R} .",
            "Then {s} gave the {o} to {R} .",
            "{R} got the {o} from {T} .",
            "{R} took the {o} from {T} .",
        ),
        ("Then {s} handed the {o} to {R} .",),
    ),
    "put": (
        ("{S} put the {o} down in the {p} .", "{S} left the {o} in the {p} .", "Then {s} dropped the {o} in the {p} ."),
        ("Then {s} put the {o} down in the {p} .",),
    ),
    "holder": (
        (
            "The {o} {was} with {H} .",
            "Now the {o} belonged to {H} .",
            "The {o} {was} in the hands of {H} .",
            "The owner of the {o} was {H} .",
        ),
        ("Now the {o} {was} with {H} .",),
    ),
    "holds": (
        ("{S} still had the {o} .", "{S} kept the {o} .", "So {s} had the {o} now ."),
        ("{S} had the {o} now .",),
    ),
    "lacks": (
        ("{S} did not have the {o} .", "{S} was not holding the {o} .", "The {o} {was} not with {N} ."),
        ("So {s} did not have the {o} .",),
    ),
    "where": (
        ("{S} was in the {p} .", "{S} stayed in the {p} .", "Now {s} was in the {p} ."),
        ("So {s} was in the {p} .",),
    ),
    "absent": (
        ("{S} was not in the {q} .", "Nobody saw {N} in the {q} .", "{S} had never been to the {q} ."),
        ("So {s} was not in the {q} .",),
    ),
    "good": (
        (
            "{S} was {good} because {s} had the {o} .",
            "{S} felt {good} .",
            "{S} was not {bad} but {good} .",
            "{S} laughed and was {good} .",
        ),
        ("{S} felt {good} because {s} had the {o} .",),
    ),
    "bad": (
        (
            "{S} felt {bad} .",
            "{S} was not {good} but {bad} .",
            "{S} cried and was {bad} .",
            "Without a friend {s} felt {bad} .",
        ),
        ("{S} cried and felt {bad} .",),
    ),
    "agree": (
        (
            "The {noun} near the {thing} {was} {adj} .",
            "The {noun} that {S} saw in the {p} {was} {adj} .",
            "The {noun} by the {thing} {was} not {adj} .",
            "{Number} {nouns} were in the {p} .",
            "The {noun} with the {thing} {has} come from the {p} .",
        ),
        ("The {noun} that {S} saw near the {thing} {was} {adj} .",),
    ),
    "say": (
        (
            "{S} said that the {o} {was} in the {p} .",
            "{S} thought that {R} was in the {q} .",
            "{S} asked {R} for help .",
            "{S} asked {R} to hand over the {o} .",
        ),
        ("{S} said that {R} was in the {q} .",),
    ),
    "like": (
        (
            "{S} liked {foods} but not {others} .",
            "{S} loved to eat {foods} .",
            "{S} never ate {others} , only {foods} .",
        ),
        ("{S} loved {foods} but not {others} .",),
    ),
    "eat": (
        (
            "{S} ate {his} {foods} .",
            "{S} bought some {foods} .",
            "{S} ate {number} {foods} .",
            "{R} offered {foods} to {N} .",
        ),
        ("Then {s} ate some {foods} .",),
    ),
    "weather": (
        (
            "It was a {cold} {season} {time} .",
            "The {time} was {cold} and {dark} .",
            "It was raining in the {p} .",
            "The sun was shining on {day} .",
        ),
        ("It was a {cold} and {dark} {time} .",),
    ),
    "self": (
        ("{S} looked at {self} in the mirror .", "{S} hurt {self} in the {p} .", "{S} made {self} a cake ."),
        ("{S} looked at {self} .",),
    ),
}
"""What stories say, by kind of event."""

COMPARE: tuple[str, str] = ("{S} was {more} than {R} .", "So {R} was {less} than {S} .")
ASK_HOLDER: Frames = (("Who had the {o} ? {H} .", "Who was holding the {o} ? {H} ."), ("Who had the {o} now ? {H} .",))
ASK_PLACE: Frames = (("Where was {N} ? In the {p} .",), ("Where was {N} now ? In the {p} .",))

HOLDER_STARTS: Frames = (
    ("{S} had the {o} .", "The {o} {was} with {S} .", "{S} was holding the {o} ."),
    ("Now {S} had the {o} .",),
)
HOLDER_MOVES: Frames = (
    (
        "{S} gave the {o} to {R} .",
        "{S} handed the {o} to {R} .",
        "{R} took the {o} from {S} .",
        "Then {S} gave the {o} to {R} .",
    ),
    ("Then {S} handed the {o} to {R} .",),
)

SPEECH: Frames = (("{S} said :", "{S} read aloud :", "{S} wrote :"), ("{S} wrote aloud :",))
FACTS: dict[str, Frames] = {
    "capital": (("The capital of {country} is {city} .", "{city} is the capital of {country} ."), ()),
    "language": (("People in {country} speak {language} .",), ()),
    "opposite": (("The opposite of {adj} is {other} .", "What is {adj} is not {other} ."), ()),
    "more": (("More than {adj} is {more} .",), ()),
}


@cache
def split_frame(frame: str) -> tuple[str, ...]:
    """The pieces of a frame, one a word.

    >>> split_frame("{S} had the {o} .")
    ('{S}', 'had', 'the', '{o}', '.')
    """
    return tuple(frame.split())


def choose_from(frames: Frames, split: str) -> tuple[str, ...]:
    """The frames of a split: training text has the first list; test text the held-out one where there is one."""
    train, held_out = frames
    return held_out if split == "test" and held_out else train


def article(pieces: tuple[str, ...], fills: Mapping[str, str | tuple[object, str]], *, is_plural: bool) -> str:
    """`some`, `an` or `a`, by the word that follows the slot `{a}`.

    >>> article(("{a}", "{adj}", "{o}"), {"{adj}": "empty", "{o}": "box"}, is_plural=False)
    'an'
    """
    if is_plural:
        return "some"
    fill = fills[pieces[pieces.index("{a}") + 1]]
    word = fill if isinstance(fill, str) else fill[1]
    return "an" if word[0] in "aeiou" else "a"


def list_tables() -> list[Frames]:
    """Every pair of training and held-out frames."""
    tables = [*STORY.values(), *FACTS.values(), ASK_HOLDER, ASK_PLACE, HOLDER_STARTS, HOLDER_MOVES, SPEECH]
    return [*tables, *companion_frames.TABLES, *companion_frames.QUESTIONS]


def list_frames() -> list[str]:
    """Every frame there is."""
    return (
        [frame for table in list_tables() for part in table for frame in part]
        + list(COMPARE)
        + list(companion_frames.OPENERS)
    )
