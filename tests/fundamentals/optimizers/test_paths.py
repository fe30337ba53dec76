import pytest
import torch

from arena_lib.errors import ConfigError, ShapeError
from arena_lib.fundamentals.optimizers import SGD, gradient_descent, opt_fn, opt_fn_with_sgd
from arena_lib.fundamentals.optimizers.surfaces import SURFACES


@pytest.mark.parametrize("name", SURFACES)
def test_descent_is_sgd_without_momentum(name):
    surface = SURFACES[name]
    start = torch.tensor(surface.start)
    by_hand = gradient_descent(surface.fn, start, lr=0.001, n_iters=30)
    torch.testing.assert_close(by_hand, opt_fn_with_sgd(surface.fn, start, lr=0.001, momentum=0.0, n_iters=30))
    assert torch.equal(start, torch.tensor(surface.start))
    assert not by_hand.requires_grad
    assert surface.fn(*by_hand[-1]) < surface.fn(*start)


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
def test_the_way_of_our_sgd_is_that_of_torchs(momentum):
    start = torch.tensor([-4.0, 1.0])
    settings = {"lr": 0.02, "momentum": momentum}
    ours = opt_fn(SURFACES["ravine"].fn, start, SGD, settings, n_iters=50)
    torch.testing.assert_close(ours, opt_fn_with_sgd(SURFACES["ravine"].fn, start, **settings, n_iters=50))


@pytest.mark.parametrize("function", [gradient_descent, opt_fn_with_sgd])
def test_bad_starts_are_refused(function, without_types):
    with pytest.raises(ShapeError, match=r"got shape \(3,\)"):
        function(SURFACES["ravine"].fn, torch.zeros(3))
    with pytest.raises(ConfigError, match="n_iters must be at least 1: got 0"):
        function(SURFACES["ravine"].fn, torch.zeros(2), n_iters=0)
    with pytest.raises(ShapeError, match=r"got shape \(1, 2\)"):
        opt_fn(SURFACES["ravine"].fn, torch.zeros(1, 2), SGD, {"lr": 0.1})
