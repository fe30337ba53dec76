"""The words of Storyworld by kind: people, places, things, adjectives, countries.

Names are split in two: held-out names live in stories and random strings (so
that their embeddings are trained), but no training text lets them give or get
anything. Adjectives come in pairs of opposites, each with its comparative;
countries with their capital and the adjective of their people.

Source: own derivation; the facts about countries are common knowledge.
"""


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def _table(text: str) -> dict[str, str]:
    return dict(pair.split("/") for pair in text.split())


FEMALE_NAMES: tuple[str, ...] = _words(
    """Mary Anna Emma Alice Clara Julia Laura Sarah Ruth Nora Lucy Helen Maria Eva Jane Kate Linda Diana Sofia
    Paula Carol Susan Karen Nancy Betty Donna Sandra Ashley Emily Megan Hannah Rachel Amy Angela Brenda Olivia
    Martha Judith Grace Amber Irene Joan Tina Lisa Ella Wendy Monica Holly"""
)
MALE_NAMES: tuple[str, ...] = _words(
    """John Peter Paul James David Robert Thomas Henry George Frank Simon Daniel Mark Steven Kevin Brian
    Edward Jason Jacob Eric Adam Oscar Victor Martin Walter Arthur Albert Carl Ralph Roy Louis Harry Fred Bruce Philip
    Russell Bobby Howard Leon Oliver Max Felix Hugo Ivan Leo Sam Tom Jack"""
)
HELD_OUT_FEMALE: tuple[str, ...] = _words("Elena Vera Rosa Iris Molly Stella Flora Greta Naomi Doris")
HELD_OUT_MALE: tuple[str, ...] = _words("Bernard Edgar Ernest Gilbert Ronald Stanley Theo Vincent Wayne Nathan")

PLACES: tuple[str, ...] = _words(
    """park kitchen garden school market valley forest library station bakery church castle barn cave hotel
    museum office bedroom cellar tower hospital theatre harbour village"""
)

THINGS: dict[str, str] = _table(
    """ball/balls lamp/lamps book/books key/keys coin/coins hat/hats cup/cups bag/bags ring/rings box/boxes
    clock/clocks map/maps letter/letters bottle/bottles basket/baskets rope/ropes drum/drums mirror/mirrors
    candle/candles hammer/hammers kite/kites doll/dolls spoon/spoons blanket/blankets ticket/tickets camera/cameras
    violin/violins umbrella/umbrellas necklace/necklaces shovel/shovels"""
)
"""Singular to plural of what people hold and hand on."""

ANIMALS: dict[str, str] = _table(
    """dog/dogs cat/cats horse/horses bird/birds cow/cows goat/goats duck/ducks rabbit/rabbits
    fox/foxes bear/bears frog/frogs owl/owls"""
)
FOODS: dict[str, str] = _table(
    """apple/apples pear/pears cake/cakes egg/eggs carrot/carrots onion/onions cookie/cookies
    lemon/lemons tomato/tomatoes plum/plums melon/melons nut/nuts"""
)
JOBS: tuple[str, ...] = _words(
    "teacher doctor baker farmer sailor painter singer nurse pilot writer lawyer soldier gardener dancer cook"
)
COLOURS: tuple[str, ...] = _words("red blue green yellow black white brown grey pink purple")
NUMBERS: tuple[str, ...] = _words("two three four five six seven eight nine ten")
TIMES: tuple[str, ...] = _words("morning afternoon evening night")
SEASONS: tuple[str, ...] = _words("spring summer autumn winter")
DAYS: tuple[str, ...] = _words("Monday Tuesday Wednesday Thursday Friday Saturday Sunday")
ADVERBS: tuple[str, ...] = _words("slowly quickly quietly happily sadly carefully proudly")

GOOD_MOODS: tuple[str, ...] = _words("glad cheerful pleased delighted thankful")
BAD_MOODS: tuple[str, ...] = _words("angry upset worried lonely gloomy")

_PERSON_PAIRS = """tall/taller/short/shorter old/older/young/younger happy/happier/sad/sadder rich/richer/poor/poorer
    strong/stronger/weak/weaker loud/louder/quiet/quieter fast/faster/slow/slower brave/braver/timid/timider
    kind/kinder/cruel/crueller calm/calmer/wild/wilder rude/ruder/polite/politer proud/prouder/humble/humbler
    wise/wiser/silly/sillier"""
_THING_PAIRS = """big/bigger/small/smaller hot/hotter/cold/colder hard/harder/soft/softer dark/darker/bright/brighter
    clean/cleaner/dirty/dirtier thick/thicker/thin/thinner wide/wider/narrow/narrower cheap/cheaper/dear/dearer
    wet/wetter/dry/drier smooth/smoother/rough/rougher warm/warmer/cool/cooler full/fuller/empty/emptier
    tight/tighter/loose/looser plain/plainer/fancy/fancier"""


