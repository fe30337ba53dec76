"""The tracked world and its teller."""

import numpy as np

from arena_lib.storyworld.frames import split_frame
from arena_lib.storyworld.labels import PLURAL, SINGULAR
from arena_lib.storyworld.world import Person, Teller, Thing, World, be, subject_word


def make_world() -> World:
    people = [Person(0, "Mary"), Person(1, "John"), Person(2, "Anna")]
    return World(people, [Thing(0, "lamp"), Thing(1, "keys", PLURAL)])


def test_state_changes_at_the_last_token_of_the_sentence_that_tells_of_it() -> None:
    world = make_world()
    mary, john = world.people[:2]
    lamp = world.things[0]
    lamp.holder, mary.place = mary, "park"
    teller = Teller(world)
    lamp.holder, mary.place = john, "cave"
    teller.say(
        split_frame("{S} gave the {o} to {R} ."),
        {"{S}": (mary, "Mary"), "{o}": (lamp, "lamp"), "{R}": (john, "John")},
        subject=mary,
    )
    labels = teller.finish("story").labels
    assert labels.holders[:, 0].tolist() == [0, 0, 0, 0, 0, 0, 1]
    assert labels.holders[:, 1].tolist() == [-1] * 7
    assert labels.places[:, 0].tolist() == [0] * 6 + [13]
    assert labels.places[:, 1].tolist() == [-1] * 7
    assert labels.holders.shape == (7, 2)
    assert labels.places.shape == (7, 3)


def test_mentions_point_to_the_last_mention_of_the_same_one() -> None:
    world = make_world()
    mary, lamp = world.people[0], world.things[0]
    teller = Teller(world)
    teller.say(split_frame("{S} had the {o} ."), {"{S}": (mary, "Mary"), "{o}": (lamp, "lamp")}, subject=mary)
    teller.say(split_frame("{S} took {it} ."), {"{S}": (mary, "She"), "{it}": (lamp, "it")}, subject=mary, sentiment=1)
    document = teller.finish("story", n_things=2)
    assert document.words == ["Mary", "had", "the", "lamp", ".", "She", "took", "it", "."]
    assert document.labels.refers_to.tolist() == [-1, -1, -1, -1, -1, 0, -1, 3, -1]
    assert document.labels.sentence.tolist() == [0] * 5 + [1] * 4
    assert document.labels.sentiment.tolist() == [0] * 5 + [1] * 4
    assert document.labels.subject.tolist() == [0] * 9
    assert document.labels.number.tolist() == [SINGULAR] * 9
    assert (document.people, document.things, document.facts) == (
        ("Mary", "John", "Anna"),
        ("lamp", "keys"),
        {"n_things": 2},
    )


def test_answers_are_where_the_slot_stands() -> None:
    world = make_world()
    teller = Teller(world)
    teller.write(["Hot", "."])
    teller.say(split_frame("Who ? {H} ."), {"{H}": "Mary"}, answer="{H}")
    document = teller.finish("holders")
    assert document.answers == (4,)
    assert document.words[4] == "Mary"
    assert document.labels.subject.tolist() == [-1] * 6
    assert document.labels.number.tolist() == [-1] * 6


def test_a_pronoun_is_clear_only_for_the_last_mentioned_of_its_gender() -> None:
    world = make_world()
    mary, john, anna = world.people
    assert not world.pronoun_is_clear(john)
    world.mention(john)
    world.mention(mary)
    assert world.pronoun_is_clear(john)
    assert not world.pronoun_is_clear(mary)
    world.last_subject = mary
    assert world.pronoun_is_clear(mary)
    world.mention(anna)
    assert not world.pronoun_is_clear(mary)
    world.mention(mary)
    assert world.mentioned == [john, anna, mary]


def test_subject_words() -> None:
    world = make_world()
    john = world.people[1]
    assert subject_word(world, john, pronoun=True) == "John"
    world.mention(john)
    assert subject_word(world, john, pronoun=True) == "He"
    assert subject_word(world, john, pronoun=True, first=False) == "he"
    assert subject_word(world, john, pronoun=False) == "John"


def test_held_by_lists_what_a_person_holds() -> None:
    world = make_world()
    world.things[1].holder = world.people[2]
    assert world.held_by(world.people[2]) == [world.things[1]]
    assert world.held_by(world.people[0]) == []
    assert world.holders() == [-1, 2]


def test_verbs_agree() -> None:
    assert (be(SINGULAR), be(PLURAL)) == ("was", "were")


def test_a_document_without_things_has_labels_without_columns() -> None:
    teller = Teller(World([], []))
    teller.write(["hot", ":", "cold", "."])
    labels = teller.finish("adjectives").labels
    assert labels.holders.shape == (4, 0)
    assert labels.refers_to.dtype == np.int64
