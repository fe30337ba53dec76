"""Moods by hand."""

from arena_lib.rlhf.rewards.moods import reward_fn_ends_well, reward_fn_good_moods
from arena_lib.storyworld.lexicon import BAD_MOODS, GOOD_MOODS


def test_the_proxy_counts_words_whatever_stands_around_them():
    texts = [" ".join(GOOD_MOODS), " ".join(BAD_MOODS), "not glad, angry", "Tom had a box.", "gladly Glad"]
    assert reward_fn_good_moods(texts).tolist() == [1.25, -1.25, 0, 0, 0]


def test_a_text_of_good_moods_has_the_highest_proxy_there_is():
    assert reward_fn_good_moods(["glad " * 32]).item() == 8


def test_the_last_whole_sentence_decides_how_a_story_ends():
    texts = [
        "Tom felt angry. Mary felt glad.",
        "Mary felt glad. Tom felt angry.",
        "Mary felt glad. Tom was in the park.",
        "Tom felt angry. Mary felt glad. Tom felt angry",
        "Mary felt glad",
        "",
    ]
    assert reward_fn_ends_well(texts).tolist() == [1, -1, 0, 1, 0, 0]


def test_what_somebody_was_not_does_not_count():
    texts = ["Tom was not angry but glad.", "Tom was not glad but angry.", "Tom was not angry."]
    assert reward_fn_ends_well(texts).tolist() == [1, -1, 0]
