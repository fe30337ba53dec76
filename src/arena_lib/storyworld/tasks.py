"""In-context tasks: the answer follows from the document alone.

Indirect objects, who holds what, rules over word lists, random strings repeated,
words said again, facts stated, and words spelled in bytes.

Source:  indirect objects after Wang et al. 2022, arXiv:2211.00593, section 2; rules
         in context after Todd et al. 2023, arXiv:2310.15213; repeated random tokens
         after Olsson et al. 2022, arXiv:2209.11895; the texts are ours.
Differs: companions may be three, a distractor may be named anywhere, and anybody
         may be named twice, so that no shortcut ("the first name", "the name that
         occurs once") answers.
"""

from arena_lib.storyworld import companion_frames, frames, lexicon
from arena_lib.storyworld.choice import Chooser
from arena_lib.storyworld.frames import article, choose_from, split_frame
from arena_lib.storyworld.labels import PLURAL, SINGULAR, Document
from arena_lib.storyworld.world import Mention, Person, Teller, Thing, World, be

RULES: dict[str, dict[str, dict[str, str]]] = {
    "adjectives": {
        "opposite": lexicon.OPPOSITE,
        "same": {word: word for word in lexicon.OPPOSITE},
        "comparative": lexicon.COMPARATIVE,
    },
    "countries": {
        "capital": lexicon.CAPITAL,
        "same": {word: word for word in lexicon.CAPITAL},
        "people": lexicon.PEOPLE_OF,
    },
}
"""By kind of list: each rule's table. All rules of a kind are over the same words, so zero shots leave it open."""
MIN_PAIRS, MAX_PAIRS = 5, 10
FORMS = {"pair": 0.45, "triple": 0.25, "distractor": 0.3}
"""How many are together, and whether somebody else is spoken of: how often each."""
N_BYTES = 256
LONGEST_STRING = 60


def tell_indirect_object(
    choose: Chooser,
    split: str = "train",
    *,
    frames_of: str | None = None,
    form: str | None = None,
    n_transfers: int | None = None,
    are_nicknamed: bool = False,
) -> Document:
    """Two or three people together; some of them give, up to three times, and the last word is whom to.

    `split` picks the names, `frames_of` the frames (the same split unless given);
    `form` is `"pair"`, `"triple"` or `"distractor"` (any unless given). Who
    `are_nicknamed` go by words that are no names, such as `Peru` or `dogs`: whoever
    reads that must follow who did what, as such words tell nothing.
    """
    frames_of = frames_of or split
    form = form or choose.weighted(FORMS)
    names = choose.sample(lexicon.NICKNAMES if are_nicknamed else lexicon.names_of(split), 3)
    people = [Person(i, name) for i, name in enumerate(names if form != "pair" else names[:2])]
    teller = Teller(World(people, []))
    n_transfers = n_transfers or choose.weighted({1: 0.5, 2: 0.3, 3: 0.2})
    return _Companions(choose, teller, people, frames_of, form).tell(n_transfers)


def tell_company(choose: Chooser, split: str = "train") -> Document:
    """Two or three people are together, and a question asks who is with one of them, or with two of three.

    Training text has the held-out names here too: nobody gives or gets anything.
    """
    form = choose.weighted(FORMS)
    names = choose.sample(lexicon.ALL_NAMES if split == "train" else lexicon.names_of(split), 3)
    people = [Person(i, name) for i, name in enumerate(names if form != "pair" else names[:2])]
    return _Companions(choose, Teller(World(people, [])), people, split, form).ask()


