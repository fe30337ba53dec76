"""The stories: events that the tracked world allows, each told in one of several frames.

Every sentence is true of the world when it is told (negations too), and every
event changes the world, so what a later sentence can say follows from the
earlier ones.

Differs: test stories use held-out frames where an event has them, and only
         there do people with held-out names give or get things.
"""

from collections.abc import Callable, Mapping

from arena_lib.storyworld import lexicon
from arena_lib.storyworld.choice import Chooser
from arena_lib.storyworld.frames import ASK_HOLDER, ASK_PLACE, COMPARE, STORY, article, choose_from, split_frame
from arena_lib.storyworld.labels import PLURAL, SINGULAR, Document
from arena_lib.storyworld.world import Mention, Person, Teller, Thing, World, be, subject_word

MIN_SENTENCES, MAX_SENTENCES = 3, 12
PRONOUN_SHARE = 0.65
"""How often a clear pronoun stands for a name."""
SAME_SUBJECT_SHARE = 0.5
PLURAL_SHARE = 0.25


class Story:
    """One story while it is being told."""

    def __init__(self, choose: Chooser, split: str) -> None:
        names = choose.sample(lexicon.ALL_NAMES if split == "train" else lexicon.names_of("test"), choose.between(2, 3))
        self.people = [Person(i, name) for i, name in enumerate(names)]
        self.things = [
            self._make_thing(choose, i, word)
            for i, word in enumerate(choose.sample(list(lexicon.THINGS), choose.between(2, 3)))
        ]
        self.choose, self.split = choose, split
        self.world = World(self.people, self.things)
        self.teller = Teller(self.world)
        self.fresh = list(self.things)
        """Things that have not been spoken of."""
        self.compared: set[str] = set()
        """Adjectives that a comparison has used, so that none contradicts another."""
        self.may_give = split == "test" or not any(name in lexicon.HELD_OUT_NAMES for name in names)

    @staticmethod
    def _make_thing(choose: Chooser, idx: int, word: str) -> Thing:
        if choose.chance(PLURAL_SHARE):
            return Thing(idx, lexicon.THINGS[word], PLURAL)
        return Thing(idx, word)

    def tell(
        self,
        event: str,
        subject: Person,
        *,
        thing: Thing | None = None,
        other: Person | None = None,
        sentiment: int = 0,
        words: Mapping[str, str] | None = None,
    ) -> None:
        """Say one sentence of this kind about `subject`."""
        pieces = split_frame(self.choose.pick(choose_from(STORY[event], self.split)))
        fills = self._fills(subject, thing, other, words or {})
        if "{a}" in pieces:
            fills["{a}"] = article(pieces, fills, is_plural=thing is not None and thing.number == PLURAL)
        if event == "lie":
            assert thing is not None
            self.teller.say(pieces, fills, number=thing.number)
        else:
            self.teller.say(pieces, fills, subject=subject, sentiment=sentiment)

    def _fills(
        self, subject: Person, thing: Thing | None, other: Person | None, words: Mapping[str, str]
    ) -> dict[str, str | Mention]:
        pronoun = self.choose.chance(PRONOUN_SHARE)
        forms = lexicon.PRONOUNS[subject.gender]
        fills: dict[str, str | Mention] = {
            "{S}": (subject, subject_word(self.world, subject, pronoun=pronoun)),
            "{s}": (subject, subject_word(self.world, subject, pronoun=pronoun, first=False)),
            "{N}": (subject, subject.name),
            "{H}": (subject, subject.name),
            "{T}": (subject, subject.name),
            "{him}": (subject, forms[1]),
            "{his}": (subject, forms[2]),
            "{self}": (subject, forms[3]),
        }
        if other is not None:
            fills["{R}"] = (other, other.name)
        if thing is not None:
            fills["{o}"] = (thing, thing.word)
            fills["{was}"] = be(thing.number)
            fills["{it}"] = (thing, "them" if thing.number == PLURAL else "it")
        for slot, word in words.items():
            fills["{" + slot + "}"] = word
        return fills

    def pick_subject(self) -> Person:
        """Often whoever the last sentence was about."""
        last = self.world.last_subject
        if last is not None and self.choose.chance(SAME_SUBJECT_SHARE):
            return last
        return self.choose.pick(self.people)


def tell_story(choose: Chooser, split: str = "train", *, n_sentences: int | None = None) -> Document:
    """A story of 3 to 12 sentences; at most one question, at its end."""
    story = Story(choose, split)
    goal = (n_sentences or choose.between(MIN_SENTENCES, MAX_SENTENCES)) - 1
    choose.pick((_open_together, _open_together, _open_alone))(story, choose.pick(story.people))
    while story.teller.n_sentences < goal:
        event = choose.weighted(WEIGHTS)
        if event == "compare" and story.teller.n_sentences + 1 == goal:
            continue  # it takes two sentences
        EVENTS[event](story, story.pick_subject())
    _close(story)
    return story.teller.finish("story", n_things=len(story.things))


