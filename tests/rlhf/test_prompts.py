"""Padding on the left, and what the prompts of storyworld end with."""

import pytest
import torch

from arena_lib import storyworld
from arena_lib.errors import ConfigError, DtypeError, ShapeError, TokenError
from arena_lib.rlhf.prompts import Prompts, make_holder_prompts, make_story_prompts, pad_prompts


def words_of(prompts, row):
    ids = prompts.tokens[row][prompts.attention_mask[row]].tolist()
    names = {idx: word for word, idx in storyworld.vocabulary().items()}
    return [names[idx] for idx in ids]


def test_padding_stands_on_the_left_and_is_masked():
    prompts = pad_prompts([[5, 6, 7], [8], [9, 4]], pad=3)
    assert prompts.tokens.tolist() == [[5, 6, 7], [3, 3, 8], [3, 9, 4]]
    assert prompts.attention_mask.tolist() == [[True, True, True], [False, False, True], [False, True, True]]


def test_some_prompts_can_be_picked():
    prompts = pad_prompts([[5, 6], [8], [9, 4]])[torch.tensor([2, 1])]
    assert prompts.tokens.tolist() == [[9, 4], [0, 8]]
    assert prompts.attention_mask.tolist() == [[True, True], [False, True]]
    assert len(prompts) == 2


def test_no_prompts_and_empty_ones_are_refused():
    with pytest.raises(ConfigError, match="got none"):
        pad_prompts([])
    with pytest.raises(TokenError, match="none in prompt 1"):
        pad_prompts([[3], [], [4]])


def test_story_prompts_are_first_sentences_after_the_start_token():
    prompts = make_story_prompts(6, seed=1)
    for row in range(6):
        start, *words = words_of(prompts, row)
        assert start == storyworld.END_OF_TEXT
        assert words.index(".") == len(words) - 1


def test_holder_prompts_end_with_their_question():
    prompts = make_holder_prompts(6)
    assert all(words_of(prompts, row)[-1] == "?" for row in range(6))


@pytest.mark.parametrize("make", [make_story_prompts, make_holder_prompts])
def test_prompts_follow_from_their_seed(make):
    first, again, other = make(5, seed=3), make(5, seed=3), make(5, seed=4)
    assert torch.equal(first.tokens, again.tokens)
    assert not torch.equal(first.tokens[:, -4:], other.tokens[:, -4:])


def test_masks_that_would_be_misread_are_refused(without_types):
    tokens = torch.tensor([[5, 6, 7], [8, 0, 0]])
    with pytest.raises(ShapeError, match=r"padded on the left, .* got padding there in row 1\."):
        Prompts(tokens, tokens > 0)
    with pytest.raises(DtypeError, match=r"must hold booleans, True at real tokens: got torch\.int64"):
        Prompts(tokens, torch.ones_like(tokens))
    with pytest.raises(ShapeError, match=r"got tokens \(2, 3\) and a mask \(2, 2\)\. Use pad_prompts"):
        Prompts(tokens, torch.ones(2, 2).bool())
    with pytest.raises(ShapeError, match=r"must be a matrix of tokens .* got tokens \(3,\)"):
        Prompts(tokens[0], torch.ones(3).bool())