def _pairs(text: str) -> tuple[tuple[str, str, str, str], ...]:
    quads = [tuple(quad.split("/")) for quad in text.split()]
    return tuple((a, more_a, b, more_b) for a, more_a, b, more_b in quads)


PERSON_PAIRS: tuple[tuple[str, str, str, str], ...] = _pairs(_PERSON_PAIRS)
"""Adjective, its comparative, its opposite, the opposite's comparative."""
THING_PAIRS: tuple[tuple[str, str, str, str], ...] = _pairs(_THING_PAIRS)

OPPOSITE: dict[str, str] = {
    word: other for a, _, b, _ in PERSON_PAIRS + THING_PAIRS for word, other in ((a, b), (b, a))
}
COMPARATIVE: dict[str, str] = {
    word: more for a, more_a, b, more_b in PERSON_PAIRS + THING_PAIRS for word, more in ((a, more_a), (b, more_b))
}
PERSON_ADJECTIVES: tuple[str, ...] = tuple(word for a, _, b, _ in PERSON_PAIRS for word in (a, b))
THING_ADJECTIVES: tuple[str, ...] = tuple(word for a, _, b, _ in THING_PAIRS for word in (a, b))
ADJECTIVES: tuple[str, ...] = PERSON_ADJECTIVES + THING_ADJECTIVES

_NATIONS = """France/Paris/French Spain/Madrid/Spanish Italy/Rome/Italian Germany/Berlin/German Poland/Warsaw/Polish
    Russia/Moscow/Russian Japan/Tokyo/Japanese China/Beijing/Chinese Egypt/Cairo/Egyptian Greece/Athens/Greek
    Turkey/Ankara/Turkish Sweden/Stockholm/Swedish Norway/Oslo/Norwegian Finland/Helsinki/Finnish
    Denmark/Copenhagen/Danish Portugal/Lisbon/Portuguese Austria/Vienna/Austrian Hungary/Budapest/Hungarian
    Ireland/Dublin/Irish Cuba/Havana/Cuban Peru/Lima/Peruvian Kenya/Nairobi/Kenyan India/Delhi/Indian
    Canada/Ottawa/Canadian"""
CAPITAL: dict[str, str] = {c: k for c, k, _ in (nation.split("/") for nation in _NATIONS.split())}
PEOPLE_OF: dict[str, str] = {c: p for c, _, p in (nation.split("/") for nation in _NATIONS.split())}
COUNTRIES: tuple[str, ...] = tuple(CAPITAL)

PRONOUNS: dict[str, tuple[str, str, str, str]] = {
    "f": ("she", "her", "her", "herself"),
    "m": ("he", "him", "his", "himself"),
}
"""Gender to subject, object, possessive and reflexive pronoun."""
PUNCTUATION: frozenset[str] = frozenset(_words(". , ? :"))

HELD_OUT_NAMES: frozenset[str] = frozenset(HELD_OUT_FEMALE + HELD_OUT_MALE)
GENDER: dict[str, str] = {
    **dict.fromkeys(FEMALE_NAMES + HELD_OUT_FEMALE, "f"),
    **dict.fromkeys(MALE_NAMES + HELD_OUT_MALE, "m"),
}
TRAIN_NAMES: tuple[str, ...] = FEMALE_NAMES + MALE_NAMES
ALL_NAMES: tuple[str, ...] = tuple(GENDER)


NICKNAMES: tuple[str, ...] = (
    *ANIMALS,
    *ANIMALS.values(),
    *COUNTRIES,
    *PEOPLE_OF.values(),
    *COMPARATIVE.values(),
    *ADVERBS,
)
"""Words that stand for people in some training text; no slot of the indirect-object frames is filled with one."""


def names_of(split: str) -> tuple[str, ...]:
    """The names that may give and get in this split: `"train"`, or those held out for `"test"`."""
    return TRAIN_NAMES if split == "train" else HELD_OUT_FEMALE + HELD_OUT_MALE


def list_words() -> list[str]:
    """Every word of the lists above, without those that only frames contain."""
    words: set[str] = set(ALL_NAMES) | set(PLACES) | set(JOBS) | set(COLOURS) | set(NUMBERS) | set(TIMES)
    words |= set(SEASONS) | set(DAYS) | set(ADVERBS) | set(GOOD_MOODS) | set(BAD_MOODS)
    for table in (THINGS, ANIMALS, FOODS, COMPARATIVE, CAPITAL, PEOPLE_OF):
        words |= set(table) | set(table.values())
    for forms in PRONOUNS.values():
        words |= set(forms) | {forms[0].capitalize()}
    return sorted(words | PUNCTUATION)
