"""Stories: their form, their truth, and their split."""

from itertools import pairwise

import numpy as np
import pytest

from arena_lib.storyworld import frames, lexicon
from arena_lib.storyworld.choice import Chooser
from arena_lib.storyworld.grammar import tell_story
from arena_lib.storyworld.labels import PLURAL, SINGULAR, Document

N_STORIES = 150
PLURALS = set(lexicon.THINGS.values())


@pytest.fixture(scope="module", params=["train", "test"])
def stories(request: pytest.FixtureRequest) -> list[Document]:
    choose = Chooser("grammar", request.param)
    return [tell_story(choose, request.param) for _ in range(N_STORIES)]


@pytest.fixture(scope="module")
def training_stories() -> list[Document]:
    choose = Chooser("grammar", 0)
    return [tell_story(choose, "train") for _ in range(N_STORIES)]


def split_sentences(document: Document) -> list[tuple[int, list[str]]]:
    """Each sentence's first index and its words."""
    starts = [0, *(np.flatnonzero(np.diff(document.labels.sentence)) + 1), len(document.words)]
    return [(int(start), document.words[start:end]) for start, end in pairwise(starts)]


def test_stories_have_three_to_twelve_sentences(stories: list[Document]) -> None:
    counts = {int(story.labels.sentence[-1]) + 1 for story in stories}
    assert counts == set(range(3, 13))


def test_sentences_are_numbered_without_gaps_and_end_with_a_full_stop(stories: list[Document]) -> None:
    for story in stories:
        assert set(np.diff(story.labels.sentence)) <= {0, 1}
        assert all(words[-1] == "." and words[0][0].isupper() for _, words in split_sentences(story))


def test_a_story_fits_the_context_of_our_models(stories: list[Document]) -> None:
    assert max(len(story.words) for story in stories) < 128


def test_pronouns_refer_to_somebody_of_their_gender_who_was_the_last_such(stories: list[Document]) -> None:
    genders = {"He": "m", "he": "m", "him": "m", "his": "m", "himself": "m"}
    genders |= {"She": "f", "she": "f", "her": "f", "herself": "f"}
    n_pronouns = 0
    for story in stories:
        for i, word in enumerate(story.words):
            if word not in genders:
                continue
            n_pronouns += 1
            antecedent = i
            while story.words[antecedent] in genders:
                antecedent = int(story.labels.refers_to[antecedent])
                assert antecedent >= 0
            name = story.words[antecedent]
            assert lexicon.GENDER[name] == genders[word]
    assert n_pronouns > N_STORIES


def test_each_mention_refers_to_the_latest_earlier_mention_of_the_same_word_at_least(stories: list[Document]) -> None:
    for story in stories:
        last: dict[str, int] = {}
        for i, word in enumerate(story.words):
            if word in story.people:
                # A pronoun may have come between, so the link is at or after the last use of the name.
                assert story.labels.refers_to[i] >= last.get(word, -1)
                last[word] = i


def test_who_has_a_thing_is_true(stories: list[Document]) -> None:
    n_checked = 0
    for story in stories:
        for start, words in split_sentences(story):
            thing = next((word for word in words if word in story.things), None)
            end = start + len(words) - 1
            if (
                words[0] == "Who"
                or (words[0] == "The" and words[-3] in ("with", "of", "to"))
                or words[:2] == ["Now", "the"]
            ):
                if thing is None or "not" in words or words[-2] not in story.people:
                    continue
                holder = story.labels.holders[end, story.things.index(thing)]
                assert story.people[holder] == words[-2], (" ".join(story.words), words)
                n_checked += 1
    assert n_checked > N_STORIES / 4


def test_negations_are_true(stories: list[Document]) -> None:
    n_checked = 0
    for story in stories:
        for start, words in split_sentences(story):
            thing = next((word for word in words if word in story.things), None)
            if (
                thing is None
                or not {"not", "longer"} & set(words)
                or not ({"have", "had"} & set(words) or words[-3] == "with")
            ):
                continue
            subject = int(story.labels.subject[start])
            if subject < 0 or words[1] == "was" or "because" in words:
                continue
            assert story.labels.holders[start, story.things.index(thing)] != subject
            n_checked += 1
    assert n_checked > 10


