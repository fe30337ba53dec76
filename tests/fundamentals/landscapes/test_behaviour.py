import pytest
import torch

from arena_lib.errors import ConfigError
from arena_lib.fundamentals.landscapes import (
    TwoLayers,
    behavioural_gradient,
    behavioural_spectrum,
    exact_hessian,
    flatten_parameters,
    outputs_at,
)


def make(seed, activation="tanh"):
    model = TwoLayers(3, 4, 2, activation, seed=seed)
    x = torch.randn(5, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return (lambda theta: outputs_at(model, theta, x)), flatten_parameters(model)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_it_is_torchs_jacobian(seed, activation):
    output_fn, theta = make(seed, activation)
    expected = torch.func.jacrev(output_fn)(theta).reshape(10, -1)
    torch.testing.assert_close(behavioural_gradient(output_fn, theta), expected)


def test_singular_values_squared_are_the_curvatures_of_the_distance_in_behaviour():
    output_fn, theta = make(0)
    here = output_fn(theta)
    hessian = exact_hessian(lambda place: 0.5 * ((output_fn(place) - here) ** 2).sum(dim=1).mean(), theta)
    squares = behavioural_spectrum(behavioural_gradient(output_fn, theta), n_examples=5) ** 2
    torch.testing.assert_close(torch.linalg.eigvalsh(hessian).flip(0)[: len(squares)], squares)


def test_no_examples_are_refused():
    with pytest.raises(ConfigError, match="n_examples must be at least 1: got 0"):
        behavioural_spectrum(torch.ones(2, 2), 0)