def _open_together(story: Story, subject: Person) -> None:
    other = story.choose.pick([person for person in story.people if person is not subject])
    place = story.choose.pick(lexicon.PLACES)
    subject.move_to(place)
    other.move_to(place)
    time, day, season = (
        story.choose.pick(lexicon.TIMES),
        story.choose.pick(lexicon.DAYS),
        story.choose.pick(lexicon.SEASONS),
    )
    pieces = split_frame(story.choose.pick(choose_from(STORY["together"], story.split)))
    fills: dict[str, str | Mention] = {"{S}": (subject, subject.name), "{R}": (other, other.name), "{p}": place}
    story.teller.say(
        pieces, {**fills, "{time}": time, "{day}": day, "{season}": season}, subject=subject, number=PLURAL
    )


def _open_alone(story: Story, subject: Person) -> None:
    story.choose.pick((_live, _job))(story, subject)


def _live(story: Story, subject: Person) -> None:
    country = subject.country = subject.country or story.choose.pick(lexicon.COUNTRIES)
    words = {"country": country, "city": lexicon.CAPITAL[country], "language": lexicon.PEOPLE_OF[country]}
    story.tell("live", subject, words=words)


def _job(story: Story, subject: Person) -> None:
    if subject.job is not None:
        return
    subject.job = story.choose.pick(lexicon.JOBS)
    story.tell("job", subject, words={"job": subject.job, "adj": story.choose.pick(lexicon.PERSON_ADJECTIVES)})


def _go(story: Story, subject: Person) -> None:
    others = [person.place for person in story.people if person.place not in (None, subject.place)]
    place = story.choose.pick(others) if others and story.choose.chance(0.5) else story.choose.pick(lexicon.PLACES)
    if place == subject.place:
        return
    subject.move_to(str(place))
    story.tell("go", subject, words={"p": str(place), "adverb": story.choose.pick(lexicon.ADVERBS)})


def _introduce(story: Story, subject: Person) -> None:
    if not story.fresh:
        return
    thing = story.fresh.pop()
    words = {"colour": story.choose.pick(lexicon.COLOURS), "adj": story.choose.pick(lexicon.THING_ADJECTIVES)}
    if subject.place is not None and story.choose.chance(0.35):
        thing.place = subject.place
        story.tell("lie", subject, thing=thing, words={**words, "p": thing.place})
    else:
        thing.holder = subject
        story.tell("have", subject, thing=thing, words=words)


def _take(story: Story, subject: Person) -> None:
    here = [thing for thing in story.things if thing.place is not None and thing.place == subject.place]
    if not here:
        return
    thing = story.choose.pick(here)
    thing.place, thing.holder, subject.mood = None, subject, 1
    story.tell("take", subject, thing=thing)


def _give(story: Story, subject: Person) -> None:
    held = story.world.held_by(subject)
    if not held or not story.may_give:
        return
    other = story.choose.pick([person for person in story.people if person is not subject])
    thing = story.choose.pick(held)
    thing.holder, other.mood, subject.mood = other, 1, -1
    story.tell("give", subject, thing=thing, other=other)


def _put(story: Story, subject: Person) -> None:
    held = story.world.held_by(subject)
    if not held or subject.place is None:
        return
    thing = story.choose.pick(held)
    thing.holder, thing.place = None, subject.place
    story.tell("put", subject, thing=thing, words={"p": subject.place})


def _state_holder(story: Story, subject: Person) -> None:
    held = [thing for thing in story.things if thing.holder is not None]
    if not held:
        return
    thing = story.choose.pick(held)
    holder = thing.holder
    assert holder is not None
    lacking = [person for person in story.people if person is not holder]
    kind = story.choose.pick(("holder", "holder", "holds", "lacks"))
    story.tell(kind, story.choose.pick(lacking) if kind == "lacks" else holder, thing=thing)


def _state_place(story: Story, subject: Person) -> None:
    if subject.place is None:
        return
    elsewhere = story.choose.pick([place for place in lexicon.PLACES if place not in subject.visited])
    story.tell(story.choose.pick(("where", "where", "absent")), subject, words={"p": subject.place, "q": elsewhere})


def _feel(story: Story, subject: Person) -> None:
    words = {"good": story.choose.pick(lexicon.GOOD_MOODS), "bad": story.choose.pick(lexicon.BAD_MOODS)}
    held = story.world.held_by(subject)
    if subject.mood == 0 and not held:
        subject.mood = 1 if story.choose.chance(0.5) else -1
    if held and subject.mood >= 0:
        story.tell("good", subject, thing=story.choose.pick(held), sentiment=1, words=words)
    elif subject.mood < 0:
        story.tell("bad", subject, sentiment=-1, words=words)


