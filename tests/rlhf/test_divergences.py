"""Entropy and KL against torch and by hand; the estimators' bias, variance and gradients, exactly."""

import math

import pytest
import torch
from torch.distributions import Categorical, kl_divergence

from arena_lib.errors import ShapeError
from arena_lib.rlhf.divergences import (
    calc_entropy_bonus,
    calc_kl_penalty,
    compute_entropy,
    compute_kl,
    kl_k1,
    kl_k2,
    kl_k3,
    measure_kl_estimators,
)


def two_policies(*shape: int, seed: int = 0, scale: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(shape, generator=generator, dtype=torch.float64)
    return logits, logits + scale * torch.randn(shape, generator=generator, dtype=torch.float64)


def test_entropy_and_kl_are_those_of_torch():
    logits, ref_logits = two_policies(3, 4, 7)
    torch.testing.assert_close(compute_entropy(logits), Categorical(logits=logits).entropy())
    expected = kl_divergence(Categorical(logits=logits), Categorical(logits=ref_logits))
    torch.testing.assert_close(compute_kl(logits, ref_logits), expected)


def test_kl_is_from_the_policy_to_the_reference():
    p, q = torch.tensor([0.9, 0.1]), torch.tensor([0.5, 0.5])
    expected = 0.9 * math.log(0.9 / 0.5) + 0.1 * math.log(0.1 / 0.5)
    assert compute_kl(p.log(), q.log()).item() == pytest.approx(expected)


def test_impossible_tokens_add_nothing_and_break_no_gradient():
    logits = torch.tensor([[1.0, -torch.inf, 0.0]], requires_grad=True)
    ref_logits = torch.tensor([[0.5, -torch.inf, 0.0]])
    smaller, ref_smaller = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.5, 0.0]])
    total = compute_entropy(logits) + compute_kl(logits, ref_logits)
    torch.testing.assert_close(total, compute_entropy(smaller) + compute_kl(smaller, ref_smaller))
    total.sum().backward()
    assert logits.grad.isfinite().all()


def test_kl_is_infinite_where_the_reference_says_never():
    assert compute_kl(torch.zeros(3), torch.tensor([0.0, 0.0, -torch.inf])) == torch.inf


def test_large_logits_overflow_nothing():
    logits, ref_logits = torch.tensor([1e4, 0.0, -1e4]), torch.tensor([0.0, 1e4, -1e4])
    assert compute_entropy(logits).item() == 0.0
    assert compute_kl(logits, ref_logits).item() == pytest.approx(1e4)


def test_half_precision_is_computed_in_float32():
    logits, ref_logits = (x.to(torch.bfloat16) for x in two_policies(5, 11, scale=0.01))
    assert compute_kl(logits, ref_logits).dtype == torch.float32
    torch.testing.assert_close(compute_kl(logits, ref_logits), compute_kl(logits.float(), ref_logits.float()))


@pytest.mark.parametrize("scale", [0.1, 1.0, 2.0])
def test_k1_and_k3_are_right_on_average_and_k2_is_not(scale):
    logits, ref_logits = two_policies(9, scale=scale)
    figures = measure_kl_estimators(logits, ref_logits)
    assert figures["k1"].bias == pytest.approx(0, abs=1e-12)
    assert figures["k3"].bias == pytest.approx(0, abs=1e-12)
    assert abs(figures["k2"].bias) > 1e-6


def test_k3_varies_less_than_k1_where_the_policies_are_near_and_more_where_they_are_far_apart():
    near, far = (measure_kl_estimators(*two_policies(9, scale=scale)) for scale in (0.1, 2.0))
    assert near["k3"].std < near["k1"].std / 5
    assert near["k2"].std < near["k1"].std / 5
    assert far["k3"].std > far["k1"].std


def test_k2_is_wrong_by_a_smaller_share_the_nearer_the_policies_are():
    shares = []
    for scale in (0.01, 0.1, 1.0):
        logits, ref_logits = two_policies(9, scale=scale)
        shares.append(abs(measure_kl_estimators(logits, ref_logits)["k2"].bias) / compute_kl(logits, ref_logits).item())
    assert shares == sorted(shares)
    assert shares[0] < 0.01


