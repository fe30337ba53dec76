"""Rows of tokens for training: documents of every kind mixed by share and packed whole.

Shapes:  rows "n_rows n_ctx"
Raises:  ConfigError for a mixture with an unknown kind or rows that hold no document.
Differs: a row begins with the end-of-text token and holds whole documents, so no
         answer is asked without its context; only a row's last document is cut.
"""

from collections.abc import Iterator, Mapping

import numpy as np
from jaxtyping import Bool, Int

from arena_lib.errors import ConfigError
from arena_lib.storyworld import tasks
from arena_lib.storyworld.choice import Chooser
from arena_lib.storyworld.grammar import tell_story
from arena_lib.storyworld.labels import Document
from arena_lib.storyworld.tokenizer import encode_words, list_vocabulary_words

VERSION = 2
"""Of lexicon, frames, grammar, tasks, tokenizer and split together: any change to what is generated raises it."""

MIXTURE: dict[str, float] = {
    "story": 0.32,
    "indirect_object": 0.12,
    "holders": 0.14,
    "adjectives": 0.09,
    "countries": 0.06,
    "repetition": 0.22,
    "speech": 0.02,
    "facts": 0.02,
    "spelling": 0.01,
}
"""Share of the tokens that documents of each kind have."""
MEAN_LENGTH: dict[str, float] = {
    "story": 60,
    "indirect_object": 29,
    "holders": 33,
    "adjectives": 31,
    "nicknames": 29,
    "company": 26,
    "countries": 31,
    "repetition": 50,
    "speech": 23,
    "facts": 23,
    "spelling": 23,
}
"""Tokens a document has on average; turns shares of tokens into shares of documents."""
ASKING: frozenset[str] = frozenset({"story", "indirect_object", "holders", "company"})
"""Kinds whose few answers are about people; in the other kinds most tokens are answers."""


def tell(kind: str, choose: Chooser, split: str = "train", *, longest: int = tasks.LONGEST_STRING) -> Document:
    """One document of this kind; `longest` bounds a repeated string."""
    words = list(list_vocabulary_words())
    match kind:
        case "story":
            return tell_story(choose, split)
        case "indirect_object":
            return tasks.tell_indirect_object(choose, split)
        case "holders":
            return tasks.tell_holders(choose, split)
        case "nicknames":
            return tasks.tell_indirect_object(choose, split, are_nicknamed=True)
        case "company":
            return tasks.tell_company(choose, split)
        case "adjectives" | "countries":
            return tasks.tell_rule(choose, kind)
        case "repetition":
            return tasks.tell_repetition(choose, words, longest=longest)
        case "speech":
            return tasks.tell_speech(choose, words, split)
        case "facts":
            return tasks.tell_facts(choose)
        case "spelling":
            return tasks.tell_spelling(choose)
    raise ConfigError(f"a kind of document must be one of {', '.join(MIXTURE)}: got {kind!r}. Choose one of them.")


def tell_many(
    choose: Chooser,
    split: str = "train",
    mixture: Mapping[str, float] = MIXTURE,
    *,
    longest: int = tasks.LONGEST_STRING,
) -> Iterator[Document]:
    """Documents without end, of kinds mixed so that each has its share of the tokens."""
    unknown = set(mixture) - set(MEAN_LENGTH)
    if unknown:
        raise ConfigError(
            f"a mixture must name kinds of documents: got {sorted(unknown)}. Choose from {', '.join(MEAN_LENGTH)}."
        )
    weights = {kind: share / MEAN_LENGTH[kind] for kind, share in mixture.items()}
    while True:
        yield tell(choose.weighted(weights), choose, split, longest=longest)


def make_rows(
    n_rows: int,
    n_ctx: int,
    *,
    seed: int,
    split: str = "train",
    mixture: Mapping[str, float] = MIXTURE,
    longest: int = tasks.LONGEST_STRING,
) -> Int[np.ndarray, "n_rows n_ctx"]:
    """Rows of packed documents, the same for the same seed.

    >>> make_rows(2, 16, seed=0).shape
    (2, 16)
    """
    return make_marked_rows(n_rows, n_ctx, seed=seed, split=split, mixture=mixture, longest=longest)[0]


def make_marked_rows(
    n_rows: int,
    n_ctx: int,
    *,
    seed: int,
    split: str = "train",
    mixture: Mapping[str, float] = MIXTURE,
    longest: int = tasks.LONGEST_STRING,
) -> tuple[Int[np.ndarray, "n_rows n_ctx"], Bool[np.ndarray, "n_rows n_ctx"]]:
    """The same rows, and where the answers to questions about people stand in them (`ASKING`)."""
    choose = Chooser("storyworld", VERSION, split, seed)
    rows, places = pack_documents(tell_many(choose, split, mixture, longest=longest), n_rows, n_ctx)
    marks = np.zeros((n_rows, n_ctx), dtype=np.bool_)
    for row_idx, start, document in places:
        if document.kind in ASKING:
            marks[row_idx, [start + i for i in document.answers if start + i < n_ctx]] = True
    return rows, marks


def pack_documents(
    documents: Iterator[Document], n_rows: int, n_ctx: int
) -> tuple[Int[np.ndarray, "n_rows n_ctx"], list[tuple[int, int, Document]]]:
    """Rows of documents one after another, each after an end-of-text token, and where each document lies.

    A place is (row, position of the document's first word, document): word i stands at position + i, unless the row ends
    before it.
    """
    if n_rows < 1 or n_ctx < 2:
        raise ConfigError(f"n_rows must be at least 1 and n_ctx at least 2: got {n_rows} and {n_ctx}. Ask for more.")
    rows = np.zeros((n_rows, n_ctx), dtype=np.int64)
    places: list[tuple[int, int, Document]] = []
    for row_idx, row in enumerate(rows):
        filled = 0
        while filled < n_ctx:
            document = next(documents)
            tokens = [0, *encode_words(document.words)][: n_ctx - filled]
            row[filled : filled + len(tokens)] = tokens
            places.append((row_idx, filled + 1, document))
            filled += len(tokens)
    return rows, places
