"""Counting characters."""

import pytest
import torch

from arena_lib.errors import ConfigError
from arena_lib.rlhf.rewards.characters import reward_fn_char_count


def test_each_text_is_counted_alone_and_as_floats():
    rewards = reward_fn_char_count(["a.b..", "", "...."])
    assert rewards.dtype == torch.float32
    assert rewards.tolist() == [3, 0, 4]


def test_another_character_and_its_case_count():
    assert reward_fn_char_count(["Mary may"], char="m").tolist() == [1]


@pytest.mark.parametrize("char", ["", "ab"])
def test_what_is_no_single_character_is_refused(char):
    with pytest.raises(ConfigError, match=f"single character: got '{char}'"):
        reward_fn_char_count(["text"], char=char)
