import pytest
import torch

from arena_lib.errors import ConfigError, ShapeError
from arena_lib.fundamentals.landscapes import (
    TwoLayers,
    behavioural_gradient,
    find_dead_units,
    flatten_parameters,
    linear_directions,
    outputs_at,
    rescale_hidden,
    scaling_directions,
    shift_directions,
    unflatten_parameters,
    unused_directions,
)


@pytest.fixture
def network():
    """Unit 1 is dead, units 0 and 3 are always on, and the last input is always 0."""
    model = TwoLayers(4, 6, 3, seed=1)
    with torch.no_grad():
        model.b_in += torch.tensor([50.0, -50.0, 0.0, 50.0, 0.1, -0.1])
    x = torch.randn(60, 4, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    x[:, 3] = 0
    return model, x, unflatten_parameters(flatten_parameters(model), model)


def flat(params):
    return torch.cat([part.flatten() for part in params.values()])


def test_rescaled_networks_give_the_same_answers(network):
    model, x, params = network
    scales = torch.rand(6, generator=torch.Generator().manual_seed(3), dtype=torch.float64) * 3 + 0.1
    torch.testing.assert_close(outputs_at(model, flat(rescale_hidden(params, scales)), x), model(x))


def test_every_direction_without_effect_is_explained(network):
    model, x, params = network
    gradient = behavioural_gradient(
        lambda theta: outputs_at(model, theta, x).log_softmax(dim=-1), flatten_parameters(model)
    )
    parts = [
        scaling_directions(params),
        shift_directions(params),
        unused_directions(params, x),
        linear_directions(params, x),
    ]
    explained = torch.cat(parts)
    assert (gradient @ explained.T).abs().max() < 1e-9
    n_flat = gradient.shape[1] - torch.linalg.matrix_rank(gradient, rtol=1e-9)
    assert n_flat == torch.linalg.matrix_rank(explained, rtol=1e-9)
    assert [len(part) for part in parts] == [6, 7, 5 + 3 + 5, 4], "dead: 4 weights, a bias, 3 out; 5 blank weights more"


def test_a_direction_is_the_way_on_which_rescaling_sets_out(network):
    _, _, params = network
    step = 1e-6
    for unit, direction in enumerate(scaling_directions(params)):
        scales = torch.ones(6, dtype=torch.float64)
        scales[unit] += step
        torch.testing.assert_close(
            (flat(rescale_hidden(params, scales)) - flat(params)) / step, direction, atol=1e-4, rtol=0
        )


def test_dead_units_are_found(network):
    _, x, params = network
    assert find_dead_units(params, x).tolist() == [False, True, False, False, False, False]


def test_scales_that_do_not_fit_are_refused(network):
    _, _, params = network
    with pytest.raises(ShapeError, match=r"each of the 6 hidden units: got shape \(5,\)"):
        rescale_hidden(params, torch.ones(5))
    with pytest.raises(ConfigError, match="above 0: got -1"):
        rescale_hidden(params, -torch.ones(6))