class _Companions:
    """One document about companions while it is being told."""

    def __init__(self, choose: Chooser, teller: Teller, people: list[Person], split: str, form: str) -> None:
        self.choose, self.teller, self.people, self.split, self.form = choose, teller, people, split, form
        self.place = choose.pick(lexicon.PLACES)
        self.n_present = 3 if form == "triple" else 2

    def tell(self, n_transfers: int) -> Document:
        """Who is together, and then what they give each other."""
        clause = self._begin(is_clause_allowed=True)
        for _ in range(n_transfers):
            giver, recipient = self.choose.sample(self.people[: self.n_present], 2)
            self._transfer(giver, recipient, clause)
            clause = False
        return self.teller.finish(
            "indirect_object",
            form=self.form,
            order="giver_first" if giver.idx < recipient.idx else "giver_last",
            correct=recipient.name,
        )

    def ask(self) -> Document:
        """Who is together, and then a question about it."""
        self._begin(is_clause_allowed=False)
        answer, *others = self.choose.sample(self.people[: self.n_present], self.n_present)
        fills: dict[str, str | Mention] = {"{p}": self.place, "{H}": (answer, answer.name)}
        fills |= {slot: (person, person.name) for slot, person in zip(("{N}", "{O}"), others, strict=False)}
        table = companion_frames.ASK_PAIR if len(others) == 1 else companion_frames.ASK_TRIPLE
        pieces = split_frame(self.choose.pick(choose_from(table, self.split)))
        self.teller.say(pieces, fills, subject=answer, answer="{H}")
        return self.teller.finish("company", form=self.form, correct=answer.name)

    def _begin(self, *, is_clause_allowed: bool) -> bool:
        """Say who is together and what is beside the point; True if that is a clause that the transfer goes on."""
        choose = self.choose
        before = self.form == "distractor" and choose.chance(0.4)
        if before:
            self._say(companion_frames.DISTRACTORS)
        clause = self._set_up(is_clause_allowed)
        if not clause:
            for _ in range(choose.weighted({0: 0.4, 1: 0.4, 2: 0.2})):
                self._say(companion_frames.MIDDLES)
            if self.form == "distractor" and not before:
                self._say(companion_frames.DISTRACTORS)
        return clause

    def _set_up(self, is_clause_allowed: bool) -> bool:
        if self.form == "triple":
            table = companion_frames.TRIPLES
        elif self.form == "distractor":
            table = companion_frames.PAIR_SENTENCES
        else:
            table = self.choose.pick((companion_frames.PAIR_CLAUSES, companion_frames.PAIR_SENTENCES))
        options = choose_from(table, self.split)
        if not is_clause_allowed:
            sentences = [frame for frame in options if frame.endswith(".")]
            options = tuple(sentences) or choose_from(companion_frames.PAIR_SENTENCES, self.split)
        frame = self.choose.pick(options)
        for person in self.people[: self.n_present]:
            person.place = self.place
        is_joint = "{A} and {B}" in frame or "{A} , {B} and {C}" in frame
        self.teller.say(
            split_frame(frame), self._fills(), subject=self.people[0], number=PLURAL if is_joint else SINGULAR
        )
        return frame.endswith(",")

    def _say(self, table: frames.Frames) -> None:
        frame = self.choose.pick(choose_from(table, self.split))
        pieces, fills = split_frame(frame), self._fills()
        if "{a}" in pieces:
            fills["{a}"] = article(pieces, fills, is_plural=False)
        self.teller.say(pieces, fills)

    def _transfer(self, giver: Person, recipient: Person, clause: bool) -> None:
        choose = self.choose
        third = [person for person in self.people[: self.n_present] if person is not giver and person is not recipient]
        table = companion_frames.JOINT_TRANSFERS if third else companion_frames.TRANSFERS
        pieces = split_frame(choose.pick(choose_from(table, self.split)))
        if not clause and choose.chance(0.6):
            pieces = split_frame(choose.pick(companion_frames.OPENERS)) + pieces
        fills = self._fills()
        fills |= {"{S}": (giver, giver.name), "{R}": (recipient, recipient.name)}
        if third:
            fills["{T}"] = (third[0], third[0].name)
        if "{a}" in pieces:
            fills["{a}"] = article(pieces, fills, is_plural=False)
        self.teller.say(pieces, fills, subject=giver, number=PLURAL if third else SINGULAR, answer="{R}")

    def _fills(self) -> dict[str, str | Mention]:
        choose, people = self.choose, self.people
        middle = people[choose.between(0, self.n_present - 1)]
        fills: dict[str, str | Mention] = {"{M}": (middle, middle.name), "{p}": self.place}
        for slot, person in zip(("{A}", "{B}", "{C}"), people, strict=False):
            fills[slot] = (person, person.name)
        if self.form == "distractor":
            fills["{D}"] = (people[2], people[2].name)
        words = {
            "q": [place for place in lexicon.PLACES if place != self.place],
            "adj": lexicon.THING_ADJECTIVES,
            "trait": lexicon.PERSON_ADJECTIVES,
            "mood": lexicon.GOOD_MOODS + lexicon.BAD_MOODS,
            "time": lexicon.TIMES,
            "day": lexicon.DAYS,
            "season": lexicon.SEASONS,
            "cold": ("cold", "warm", "hot", "cool", "wet", "dry"),
            "o": tuple(lexicon.THINGS),
            "city": tuple(lexicon.CAPITAL.values()),
            "job": lexicon.JOBS,
            "colour": lexicon.COLOURS,
            "foods": tuple(lexicon.FOODS.values()),
        }
        for slot, options in words.items():
            fills["{" + slot + "}"] = choose.pick(options)
        return fills


