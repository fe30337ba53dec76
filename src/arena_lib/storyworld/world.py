"""The tracked world of one document, and the teller who writes words and labels together."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from arena_lib.storyworld.labels import NOBODY, PLURAL, SINGULAR, Document, Labels
from arena_lib.storyworld.lexicon import GENDER, PLACES, PRONOUNS

Mention = tuple[object, str]
"""What is mentioned, and the word that mentions it."""
_PLACE_INDEX = {place: i for i, place in enumerate(PLACES)}


@dataclass(eq=False)
class Person:
    """One person: where they are and what is known about them."""

    idx: int
    name: str
    place: str | None = None
    mood: int = 0
    likes: str | None = None
    country: str | None = None
    job: str | None = None
    visited: set[str] = field(default_factory=set)
    """Where they have been since the document began."""
    gender: str = field(init=False)
    """`"f"` or `"m"`; empty where the name is none, so that no pronoun stands for it."""

    def __post_init__(self) -> None:
        self.gender = GENDER.get(self.name, "")

    def move_to(self, place: str) -> None:
        """Go somewhere."""
        self.place = place
        self.visited.add(place)


@dataclass(eq=False)
class Thing:
    """One thing (or several alike): who holds it, or else where it is."""

    idx: int
    word: str
    number: int = SINGULAR
    holder: Person | None = None
    place: str | None = None


@dataclass(eq=False)
class World:
    """Who and what there is, and who was mentioned last."""

    people: list[Person]
    things: list[Thing]
    last_subject: Person | None = None
    mentioned: list[Person] = field(default_factory=list)
    """People in the order of their last mention, the latest at the end."""

    def alone_of_gender(self, person: Person) -> bool:
        """Is nobody else in the document of this person's gender?"""
        return all(other is person or other.gender != person.gender for other in self.people)

    def pronoun_is_clear(self, person: Person) -> bool:
        """Would `she` or `he` mean this person: mentioned, and the last of that gender that was?"""
        same = [other for other in self.mentioned if other.gender == person.gender]
        if not same or same[-1] is not person:
            return False
        return self.alone_of_gender(person) or self.last_subject is person

    def mention(self, person: Person) -> None:
        """Note that this person was mentioned just now."""
        if person in self.mentioned:
            self.mentioned.remove(person)
        self.mentioned.append(person)

    def held_by(self, person: Person) -> list[Thing]:
        """What this person holds."""
        return [thing for thing in self.things if thing.holder is person]

    def holders(self) -> list[int]:
        """Index of each thing's holder, or -1."""
        return [NOBODY if thing.holder is None else thing.holder.idx for thing in self.things]

    def places(self) -> list[int]:
        """Index of each person's place, or -1."""
        return [NOBODY if person.place is None else _PLACE_INDEX[person.place] for person in self.people]


class Teller:
    """Writes sentences into one document: words, and the labels beside them."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.words: list[str] = []
        self.answers: list[int] = []
        self._refers: list[int] = []
        self._rows: list[tuple[int, int, int, int]] = []
        self._holders: list[list[int]] = []
        self._places: list[list[int]] = []
        self._last: dict[object, int] = {}
        self._told = (world.holders(), world.places())
        self.n_sentences = 0

    def say(
        self,
        pieces: tuple[str, ...],
        fills: Mapping[str, str | Mention],
        *,
        subject: Person | None = None,
        number: int = NOBODY,
        sentiment: int = 0,
        answer: str = "",
    ) -> None:
        """Write one sentence: literal words, and `{slots}` filled with words or mentions; `answer` is a slot."""
        start = len(self.words)
        for piece in pieces:
            if piece[0] != "{":
                self._write(piece, NOBODY)
                continue
            if piece == answer:
                self.answers.append(len(self.words))
            fill = fills[piece]
            if isinstance(fill, str):
                self._write(fill, NOBODY)
            else:
                self._mention(*fill)
        self._label(start, subject, number, sentiment)

    def write(self, words: list[str]) -> None:
        """Write one sentence of plain words."""
        start = len(self.words)
        self.words += words
        self._refers += [NOBODY] * len(words)
        self._label(start, None, NOBODY, 0)

    def finish(self, kind: str, **facts: str | int) -> Document:
        """The document as it stands."""
        rows = np.array(self._rows, dtype=np.int64).reshape(-1, 4)
        n_tokens = len(self.words)
        labels = Labels(
            sentence=rows[:, 0],
            subject=rows[:, 1],
            number=rows[:, 2],
            sentiment=rows[:, 3],
            refers_to=np.array(self._refers, dtype=np.int64),
            holders=np.array(self._holders, dtype=np.int64).reshape(n_tokens, len(self.world.things)),
            places=np.array(self._places, dtype=np.int64).reshape(n_tokens, len(self.world.people)),
        )
        return Document(
            kind=kind,
            words=self.words,
            labels=labels,
            people=tuple(person.name for person in self.world.people),
            things=tuple(thing.word for thing in self.world.things),
            answers=tuple(self.answers),
            facts=dict(facts),
        )

    def _write(self, word: str, refers_to: int) -> None:
        self.words.append(word)
        self._refers.append(refers_to)

    def _mention(self, entity: object, word: str) -> None:
        earlier = self._last.get(entity, NOBODY)
        self._last[entity] = len(self.words)
        self._write(word, earlier)
        if isinstance(entity, Person):
            self.world.mention(entity)

    def _label(self, start: int, subject: Person | None, number: int, sentiment: int) -> None:
        n_new = len(self.words) - start
        subject_idx = NOBODY if subject is None else subject.idx
        if subject is not None and number == NOBODY:
            number = SINGULAR
        self._rows += [(self.n_sentences, subject_idx, number, sentiment)] * n_new
        now = (self.world.holders(), self.world.places())
        self._holders += [self._told[0]] * (n_new - 1) + [now[0]]
        self._places += [self._told[1]] * (n_new - 1) + [now[1]]
        self._told = now
        self.n_sentences += 1
        self.world.last_subject = subject if subject is not None else self.world.last_subject


def be(number: int) -> str:
    """`was` or `were`."""
    return "were" if number == PLURAL else "was"


def subject_word(world: World, person: Person, *, pronoun: bool, first: bool = True) -> str:
    """The word for a person as a subject: the name, or the pronoun, with a capital at a sentence's start."""
    if not pronoun or not world.pronoun_is_clear(person):
        return person.name
    word = PRONOUNS[person.gender][0]
    return word.capitalize() if first else word
