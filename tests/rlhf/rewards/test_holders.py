"""The right answers are those of storyworld's own documents."""

import pytest

from arena_lib import storyworld
from arena_lib.rlhf.rewards.holders import reward_fn_right_holder


@pytest.mark.parametrize("split", ["train", "test"])
def test_the_answer_of_every_document_is_right_and_any_other_name_is_wrong(split):
    for seed in range(100):
        document = storyworld.tell_holders(storyworld.Chooser(seed), split)
        (place,) = document.answers
        others = [name for name in document.people if name != document.facts["correct"]]
        texts = [" ".join([*document.words[:place], name, "."]) for name in (document.words[place], *others)]
        assert reward_fn_right_holder(texts).tolist() == [1] + [0] * len(others)


def test_only_the_word_after_the_last_question_counts():
    story = "Tom had the ball. Mary had the cup."
    texts = [
        f"{story} Who had the ball? Tom",
        f"{story} Who had the ball? Tom and Mary.",
        f"{story} Who had the ball? Tom. Who had the cup? Tom.",
        f"{story} Who had the ball?",
        f"{story} Who had the ring? Tom.",
        story,
        "",
    ]
    assert reward_fn_right_holder(texts).tolist() == [1, 1, 0, 0, 0, 0, 0]
