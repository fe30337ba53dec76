"""What is true at each token of Storyworld, as classes: the answers that a latent or a probe is scored against.

Three tiers, from easy to hard:

    token    the token itself says it: this name, a word of mood, a full stop
    local    its neighbours say it: the word after a name; the next word is an answer
    carried  only what came before says it: the sentence's subject, who holds the thing last named, where the subject
             is, the sentence's sentiment, the kind of text, a subject of several people

A carried variable isn't counted at the words that state it themselves: where the token is a name, finding "the subject
is Julia" would be reading the token.

Shapes:  tokens, values, is_counted "n_rows seq"
Raises:  UnknownNameError for a variable that isn't known.
Source:  own derivation, from the state that Storyworld's grammar keeps.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from arena_lib.errors import UnknownNameError
from arena_lib.storyworld import lexicon
from arena_lib.storyworld.choice import Chooser
from arena_lib.storyworld.corpus import MIXTURE, VERSION, pack_documents, tell_many
from arena_lib.storyworld.labels import NOBODY, PLURAL, Document

Tier = Literal["token", "local", "carried"]
NONE = -1
"""Value of a token that belongs to no class of a variable."""
MOODS = dict.fromkeys(lexicon.GOOD_MOODS, "good") | dict.fromkeys(lexicon.BAD_MOODS, "bad")
MOOD_CLASSES = ("good", "bad")
KINDS = tuple(MIXTURE)


@dataclass(frozen=True)
class Variable:
    """One thing that is true or not at each token, with its classes."""

    name: str
    """What it says, as in "subject"."""
    tier: Tier
    """Where the answer lies."""
    classes: tuple[str, ...]
    """The values that it takes beside none."""
    values: Int[Tensor, "n_rows seq"]
    """Index into `classes`, or -1 for none of them."""
    is_counted: Bool[Tensor, "n_rows seq"]
    """Where it is scored."""


@dataclass(frozen=True)
class LabelledRows:
    """Rows of tokens and every variable of them."""

    tokens: Int[Tensor, "n_rows seq"]
    variables: tuple[Variable, ...]


ReadDocument = Callable[[Document], tuple[Sequence[str | None], Sequence[bool]]]
"""Of each word of a document: the class, or None, and whether it is counted."""


def make_labelled_rows(
    n_rows: int, seq: int = 128, *, seed: int, variables: Sequence[str] | None = None
) -> LabelledRows:
    """Rows packed as the models' training rows are, of worlds that no training row tells of; `variables` asks for these alone.

    >>> rows = make_labelled_rows(2, 16, seed=0)
    >>> [variable.name for variable in rows.variables][:3]
    ['name', 'mood word', 'full stop']
    """
    choose = Chooser("storyworld labelled", VERSION, seed)
    tokens, places = pack_documents(tell_many(choose), n_rows, seq)
    labelled = []
    for name in VARIABLES if variables is None else variables:
        if name not in VARIABLES:
            raise UnknownNameError("variable", name, VARIABLES)
        tier, classes, read = VARIABLES[name]
        values = np.full((n_rows, seq), NONE)
        is_counted = np.zeros((n_rows, seq), dtype=np.bool_)
        index = {label: idx for idx, label in enumerate(classes)}
        for row_idx, start, document in places:
            labels, counts = read(document)
            n_words = min(len(labels), seq - start)
            values[row_idx, start : start + n_words] = [
                NONE if label is None else index[label] for label in labels[:n_words]
            ]
            is_counted[row_idx, start : start + n_words] = counts[:n_words]
        labelled.append(Variable(name, tier, classes, torch.from_numpy(values), torch.from_numpy(is_counted)))
    return LabelledRows(torch.from_numpy(tokens), tuple(labelled))


def iterate_labels(variable: Variable) -> Iterator[tuple[str, Bool[Tensor, "n_rows seq"]]]:
    """Each class of a variable with a name of its own, and where it holds."""
    for idx, label in enumerate(variable.classes):
        yield (variable.name if label == "yes" else f"{variable.name}: {label}"), variable.values == idx


def everywhere(document: Document) -> list[bool]:
    """Every word is counted."""
    return [True] * len(document.words)


def read_name(document: Document) -> tuple[list[str | None], list[bool]]:
    """The name that this word is."""
    return [word if word in lexicon.GENDER else None for word in document.words], everywhere(document)


def read_mood(document: Document) -> tuple[list[str | None], list[bool]]:
    """Whether this word is one of good or of bad mood."""
    return [MOODS.get(word) for word in document.words], everywhere(document)


def read_full_stop(document: Document) -> tuple[list[str | None], list[bool]]:
    """Whether this word is a full stop."""
    return ["yes" if word == "." else None for word in document.words], everywhere(document)


def read_after_name(document: Document) -> tuple[list[str | None], list[bool]]:
    """Whether the word before this one is a name."""
    before = [None, *document.words[:-1]]
    return ["yes" if word in lexicon.GENDER else None for word in before], everywhere(document)


def read_next_is_answer(document: Document) -> tuple[list[str | None], list[bool]]:
    """Whether the word after this one is a right answer that only context decides."""
    answers = {idx - 1 for idx in document.answers}
    return ["yes" if idx in answers else None for idx in range(len(document.words))], everywhere(document)


def read_subject(document: Document) -> tuple[list[str | None], list[bool]]:
    """The name of the sentence's subject, at words that are no names."""
    subjects = [document.people[idx] if idx != NOBODY else None for idx in document.labels.subject]
    return subjects, [word not in lexicon.GENDER for word in document.words]


