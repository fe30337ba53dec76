"""The IOI metrics, by hand and against the model's own logits."""

import pytest
import torch
from tests.interp.patching.conftest import make_random

from arena_lib.errors import ConfigError, ShapeError, TokenError
from arena_lib.interp.hooking import hooked
from arena_lib.interp.patching.metrics import (
    check_answers,
    ioi_metric,
    ioi_path_metric,
    logits_to_ave_logit_diff,
    residual_stack_to_logit_diff,
)

ANSWERS = torch.tensor([[1, 4], [3, 2], [0, 5]])
END = torch.tensor([2, 6, 4])


def test_logit_difference_by_hand():
    logits = torch.zeros(2, 3, 5)
    logits[0, -1], logits[1, -1] = torch.tensor([1.0, 2, 4, 8, 16]), torch.tensor([3.0, 9, 27, 0, 1])
    logits[:, 0] = 100
    answers = torch.tensor([[3, 1], [0, 2]])
    torch.testing.assert_close(logits_to_ave_logit_diff(logits, answers, True), torch.tensor([6.0, -24.0]))
    torch.testing.assert_close(logits_to_ave_logit_diff(logits, answers), torch.tensor(-9.0))


def test_each_prompt_is_read_at_its_own_end():
    logits = torch.randn(3, 7, 6, generator=torch.Generator().manual_seed(0))
    expected = [logits[i, end, a] - logits[i, end, b] for i, (end, (a, b)) in enumerate(zip(END, ANSWERS, strict=True))]
    torch.testing.assert_close(logits_to_ave_logit_diff(logits, ANSWERS, True, END), torch.stack(expected))


@pytest.mark.parametrize("end", [None, END])
def test_shares_of_all_parts_add_up_to_the_logit_difference(model, prompts, end):
    lm, (tokens, _) = hooked(model), prompts
    logits, cache = lm.run_with_cache(tokens)
    W_U = lm.W_U.T
    directions = W_U[ANSWERS[:, 0]] - W_U[ANSWERS[:, 1]]
    at = torch.full((3,), -1) if end is None else end
    stack = cache.decompose_resid()[:, torch.arange(3), at]
    shares = residual_stack_to_logit_diff(stack, cache, directions, end)
    assert shares.shape == (len(stack),)
    with torch.no_grad():
        bias = model.ln_final(torch.zeros(1, lm.d_model).to(stack)) @ directions.T
    whole = logits_to_ave_logit_diff(logits, ANSWERS, end=end)
    torch.testing.assert_close(shares.sum() + bias.mean(), whole, rtol=0, atol=1e-10)


def test_a_stack_may_have_any_axes_in_front(model, prompts):
    _, cache = hooked(model).run_with_cache(prompts[0])
    directions = torch.randn(3, 24, dtype=torch.float64)
    stack = torch.randn(2, 5, 3, 24, dtype=torch.float64)
    shares = residual_stack_to_logit_diff(stack, cache, directions)
    assert shares.shape == (2, 5)
    torch.testing.assert_close(shares[1, 3], residual_stack_to_logit_diff(stack[1, 3], cache, directions))


@pytest.mark.parametrize("form", ["gpt2", "llama"])
def test_shares_are_the_same_on_the_bridge(bridged, prompts, form):
    stack, directions = torch.randn(4, 3, 24, dtype=torch.float64), torch.randn(3, 24, dtype=torch.float64)
    caches = [hooked(model).run_with_cache(prompts[0])[1] for model in (make_random(form), bridged(form))]
    ours, theirs = (residual_stack_to_logit_diff(stack, cache, directions) for cache in caches)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-8)


def test_metric_is_zero_when_corrupted_one_when_clean_and_linear_between():
    logits = torch.randn(3, 7, 6, generator=torch.Generator().manual_seed(1))
    now = logits_to_ave_logit_diff(logits, ANSWERS)
    assert ioi_metric(logits, ANSWERS, now, now + 2) == 0
    torch.testing.assert_close(ioi_metric(logits, ANSWERS, now - 2, now), torch.tensor(1.0))
    torch.testing.assert_close(ioi_metric(logits, ANSWERS, now - 3, now + 1), torch.tensor(0.75))


def test_path_metric_is_zero_for_no_change_and_minus_one_at_the_new_level():
    logits = torch.randn(3, 7, 6, generator=torch.Generator().manual_seed(1))
    now = float(logits_to_ave_logit_diff(logits, ANSWERS))
    torch.testing.assert_close(ioi_path_metric(logits, ANSWERS, now, now - 2), torch.tensor(0.0))
    torch.testing.assert_close(ioi_path_metric(logits, ANSWERS, now + 2, now), torch.tensor(-1.0))
    torch.testing.assert_close(ioi_path_metric(logits, ANSWERS, now + 1, now - 3), torch.tensor(-0.25))


def test_metrics_keep_gradients():
    logits = torch.randn(3, 7, 6, requires_grad=True)
    ioi_metric(logits, ANSWERS, 0.5, 2.5).backward()
    assert logits.grad is not None
    assert logits.grad[0, -1, 1] == pytest.approx(1 / 6)
    assert logits.grad[:, :-1].eq(0).all()


def test_answers_of_another_shape_are_refused():
    for answers in (ANSWERS[:, 0], ANSWERS[:2], torch.zeros(3, 3, dtype=torch.long)):
        with pytest.raises(ShapeError, match=r"answer_tokens must be \(right, wrong\) for each of 3 prompts"):
            check_answers(answers, 3)


def test_text_as_answers_is_told_how_to_become_ids():
    with pytest.raises(TokenError, match=r"must be a tensor of token ids: got list\. .* model\.to_token_ids"):
        check_answers([(" Mary", " John")], 1)


def test_equal_levels_are_refused():
    with pytest.raises(ConfigError, match=r"must differ: got 1\.5 for both"):
        ioi_metric(torch.zeros(3, 7, 6), ANSWERS, 1.5, 1.5)


def test_half_precision_is_averaged_in_single():
    logits = (torch.randn(33, 2, 7, generator=torch.Generator().manual_seed(0)) * 5).bfloat16()
    answers = torch.tensor([[1, 2]]).expand(33, 2)
    exact = logits_to_ave_logit_diff(logits.double(), answers)
    torch.testing.assert_close(logits_to_ave_logit_diff(logits, answers), exact.float())