def test_where_somebody_is_is_true(stories: list[Document]) -> None:
    n_checked = 0
    for story in stories:
        for start, words in split_sentences(story):
            if words[:2] == ["Where", "was"] or words[1:3] == ["was", "not"]:
                place = next((word for word in words if word in lexicon.PLACES), None)
                if place is None:
                    continue
                person = int(story.labels.subject[start])
                told = int(story.labels.places[start, person])
                assert (lexicon.PLACES[told] == place) == (words[0] == "Where")
                n_checked += 1
    assert n_checked > 10


def test_things_lie_somewhere_or_are_held_and_people_take_what_lies_where_they_are(stories: list[Document]) -> None:
    for story in stories:
        held = story.labels.holders
        for start, words in split_sentences(story):
            if "picked" in words or "dropped" in words or "down" in words:
                subject = int(story.labels.subject[start])
                thing = story.things.index(next(word for word in words if word in story.things))
                before, after = held[start, thing], held[start + len(words) - 1, thing]
                assert (before, after) == ((-1, subject) if "picked" in words else (subject, -1))


def test_verbs_agree_with_their_noun_across_a_clause(stories: list[Document]) -> None:
    numbers = set()
    n_across = 0
    for story in stories:
        for start, words in split_sentences(story):
            nouns = {**lexicon.ANIMALS, **lexicon.FOODS, **lexicon.THINGS}
            if words[0] != "The" or words[2] not in ("near", "that", "by", "with"):
                continue
            verb = next(word for word in words[3:] if word in ("was", "were", "has", "have"))
            is_plural = words[1] in nouns.values()
            assert verb in (("were", "have") if is_plural else ("was", "has"))
            assert int(story.labels.number[start]) == (PLURAL if is_plural else SINGULAR)
            numbers.add(is_plural)
            attractor = next((word for word in words[3:] if word in nouns or word in nouns.values()), words[1])
            n_across += (attractor in nouns.values()) != is_plural
    assert numbers == {True, False}
    assert n_across > 2


def test_one_question_at_most_and_at_the_end(stories: list[Document]) -> None:
    asked = 0
    for story in stories:
        assert story.words.count("?") <= 1
        if "?" in story.words:
            asked += 1
            assert story.labels.sentence[story.words.index("?")] == story.labels.sentence[-1]
            assert len(story.answers) == 1
    assert 0.3 < asked / len(stories) < 0.95


def test_held_out_names_neither_give_nor_get_in_training(training_stories: list[Document]) -> None:
    given = [story for story in training_stories if {"gave", "handed", "got"} & set(story.words)]
    assert given
    assert not any(lexicon.HELD_OUT_NAMES & set(story.people) for story in given)
    assert any(lexicon.HELD_OUT_NAMES & set(story.people) for story in training_stories)


def test_held_out_frames_are_not_in_training_text(training_stories: list[Document]) -> None:
    text = " | ".join(" ".join(story.words) for story in training_stories)
    assert " spoke " in text
    for phrase in ("lived in France and", "left and went", "and picked it up", "cried and felt", "looked at himself ."):
        assert phrase not in text


def test_test_stories_use_held_out_frames_and_names() -> None:
    choose = Chooser("grammar", 1)
    stories = [tell_story(choose, "test") for _ in range(N_STORIES)]
    text = " | ".join(" ".join(story.words) for story in stories)
    assert all(set(story.people) <= lexicon.HELD_OUT_NAMES for story in stories)
    assert "and picked it up" in text
    assert "picked up the" not in text


def test_sentiment_follows_the_words(stories: list[Document]) -> None:
    seen = set()
    for story in stories:
        for start, words in split_sentences(story):
            sentiment = int(story.labels.sentiment[start])
            seen.add(sentiment)
            moods = [word for word in words if word in lexicon.GOOD_MOODS + lexicon.BAD_MOODS]
            if sentiment and moods:
                assert (moods[-1] in lexicon.GOOD_MOODS) == (sentiment == 1)
    assert seen == {-1, 0, 1}


def test_the_number_of_sentences_can_be_asked_for() -> None:
    choose = Chooser(3)
    assert {int(tell_story(choose, n_sentences=7).labels.sentence[-1]) + 1 for _ in range(20)} == {7}


def test_each_event_has_a_frame_held_out() -> None:
    assert all(train and held_out and not set(train) & set(held_out) for train, held_out in frames.STORY.values())