def _agree(story: Story, subject: Person) -> None:
    choose = story.choose
    table = choose.pick((lexicon.ANIMALS, lexicon.FOODS, lexicon.THINGS))
    number = PLURAL if choose.chance(0.5) else SINGULAR
    noun, nearby = choose.pick(list(table.items())), choose.pick(list(lexicon.THINGS.items()))
    extra = {
        "noun": noun[number],
        "nouns": noun[PLURAL],
        "thing": nearby[1 if choose.chance(0.5) else 0],
        "was": be(number),
        "has": "have" if number == PLURAL else "has",
        "adj": choose.pick(lexicon.THING_ADJECTIVES),
        "p": choose.pick(lexicon.PLACES),
        "Number": choose.pick(lexicon.NUMBERS).capitalize(),
    }
    pieces = split_frame(choose.pick(choose_from(STORY["agree"], story.split)))
    fills = story._fills(subject, None, None, extra)
    fills["{S}"] = (subject, subject.name)
    story.teller.say(pieces, fills, number=PLURAL if "{nouns}" in pieces else number)


def _say(story: Story, subject: Person) -> None:
    lying = [thing for thing in story.things if thing.place is not None]
    placed = [person for person in story.people if person.place is not None and person is not subject]
    if not lying or not placed:
        return
    thing, other = story.choose.pick(lying), story.choose.pick(placed)
    story.tell("say", subject, thing=thing, other=other, words={"p": str(thing.place), "q": str(other.place)})


def _like(story: Story, subject: Person) -> None:
    foods = list(lexicon.FOODS.values())
    known = subject.likes is not None
    subject.likes = subject.likes or story.choose.pick(foods)
    others = story.choose.pick([food for food in foods if food != subject.likes])
    other = story.choose.pick([person for person in story.people if person is not subject])
    words = {"foods": subject.likes, "others": others, "number": story.choose.pick(lexicon.NUMBERS)}
    story.tell("eat" if known else "like", subject, other=other, words=words)


def _compare(story: Story, subject: Person) -> None:
    other = story.choose.pick([person for person in story.people if person is not subject])
    adjective = story.choose.pick(lexicon.PERSON_ADJECTIVES)
    if adjective in story.compared:
        return
    story.compared |= {adjective, lexicon.OPPOSITE[adjective]}
    extra = {"more": lexicon.COMPARATIVE[adjective], "less": lexicon.COMPARATIVE[lexicon.OPPOSITE[adjective]]}
    for frame in COMPARE:
        fills = story._fills(subject, None, other, extra)
        fills["{S}"] = (subject, subject.name)
        story.teller.say(split_frame(frame), fills, subject=subject if frame == COMPARE[0] else other)


def _weather(story: Story, subject: Person) -> None:
    choose = story.choose
    cold, dark = (
        choose.pick(("cold", "warm", "hot", "cool", "wet", "dry")),
        choose.pick(("dark", "bright", "calm", "wild", "quiet")),
    )
    extra = {"cold": cold, "dark": dark, "season": choose.pick(lexicon.SEASONS), "time": choose.pick(lexicon.TIMES)}
    extra |= {"day": choose.pick(lexicon.DAYS), "p": choose.pick(lexicon.PLACES)}
    pieces = split_frame(choose.pick(choose_from(STORY["weather"], story.split)))
    story.teller.say(pieces, {"{" + slot + "}": word for slot, word in extra.items()}, number=SINGULAR)


def _self(story: Story, subject: Person) -> None:
    story.tell("self", subject, words={"p": subject.place or story.choose.pick(lexicon.PLACES)})


def _close(story: Story) -> None:
    held = [thing for thing in story.things if thing.holder is not None]
    placed = [person for person in story.people if person.place is not None]
    if held and story.choose.chance(0.5):
        thing = story.choose.pick(held)
        assert thing.holder is not None
        pieces = split_frame(story.choose.pick(choose_from(ASK_HOLDER, story.split)))
        story.teller.say(pieces, story._fills(thing.holder, thing, None, {}), subject=thing.holder, answer="{H}")
    elif placed and story.choose.chance(0.5):
        person = story.choose.pick(placed)
        pieces = split_frame(story.choose.pick(choose_from(ASK_PLACE, story.split)))
        story.teller.say(
            pieces, story._fills(person, None, None, {"p": str(person.place)}), subject=person, answer="{p}"
        )
    else:
        _weather(story, story.people[0])


EVENTS: dict[str, Callable[[Story, Person], None]] = {
    "introduce": _introduce,
    "go": _go,
    "take": _take,
    "give": _give,
    "put": _put,
    "holder": _state_holder,
    "place": _state_place,
    "feel": _feel,
    "agree": _agree,
    "say": _say,
    "like": _like,
    "compare": _compare,
    "weather": _weather,
    "self": _self,
    "live": _live,
    "job": _job,
}
WEIGHTS: dict[str, float] = {
    "introduce": 4,
    "go": 2,
    "take": 3,
    "give": 3,
    "put": 1,
    "holder": 4,
    "place": 1.5,
    "feel": 1.5,
    "agree": 1.2,
    "say": 1,
    "like": 1.2,
    "compare": 0.8,
    "weather": 0.4,
    "self": 0.5,
    "live": 0.5,
    "job": 0.4,
}
"""How often each event is tried; those the world does not allow are passed over."""
