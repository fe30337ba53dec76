"""Which features are present: by hand, and in the long run."""

import pytest
import torch

from arena_lib.core.seeds import make_generator
from arena_lib.errors import ConfigError
from arena_lib.saes.superposition.features import (
    anticorrelated_presence,
    check_anticorrelated,
    check_correlated,
    check_probabilities,
    correlated_presence,
    draw_uniform,
    independent_presence,
    sparse_features,
)

N = 200_000
PROBABILITY = torch.tensor([[0.1, 0.1, 0.5, 0.5], [0.3, 0.3, 0.02, 0.02]])
NEAR = 5 * (0.25 / N) ** 0.5
"""Five standard errors of a share at most."""


def shares(presence: torch.Tensor) -> torch.Tensor:
    return presence.float().mean(dim=0)


@pytest.mark.parametrize(
    ("presence", "n_draws"), [(independent_presence, 4), (correlated_presence, 2), (anticorrelated_presence, 2)]
)
def test_each_feature_keeps_its_own_probability(presence, n_draws):
    draws = draw_uniform((N, 2, n_draws), make_generator(1))
    assert (shares(presence(draws, PROBABILITY)) - PROBABILITY).abs().max() < NEAR


def test_correlated_features_are_present_together_and_pairs_are_independent():
    is_present = correlated_presence(draw_uniform((N, 2, 2), make_generator(2)), PROBABILITY)
    assert torch.equal(is_present[..., ::2], is_present[..., 1::2])
    both_pairs = shares(is_present[..., 0] & is_present[..., 2])
    assert (both_pairs - PROBABILITY[:, 0] * PROBABILITY[:, 2]).abs().max() < NEAR


def test_anticorrelated_features_are_never_present_together_even_at_one_half():
    is_present = anticorrelated_presence(draw_uniform((N, 2, 2), make_generator(3)), PROBABILITY)
    assert not (is_present[..., ::2] & is_present[..., 1::2]).any()
    assert (is_present[:, 0, 2] | is_present[:, 0, 3]).all()  # 1/2 + 1/2: always one of them
    both_pairs = shares(is_present[..., 1] & is_present[..., 2])
    assert (both_pairs - PROBABILITY[:, 1] * PROBABILITY[:, 2]).abs().max() < NEAR


def test_anticorrelated_features_may_have_different_probabilities():
    probability = torch.tensor([[0.7, 0.3, 0.0, 1.0]])
    is_present = anticorrelated_presence(draw_uniform((N, 1, 2), make_generator(4)), probability)
    assert (shares(is_present) - probability).abs().max() < NEAR


@pytest.mark.parametrize("presence", [independent_presence, correlated_presence, anticorrelated_presence])
def test_probability_zero_is_never_present(presence):
    assert not presence(torch.zeros(3, 1, 2), torch.zeros(1, 2 if presence is independent_presence else 4)).any()


def test_absent_features_are_exactly_zero_and_arguments_stay():
    magnitudes = torch.tensor([[[0.5, torch.inf, 0.25]]])
    is_present = torch.tensor([[[True, False, False]]])
    assert sparse_features(is_present, magnitudes).tolist() == [[[0.5, 0.0, 0.0]]]
    assert magnitudes[0, 0, 2] == 0.25


def test_uniform_draws_fill_their_range_and_come_from_the_generator():
    draws = draw_uniform((N, 1, 1), make_generator(5), 0.5, 2.0)
    assert 0.5 <= draws.min() < 0.51
    assert 1.99 < draws.max() < 2.0
    assert torch.equal(draws, draw_uniform((N, 1, 1), make_generator(5), 0.5, 2.0))


@pytest.mark.parametrize("wrong", [-0.1, 1.1, float("nan")])
def test_a_probability_outside_zero_to_one_is_refused(wrong):
    with pytest.raises(ConfigError, match=f"must lie in .*got {wrong:g}"):
        check_probabilities(torch.tensor([[0.5, wrong]]))


def test_pairs_that_cannot_be_are_refused():
    with pytest.raises(ConfigError, match="same feature_probability"):
        check_correlated(torch.tensor([[0.5, 0.4]]))
    with pytest.raises(ConfigError, match="at most 1"):
        check_anticorrelated(torch.tensor([[0.51, 0.51]]))
    with pytest.raises(ConfigError, match="at most 1"):
        check_anticorrelated(torch.tensor([[0.1, 0.1, 0.1]]))  # half a pair
    check_correlated(torch.tensor([[0.4, 0.4]]))
    check_anticorrelated(torch.tensor([[0.5, 0.5]]))
