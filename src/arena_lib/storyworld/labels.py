"""A document of Storyworld and the truth about the world at each of its tokens.

Shapes:  sentence, subject, number, sentiment, refers_to "seq"; holders "seq n_things"; places "seq n_people"
Differs: the state of the world (holders, places) changes at the last token of
         the sentence that tells of the change; the tokens before it carry the
         state as it was.
"""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Int

NOBODY = -1
"""Label of a thing that nobody holds, a token without a subject, a first mention, a place unknown."""
SINGULAR, PLURAL = 0, 1


@dataclass(frozen=True, kw_only=True)
class Labels:
    """What is true at each token of a document; indices are into its `people` and `things`."""

    sentence: Int[np.ndarray, " seq"]
    """Index of the sentence, from 0."""
    subject: Int[np.ndarray, " seq"]
    """Person who is the sentence's subject, or -1."""
    number: Int[np.ndarray, " seq"]
    """Grammatical number of the sentence's subject: 0 singular, 1 plural, -1 none."""
    sentiment: Int[np.ndarray, " seq"]
    """Of the sentence: 1 good, -1 bad, 0 neither."""
    refers_to: Int[np.ndarray, " seq"]
    """Index of the token that last mentioned the same person or thing, or -1."""
    holders: Int[np.ndarray, "seq n_things"]
    """Person who holds each thing, or -1."""
    places: Int[np.ndarray, "seq n_people"]
    """Index into `lexicon.PLACES` of where each person is, or -1."""


@dataclass(frozen=True, kw_only=True)
class Document:
    """Words, their labels, and where context alone decides the next word."""

    kind: str
    """`story`, `indirect_object`, `company`, `holders`, `adjectives`, `countries`, `repetition`, `speech`, `facts` or `spelling`."""
    words: list[str]
    labels: Labels
    people: tuple[str, ...] = ()
    things: tuple[str, ...] = ()
    answers: tuple[int, ...] = ()
    """Indices of the words that are right answers, in order."""
    facts: dict[str, str | int] = field(default_factory=dict)
    """What an evaluation wants to group by: the rule, the order, the number of things."""