def tell_holders(
    choose: Chooser, split: str = "train", *, n_things: int | None = None, n_moves: int | None = None
) -> Document:
    """Two or three things, each held by somebody, change hands; one question asks who has one of them."""
    people = [Person(i, name) for i, name in enumerate(choose.sample(lexicon.names_of(split), 3))]
    words = choose.sample(list(lexicon.THINGS), n_things or choose.between(2, 3))
    things = [Thing(i, word) for i, word in enumerate(words)]
    teller = Teller(World(people, things))
    for thing in things:
        thing.holder = choose.pick(people)
        _say_holding(choose, teller, frames.HOLDER_STARTS, split, thing, thing.holder, thing.holder)
    moves = choose.weighted({0: 0.15, 1: 0.4, 2: 0.3, 3: 0.15}) if n_moves is None else n_moves
    moved: set[int] = set()
    for _ in range(moves):
        thing = choose.pick(things)
        giver = thing.holder
        assert giver is not None
        thing.holder = choose.pick([person for person in people if person is not giver])
        moved.add(thing.idx)
        _say_holding(choose, teller, frames.HOLDER_MOVES, split, thing, giver, thing.holder)
    asked = choose.pick(things)
    assert asked.holder is not None
    pieces = split_frame(choose.pick(choose_from(frames.ASK_HOLDER, split)))
    fills: dict[str, str | Mention] = {"{o}": (asked, asked.word), "{H}": (asked.holder, asked.holder.name)}
    teller.say(pieces, fills, subject=asked.holder, answer="{H}")
    return teller.finish(
        "holders", n_things=len(things), n_moves=moves, moved=int(asked.idx in moved), correct=asked.holder.name
    )


def _say_holding(
    choose: Chooser, teller: Teller, table: frames.Frames, split: str, thing: Thing, giver: Person, holder: Person
) -> None:
    fills: dict[str, str | Mention] = {
        "{S}": (giver, giver.name),
        "{R}": (holder, holder.name),
        "{o}": (thing, thing.word),
        "{was}": be(thing.number),
    }
    pieces = split_frame(choose.pick(choose_from(table, split)))
    teller.say(pieces, fills, subject=holder if pieces[0] == "{R}" else giver)


def tell_rule(
    choose: Chooser, kind: str = "adjectives", *, rule: str | None = None, n_pairs: int | None = None
) -> Document:
    """A list of pairs under one rule, such as `hot : cold , big : small .`; every second word is an answer."""
    rule = rule or choose.pick(tuple(RULES[kind]))
    table = RULES[kind][rule]
    teller = Teller(World([], []))
    words: list[str] = []
    for word in choose.sample(list(table), n_pairs or choose.between(MIN_PAIRS, MAX_PAIRS)):
        teller.answers.append(len(words) + 2)
        words += [word, ":", table[word], ","]
    teller.write([*words[:-1], "."])
    return teller.finish(kind, rule=rule)


def tell_repetition(
    choose: Chooser,
    words: list[str],
    *,
    length: int | None = None,
    n_copies: int | None = None,
    longest: int = LONGEST_STRING,
) -> Document:
    """A random string of words, two to four times over; every copy after the first can be foretold."""
    # Drawn twice so that short strings, from which most is learned, are likelier.
    length = length or choose.between(4, choose.between(4, longest))
    n_copies = n_copies or choose.between(2, 4 if length <= LONGEST_STRING // 2 else 2)
    string = [choose.pick(words) for _ in range(length)]
    teller = Teller(World([], []))
    teller.answers += range(length + 1, length * n_copies)
    teller.write(string * n_copies)
    return teller.finish("repetition", length=length, n_copies=n_copies)


def tell_speech(choose: Chooser, words: list[str], split: str = "train") -> Document:
    """Somebody says a few random words, and somebody says them again."""
    people = [Person(i, name) for i, name in enumerate(choose.sample(lexicon.names_of(split), 2))]
    teller = Teller(World(people, []))
    string = [choose.pick(words) for _ in range(choose.between(3, 10))]
    for person in people:
        teller.say(
            split_frame(choose.pick(choose_from(frames.SPEECH, split))), {"{S}": (person, person.name)}, subject=person
        )
        if person is people[1]:
            teller.answers += range(len(teller.words), len(teller.words) + len(string))
        teller.write([*string, "."])
    return teller.finish("speech", length=len(string))


def tell_facts(choose: Chooser) -> Document:
    """A few facts about countries and adjectives."""
    teller = Teller(World([], []))
    for _ in range(choose.between(2, 5)):
        country, adjective = choose.pick(lexicon.COUNTRIES), choose.pick(lexicon.ADJECTIVES)
        fills: dict[str, str | Mention] = {
            "{country}": country,
            "{city}": lexicon.CAPITAL[country],
            "{language}": lexicon.PEOPLE_OF[country],
            "{adj}": adjective,
            "{other}": lexicon.OPPOSITE[adjective],
            "{more}": lexicon.COMPARATIVE[adjective],
        }
        kind = choose.pick(tuple(frames.FACTS))
        teller.say(split_frame(choose.pick(choose_from(frames.FACTS[kind], "train"))), fills)
    return teller.finish("facts")


def tell_spelling(choose: Chooser) -> Document:
    """Somebody says a word in bytes, and somebody says it again, so that byte tokens are trained too."""
    from arena_lib.storyworld.tokenizer import byte_token

    return tell_speech(choose, [byte_token(value) for value in range(N_BYTES)])
