import pytest
import torch

from arena_lib.errors import ConfigError, TrainingError
from arena_lib.fundamentals.landscapes import (
    TwoLayers,
    descend_and_measure,
    exact_hessian,
    flatten_parameters,
    make_loss_function,
    measure_sharpness,
)


def make_loss(activation="tanh"):
    model = TwoLayers(3, 4, 2, activation)
    generator = torch.Generator().manual_seed(0)
    x, y = (torch.randn(9, n, generator=generator, dtype=torch.float64) for n in (3, 2))
    return make_loss_function(model, x, y, torch.nn.functional.mse_loss), flatten_parameters(model)


def test_sharpness_is_the_largest_eigenvalue_not_the_largest_in_size():
    loss_fn, theta = make_loss()
    assert measure_sharpness(loss_fn, theta) == pytest.approx(
        torch.linalg.eigvalsh(exact_hessian(loss_fn, theta)).max().item(), rel=1e-4
    )
    assert measure_sharpness(lambda t: t[0] ** 2 - 9 * t[1] ** 2, torch.ones(2).double()) == pytest.approx(2)


def test_the_way_is_that_of_torchs_sgd():
    loss_fn, theta = make_loss()
    way = descend_and_measure(loss_fn, theta, 0.1, 7, 3)
    point = theta.clone().requires_grad_(True)
    optimizer = torch.optim.SGD([point], lr=0.1)
    for loss_before in way.losses:
        loss = loss_fn(point)
        assert loss.item() == pytest.approx(loss_before)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    torch.testing.assert_close(way.theta, point.detach())
    assert way.steps == [0, 3, 6]
    assert way.sharpness[0] == measure_sharpness(loss_fn, theta)


@pytest.mark.parametrize(("lr", "grows"), [(0.9, False), (1.1, True)])
def test_on_a_parabola_the_edge_is_at_two_over_the_learning_rate(lr, grows):
    losses = descend_and_measure(lambda theta: theta[0] ** 2, torch.ones(1), lr, 20, 20).losses
    assert (losses[-1] > losses[0]) == grows


def test_settings_that_cannot_work_and_losses_that_run_away_are_refused():
    loss_fn, theta = make_loss()
    with pytest.raises(ConfigError, match="lr must be finite and above 0: got 0"):
        descend_and_measure(loss_fn, theta, 0.0, 5, 1)
    with pytest.raises(ConfigError, match="every must be at least 1: got 0"):
        descend_and_measure(loss_fn, theta, 0.1, 5, 0)
    with pytest.raises(TrainingError, match="finite"):
        descend_and_measure(lambda t: (t**4).sum(), torch.full((2,), 9.0).double(), 1.0, 50, 60)
