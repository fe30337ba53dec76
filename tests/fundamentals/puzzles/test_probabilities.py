import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from arena_lib.fundamentals.puzzles import probabilities

sizes = st.integers(1, 6)
shifts = st.sampled_from([0.0, 1000.0, -1000.0])


@settings(max_examples=25, deadline=None)
@given(sizes, sizes, shifts)
def test_softmax_and_its_kin_agree_with_torch(batch, n_classes, shift):
    logits = 3 * torch.randn(batch, n_classes) + shift
    labels = torch.randint(n_classes, (batch,))
    torch.testing.assert_close(probabilities.batched_logsumexp(logits), logits.logsumexp(dim=1))
    torch.testing.assert_close(probabilities.batched_softmax(logits), logits.softmax(dim=1))
    torch.testing.assert_close(probabilities.batched_logsoftmax(logits), logits.log_softmax(dim=1))
    losses = F.cross_entropy(logits, labels, reduction="none")
    torch.testing.assert_close(probabilities.batched_cross_entropy_loss(logits, labels), losses)


@settings(max_examples=25, deadline=None)
@given(sizes, sizes)
def test_gradients_are_those_of_torch(batch, n_classes):
    ours = torch.randn(batch, n_classes, requires_grad=True)
    theirs = ours.detach().clone().requires_grad_()
    labels = torch.randint(n_classes, (batch,))
    probabilities.batched_cross_entropy_loss(ours, labels).sum().backward()
    F.cross_entropy(theirs, labels, reduction="sum").backward()
    torch.testing.assert_close(ours.grad, theirs.grad)


@settings(max_examples=25, deadline=None)
@given(sizes, sizes)
def test_entropy_agrees_with_torch_and_counts_zeros_for_nothing(batch, n_classes):
    probs = torch.randn(batch, n_classes).softmax(dim=1)
    with_zeros = torch.cat([probs, torch.zeros(batch, 2)], dim=1)
    torch.testing.assert_close(probabilities.entropy(with_zeros), torch.special.entr(probs).sum(dim=1))


def test_a_uniform_distribution_has_the_largest_entropy():
    assert probabilities.entropy(torch.full((1, 8), 0.125)).item() == pytest.approx(math.log(8))


def test_the_error_of_a_slope_shrinks_with_the_square_of_the_step():
    errors = [abs(probabilities.numerical_derivative(math.exp, 0.0, step) - 1.0) for step in (0.1, 0.01)]
    assert errors[0] / errors[1] == pytest.approx(100, rel=0.01)


def test_draws_have_their_frequencies_and_follow_the_seed():
    probs, n = torch.tensor([0.0, 0.2, 0.5, 0.0, 0.3]), 100_000
    torch.manual_seed(3)
    draws = probabilities.sample_distribution(probs, n)
    shares = torch.bincount(draws, minlength=5) / n
    assert (shares - probs).abs().max() < 6 * math.sqrt(0.25 / n)
    assert (shares[[0, 3]] == 0).all()
    torch.manual_seed(3)
    assert torch.equal(draws, probabilities.sample_distribution(probs, n))


def test_a_draw_at_an_edge_belongs_to_the_next_number(monkeypatch):
    monkeypatch.setattr(torch, "rand", lambda n: torch.tensor([0.0, 0.25, 0.75])[:n])
    assert probabilities.sample_distribution(torch.tensor([0.0, 0.25, 0.5, 0.25]), 3).tolist() == [1, 2, 3]
