"""Sentence frames and their split."""

from arena_lib.storyworld import frames


def words_of(texts: tuple[str, ...] | list[str]) -> set[str]:
    return {piece for text in texts for piece in text.split() if piece[0] != "{"}


def test_training_and_held_out_frames_share_none() -> None:
    tables = [*frames.STORY.values(), frames.PAIR_CLAUSES, frames.PAIR_SENTENCES, frames.TRIPLES, frames.TRANSFERS]
    tables += [frames.JOINT_TRANSFERS, frames.MIDDLES, frames.DISTRACTORS, frames.HOLDER_STARTS, frames.HOLDER_MOVES]
    for train, held_out in tables:
        assert not set(train) & set(held_out)
        assert held_out


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
