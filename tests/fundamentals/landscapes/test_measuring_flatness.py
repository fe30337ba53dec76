import pytest
import torch

from arena_lib.errors import ConfigError
from arena_lib.fundamentals.landscapes import (
    TwoLayers,
    exact_hessian,
    flatten_parameters,
    make_loss_function,
    measure_sharpness,
    outputs_at,
    raise_sharpness,
    rescale_hidden,
    scale_free_product,
    top_eigenpairs,
    unflatten_parameters,
)


def flat(params):
    return torch.cat([part.flatten() for part in params.values()])


@pytest.fixture
def network():
    model = TwoLayers(3, 4, 3)
    x = torch.randn(8, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    y = torch.tensor([0, 1, 2, 0, 1, 2, 1, 1])
    loss_fn = make_loss_function(model, x, y, torch.nn.functional.cross_entropy)
    return model, x, loss_fn, unflatten_parameters(flatten_parameters(model), model)


def test_one_function_can_have_any_sharpness_above_its_own(network):
    model, x, loss_fn, params = network

    def measure(parts):
        return measure_sharpness(loss_fn, flat(parts))

    for factor in (1.5, 30.0, 1000.0):
        goal = factor * measure(params)
        sharper = raise_sharpness(params, measure, goal)
        assert measure(sharper) == pytest.approx(goal, rel=1e-4)
        torch.testing.assert_close(outputs_at(model, flat(sharper), x), model(x))


def test_goals_below_and_out_of_reach_are_refused(network):
    _, _, _, params = network
    with pytest.raises(ConfigError, match="at least what the measure is now, 5: got 4"):
        raise_sharpness(params, lambda parts: 5.0, 4.0)
    with pytest.raises(ConfigError, match="within reach: got 6"):
        raise_sharpness(params, lambda parts: 5.0, 6.0)


def test_the_scale_free_product_is_that_of_d_h_d_and_its_eigenvalues_do_not_change_with_scale(network):
    _, _, loss_fn, params = network
    tops = []
    for scale in (1.0, 0.2, 9.0):
        theta = flat(rescale_hidden(params, torch.full((4,), scale, dtype=torch.float64)))
        matrix = theta.abs()[:, None] * exact_hessian(loss_fn, theta) * theta.abs()
        v = torch.arange(1.0, len(theta) + 1).double()
        torch.testing.assert_close(scale_free_product(loss_fn, theta, v), matrix @ v)
        tops.append(top_eigenpairs(lambda v, theta=theta: scale_free_product(loss_fn, theta, v), v, 1)[0].item())
    assert tops[1] == pytest.approx(tops[0], rel=1e-9)
    assert tops[2] == pytest.approx(tops[0], rel=1e-9)