def read_place(document: Document) -> tuple[list[str | None], list[bool]]:
    """Where the sentence's subject is, as far as it was told, at words that are no places."""
    places: list[str | None] = []
    for idx, where in zip(document.labels.subject, document.labels.places, strict=True):
        known = idx != NOBODY and where[idx] != NOBODY
        places.append(lexicon.PLACES[where[idx]] if known else None)
    return places, [word not in lexicon.PLACES for word in document.words]


def read_holder(document: Document) -> tuple[list[str | None], list[bool]]:
    """Who holds the thing that was named last, at words that are no names."""
    holders: list[str | None] = []
    last = None
    for idx, word in enumerate(document.words):
        if word in document.things:
            last = document.things.index(word)
        holder = NOBODY if last is None else document.labels.holders[idx, last]
        holders.append(None if holder == NOBODY else document.people[holder])
    return holders, [word not in lexicon.GENDER for word in document.words]


def read_sentiment(document: Document) -> tuple[list[str | None], list[bool]]:
    """The sentence's sentiment, at words after the one of mood: before it nothing tells."""
    feelings: list[str | None] = []
    counted: list[bool] = []
    told_in = None
    for word, sentence, feeling in zip(
        document.words, document.labels.sentence, document.labels.sentiment, strict=True
    ):
        is_told = bool(told_in == sentence)
        feelings.append({1: "good", -1: "bad"}.get(int(feeling)) if is_told else None)
        counted.append(bool(is_told or feeling == 0))
        told_in = sentence if word in MOODS else told_in
    return feelings, counted


def read_kind(document: Document) -> tuple[list[str | None], list[bool]]:
    """What kind of text this is."""
    return [document.kind] * len(document.words), everywhere(document)


def read_plural(document: Document) -> tuple[list[str | None], list[bool]]:
    """Whether the sentence's subject is several people or things, at words that are no names."""
    number = ["yes" if value == PLURAL else None for value in document.labels.number]
    return number, [word not in lexicon.GENDER for word in document.words]


VARIABLES: dict[str, tuple[Tier, tuple[str, ...], ReadDocument]] = {
    "name": ("token", lexicon.ALL_NAMES, read_name),
    "mood word": ("token", MOOD_CLASSES, read_mood),
    "full stop": ("token", ("yes",), read_full_stop),
    "after a name": ("local", ("yes",), read_after_name),
    "the next word is an answer": ("local", ("yes",), read_next_is_answer),
    "subject": ("carried", lexicon.ALL_NAMES, read_subject),
    "place of the subject": ("carried", lexicon.PLACES, read_place),
    "holder of the thing named last": ("carried", lexicon.ALL_NAMES, read_holder),
    "sentiment": ("carried", MOOD_CLASSES, read_sentiment),
    "kind of text": ("carried", KINDS, read_kind),
    "plural subject": ("carried", ("yes",), read_plural),
}
"""Every variable: its tier, its classes, how it is read of a document."""
