"""The head reads the last real token, whatever stands beside it, and rewards can be centred."""

import pytest
import torch
from tests.rlhf.lora.small_models import draw_tokens, make_gpt2, make_llama
from tests.rlhf.preferences.small_answers import PROMPTS, RESPONSES

from arena_lib.rlhf.preferences.answers import make_answers
from arena_lib.rlhf.preferences.reward_model import RewardModel


def make_model(make=make_llama):
    return RewardModel(make(), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("make", [make_llama, make_gpt2])
def test_the_reward_reads_the_last_residual_after_the_final_norm(make):
    model, tokens = make_model(make), draw_tokens()
    resid = model.transformer(tokens, stop_at_layer=model.cfg.n_layers)
    expected = model.transformer.ln_final(resid)[:, -1] @ model.w + model.b
    assert torch.allclose(model(tokens), expected, atol=1e-12)
    assert model(tokens).shape == (3,)
    assert model.w.dtype == torch.float64


def test_a_reward_in_a_batch_is_the_reward_alone():
    model, answers = make_model(), make_answers(PROMPTS, RESPONSES)
    together = model(answers.tokens, answers.attention_mask)
    for row, (prompt, response) in enumerate(zip(PROMPTS, RESPONSES, strict=True)):
        alone = model(torch.tensor([prompt + response]))
        assert torch.allclose(together[row], alone[0], atol=1e-10)
    other = make_answers(PROMPTS, RESPONSES, filling=13)
    assert torch.allclose(model(other.tokens, other.attention_mask), together, atol=1e-10)


def test_an_end_of_text_that_was_drawn_is_read():
    model = make_model()
    with_end, without = make_answers([[3]], [[4, 0]]), make_answers([[3]], [[4]])
    gap = model(with_end.tokens, with_end.attention_mask) - model(without.tokens, without.attention_mask)
    assert float(gap.detach().abs()) > 1e-3


def test_scoring_in_parts_changes_nothing_and_keeps_the_mode():
    model, answers = make_model().train(), make_answers(PROMPTS, RESPONSES)
    scores = model.score(answers, batch_size=2)
    assert torch.allclose(scores, model(answers.tokens, answers.attention_mask).detach(), atol=1e-10)
    assert model.training
    assert not scores.requires_grad


def test_centred_rewards_have_mean_zero_and_the_same_differences():
    model, answers = make_model(), make_answers(PROMPTS, RESPONSES)
    before = model.score(answers)
    model.center(answers)
    after = model.score(answers)
    assert float(after.mean()) == pytest.approx(0.0, abs=1e-12)
    assert torch.allclose(after - after[0], before - before[0], atol=1e-12)


def test_the_head_starts_small_and_the_transformer_trains_along():
    model = make_model()
    draws = torch.cat([RewardModel(make_llama(), torch.Generator().manual_seed(i)).w.detach() for i in range(60)])
    assert float(draws.std()) == pytest.approx(13**-0.5, rel=0.1)
    model(draw_tokens()).sum().backward()
    assert model.transformer.blocks[0].attn.W_QKV.grad.abs().max() > 0
    assert float(model.b.grad) == 3
