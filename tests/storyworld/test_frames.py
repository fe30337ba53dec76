"""Sentence frames and their split."""

import itertools
import re

from arena_lib.storyworld import companion_frames, frames


def words_of(texts: tuple[str, ...] | list[str]) -> set[str]:
    return {piece for text in texts for piece in text.split() if piece[0] != "{"}


def test_training_and_held_out_frames_share_none() -> None:
    tables = [
        *frames.STORY.values(),
        *companion_frames.TABLES,
        *companion_frames.QUESTIONS,
        frames.HOLDER_STARTS,
        frames.HOLDER_MOVES,
    ]
    for train, held_out in tables:
        assert not set(train) & set(held_out)
        assert held_out


def test_no_frame_of_companions_that_is_held_out_lies_within_a_training_frame_or_the_other_way() -> None:
    trained = [reduce_frame(frame) for train, _ in companion_frames.TABLES for frame in train]
    for _, held_out in companion_frames.TABLES:
        assert len(held_out) >= 4
        for frame in map(reduce_frame, held_out):
            assert not [other for other in trained if frame in other or other in frame]


KINDS = {
    **dict.fromkeys(["A", "B", "C", "D", "M", "R", "S", "T", "N", "H", "O"], "NAME"),
    **dict.fromkeys(["o", "thing", "noun", "foods", "others", "job"], "THING"),
    **dict.fromkeys(["p", "q", "city", "country"], "PLACE"),
    **dict.fromkeys(["time", "day", "season"], "TIME"),
    **dict.fromkeys(["adj", "colour", "trait", "mood", "cold", "dark", "good", "bad"], "ADJECTIVE"),
    "a": "ARTICLE",
}
ARTICLES = {"the", "a", "an", "some", "one"}


def list_neighbours(frame: str) -> set[tuple[str, str]]:
    """Each two neighbouring words, slots and articles by kind."""
    words = [KINDS.get(word.strip("{}"), word) if word[0] == "{" else word.lower() for word in frame.split()]
    words = ["ARTICLE" if word in ARTICLES else word for word in words]
    return set(itertools.pairwise(words))


def test_held_out_frames_put_together_what_training_text_has() -> None:
    known = {pair for train, _ in frames.list_tables() for frame in train for pair in list_neighbours(frame)}
    for _, held_out in [*companion_frames.TABLES, *companion_frames.QUESTIONS]:
        for frame in held_out:
            assert list_neighbours(frame) <= known, frame


def reduce_frame(frame: str) -> str:
    """The frame with all people alike."""
    return " ".join(re.sub(r"\{[ABCDMRST]\}", "{S}", frame).split())


def test_every_word_of_a_held_out_frame_is_in_some_training_frame() -> None:
    held_out = {frame for table in frames.list_tables() for frame in table[1]}
    train = [frame for frame in frames.list_frames() if frame not in held_out]
    assert words_of(list(held_out)) <= words_of(train)


def test_choose_from_takes_held_out_frames_for_test_text_where_there_are_some() -> None:
    assert frames.choose_from((("a .",), ("b .",)), "train") == ("a .",)
    assert frames.choose_from((("a .",), ("b .",)), "test") == ("b .",)
    assert frames.choose_from((("a .",), ()), "test") == ("a .",)


def test_every_fact_has_several_frames() -> None:
    assert min(len(train) + len(held_out) for train, held_out in frames.STORY.values()) >= 3


def test_list_frames_has_every_table() -> None:
    listed = set(frames.list_frames())
    assert {
        "{S} wrote aloud :",
        "Later ,",
        "Who had the {o} now ? {H} .",
        "More than {adj} is {more} .",
        "So {R} was {less} than {S} .",
    } <= listed
