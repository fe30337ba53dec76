"""Padding left of prompts, filling right of answers, and batches of pairs that stop and go on."""

import pytest
import torch
from tests.rlhf.preferences.small_answers import four

from arena_lib import zoo
from arena_lib.core.seeds import make_generator
from arena_lib.errors import ShapeError, TokenError
from arena_lib.rlhf.preferences.answers import (
    Answers,
    PreferencePairs,
    RowBatches,
    answers_from_rollouts,
    make_answers,
)
from arena_lib.rlhf.prompts import pad_prompts
from arena_lib.rlhf.rollouts import draw_rollouts


def test_prompts_end_and_answers_begin_at_one_place():
    answers = four()
    assert answers.tokens.tolist() == [
        [99, 1, 6, 7, 0],
        [2, 3, 8, 99, 99],
        [99, 4, 9, 0, 99],
        [99, 5, 10, 11, 12],
    ]
    assert torch.equal(answers.attention_mask, answers.tokens != 99)
    assert answers.is_response.tolist() == [[1, 1, 1], [1, 0, 0], [1, 1, 0], [1, 1, 1]]
    assert (answers.n_prompt, len(answers)) == (2, 4)


def test_rows_of_pairs_stay_together():
    answers = make_answers([[1], [2, 3], [2, 3], [1]], [[6, 7, 0], [8], [9, 0], [10, 11, 12]], filling=99)
    pairs = PreferencePairs(answers[torch.tensor([0, 1])], answers[torch.tensor([3, 2])])
    picked = pairs[torch.tensor([1])]
    assert picked.chosen.tokens.tolist() == [[2, 3, 8, 99, 99]]
    assert picked.rejected.tokens.tolist() == [[2, 3, 9, 0, 99]]
    assert torch.equal(pairs.both.tokens, answers.tokens[[0, 1, 3, 2]])
    assert torch.equal(pairs.to("cpu").both.attention_mask, answers.attention_mask[[0, 1, 3, 2]])


def test_batches_see_each_pair_once_in_an_epoch_and_remember_their_place():
    answers = make_answers([[9]] * 6, [[i + 1] for i in range(6)])
    pairs = PreferencePairs(answers, answers[torch.arange(5, -1, -1)])
    batches, generator = RowBatches(pairs, 2), make_generator(0)
    seen = [batches(generator) for _ in range(3)]
    firsts = [int(token) for batch in seen for token in batch.chosen.tokens[:, 1]]
    assert sorted(firsts) == [1, 2, 3, 4, 5, 6]
    assert all(torch.equal(7 - batch.chosen.tokens[:, 1], batch.rejected.tokens[:, 1]) for batch in seen)
    state, generator_state = batches.state_dict(), generator.get_state()
    following = batches(generator)
    again, other = RowBatches(pairs, 2), make_generator(5)
    again.load_state_dict(state)
    other.set_state(generator_state)
    assert torch.equal(again(other).chosen.tokens, following.chosen.tokens)


def test_what_does_not_fit_is_refused(without_types):
    with pytest.raises(ShapeError, match="each prompt must have one answer: got 2 and 1"):
        make_answers([[1], [2]], [[3]])
    with pytest.raises(TokenError, match="each prompt must have a token: got none in prompt 1"):
        make_answers([[1], []], [[3], [4]])
    with pytest.raises(TokenError, match="each answer must have a token: got none in answer 0"):
        make_answers([[1]], [[]])
    answers = four()
    with pytest.raises(ShapeError, match="must have a mask of their tokens' shape"):
        Answers(answers.tokens, answers.attention_mask[:, 1:], 2)
    with pytest.raises(ShapeError, match="n_prompt 5"):
        Answers(answers.tokens, answers.attention_mask, 5)
    with pytest.raises(ShapeError, match="must have the same shape and n_prompt"):
        PreferencePairs(answers, answers[torch.tensor([0])])


def test_rollouts_are_answers_whose_filling_is_masked():
    policy = zoo.load("tiny-llama")
    prompts = pad_prompts([[0, 300], [0, 301, 302]])
    full_stop = policy.tokenizer.convert_tokens_to_ids(".")
    rollouts = draw_rollouts(policy, prompts, 12, n_samples=2, generator=make_generator(0), end_of_text=full_stop)
    answers = answers_from_rollouts(rollouts)
    assert torch.equal(answers.tokens, rollouts.tokens)
    assert torch.equal(answers.is_response, rollouts.is_response)
    assert answers.attention_mask[:, :3].tolist() == [[False, True, True]] * 2 + [[True] * 3] * 2
    assert rollouts.attention_mask[:, 3:].all()
    assert not answers.attention_mask[:, 3:].all()
    assert answers.n_prompt == 3


def test_answers_to_different_prompts_are_no_pair():
    chosen = make_answers([[1, 2], [3]], [[4], [5]])
    for prompts in ([[1, 2], [6]], [[1, 2], [0, 3]]):  # another token; a real one where padding was
        with pytest.raises(ShapeError, match="belong to the same prompt: got different ones in row 1"):
            PreferencePairs(chosen, make_answers(prompts, [[5], [4]]))
    assert len(PreferencePairs(chosen, make_answers([[1, 2], [3]], [[5], [4]], filling=7))) == 2
