"""The words of Storyworld."""

from arena_lib.storyworld import lexicon


def test_no_name_is_held_out_and_used_in_training() -> None:
    assert not set(lexicon.TRAIN_NAMES) & lexicon.HELD_OUT_NAMES
    assert lexicon.names_of("train") == lexicon.TRAIN_NAMES
    assert set(lexicon.names_of("test")) == lexicon.HELD_OUT_NAMES
    assert set(lexicon.ALL_NAMES) == set(lexicon.TRAIN_NAMES) | lexicon.HELD_OUT_NAMES


def test_every_name_has_the_gender_of_its_list() -> None:
    assert lexicon.GENDER["Mary"] == lexicon.GENDER["Elena"] == "f"
    assert lexicon.GENDER["John"] == lexicon.GENDER["Theo"] == "m"
    assert len(lexicon.GENDER) == len(lexicon.ALL_NAMES) == 116


def test_opposites_are_mutual_and_never_the_word_itself() -> None:
    assert all(lexicon.OPPOSITE[other] == word != other for word, other in lexicon.OPPOSITE.items())
    assert lexicon.OPPOSITE["hot"] == "cold"


def test_every_adjective_has_its_own_comparative() -> None:
    assert set(lexicon.COMPARATIVE) == set(lexicon.OPPOSITE) == set(lexicon.ADJECTIVES)
    assert len(set(lexicon.COMPARATIVE.values())) == len(lexicon.COMPARATIVE)
    assert (lexicon.COMPARATIVE["big"], lexicon.COMPARATIVE["small"]) == ("bigger", "smaller")
    assert not set(lexicon.COMPARATIVE.values()) & set(lexicon.ADJECTIVES)


def test_every_country_has_its_own_capital_and_people() -> None:
    assert set(lexicon.CAPITAL) == set(lexicon.PEOPLE_OF) == set(lexicon.COUNTRIES)
    assert len(set(lexicon.CAPITAL.values())) == len(set(lexicon.PEOPLE_OF.values())) == 24
    assert (lexicon.CAPITAL["Peru"], lexicon.PEOPLE_OF["Peru"]) == ("Lima", "Peruvian")


def test_a_word_is_in_one_list_of_names_places_or_things() -> None:
    lists = (
        lexicon.ALL_NAMES,
        lexicon.PLACES,
        lexicon.THINGS,
        lexicon.ANIMALS,
        lexicon.FOODS,
        lexicon.JOBS,
        lexicon.COLOURS,
    )
    words = [word for words in lists for word in words]
    assert len(words) == len(set(words))


def test_list_words_has_each_kind() -> None:
    words = set(lexicon.list_words())
    assert {
        "Mary",
        "park",
        "lamps",
        "hotter",
        "Lima",
        "Peruvian",
        "nuts",
        "herself",
        "She",
        ".",
        "Monday",
        "red",
    } <= words