def test_the_figures_are_those_of_many_draws():
    logits, ref_logits = two_policies(6)
    drawn = torch.multinomial(logits.softmax(-1), 200_000, replacement=True, generator=torch.Generator().manual_seed(0))
    logprobs, ref_logprobs = logits.log_softmax(-1)[drawn], ref_logits.log_softmax(-1)[drawn]
    for name, estimate in (("k1", kl_k1), ("k2", kl_k2), ("k3", kl_k3)):
        terms, figures = estimate(logprobs, ref_logprobs), measure_kl_estimators(logits, ref_logits)[name]
        assert terms.mean().item() == pytest.approx(figures.mean, abs=5 * figures.std / 200_000**0.5)
        assert terms.std().item() == pytest.approx(figures.std, rel=0.05)


def test_k2_and_k3_are_never_negative_and_k1_may_be():
    logits, ref_logits = (x.log_softmax(-1) for x in two_policies(50))
    assert (kl_k1(logits, ref_logits) < 0).any()
    assert (kl_k2(logits, ref_logits) >= 0).all()
    assert (kl_k3(logits, ref_logits) >= 0).all()


def mean_gradient(estimate, logits, ref_logits):
    """The gradient of the estimate at fixed tokens, averaged over what the policy draws."""
    logits = logits.clone().requires_grad_()
    p = logits.detach().softmax(-1)
    (p * estimate(logits.log_softmax(-1), ref_logits.log_softmax(-1))).sum().backward()
    return logits.grad


def test_gradients_at_fixed_tokens_of_k1_vanish_of_k2_are_those_of_kl_and_of_k3_of_the_reverse():
    logits, ref_logits = two_policies(8)
    gradients = []
    for forwards in (True, False):
        own = logits.clone().requires_grad_()
        (compute_kl(own, ref_logits) if forwards else compute_kl(ref_logits, own)).backward()
        gradients.append(own.grad)
    torch.testing.assert_close(mean_gradient(kl_k1, logits, ref_logits), torch.zeros(8, dtype=torch.float64))
    torch.testing.assert_close(mean_gradient(kl_k2, logits, ref_logits), gradients[0])
    torch.testing.assert_close(mean_gradient(kl_k3, logits, ref_logits), gradients[1])
    assert not torch.allclose(gradients[0], gradients[1], atol=1e-3)


def test_penalty_and_bonus_are_means_over_tokens():
    logits, ref_logits = two_policies(2, 3, 5)
    assert calc_kl_penalty(logits, ref_logits, 0.3, 3).item() == pytest.approx(
        0.3 * compute_kl(logits, ref_logits).mean().item()
    )
    assert calc_entropy_bonus(torch.zeros(2, 3, 5), 0.2, 3).item() == pytest.approx(0.2 * math.log(5))


def test_penalty_and_bonus_leave_out_masked_tokens():
    logits, ref_logits = two_policies(2, 3, 5)
    mask = torch.tensor([[True, True, False], [True, False, False]])
    logits.requires_grad_()
    penalty = calc_kl_penalty(logits, ref_logits, 1.0, 3, mask=mask)
    bonus = calc_entropy_bonus(logits, 1.0, 3, mask=mask)
    torch.testing.assert_close(penalty, compute_kl(logits, ref_logits)[mask].mean())
    torch.testing.assert_close(bonus, compute_entropy(logits)[mask].mean())
    (penalty + bonus).backward()
    assert ((logits.grad != 0).any(dim=-1) == mask).all()


def test_logits_of_the_whole_text_are_refused():
    logits, ref_logits = two_policies(2, 6, 5)
    with pytest.raises(ShapeError, match=r"gen_len = 3 of them: got 6 positions. Cut them"):
        calc_kl_penalty(logits, ref_logits, 1.0, 3)
    with pytest.raises(ShapeError, match="gen_len = 3"):
        calc_entropy_bonus(logits, 1.0, 3)


def test_logits_of_another_vocabulary_or_of_other_places_are_refused(without_types):
    logits, _ = two_policies(2, 3, 5)
    for ref_logits in (logits[:, :1], logits[..., :4]):
        with pytest.raises(ShapeError, match="the same places and the same vocabulary"):
            calc_kl_penalty(logits, ref_logits, 1.0, 3)


def test_probabilities_too_small_for_a_float_add_nothing():
    kl = compute_kl(torch.tensor([0.0, -200.0]), torch.tensor([0.0, -torch.inf]))
    assert kl.item() == 0
