import pytest
import torch
from tests.fundamentals.optimizers.agreement import assert_agree

from arena_lib.errors import ConfigError
from arena_lib.fundamentals.optimizers import SGD, NesterovSGD, PlainSGD

OPTIM = torch.optim.SGD


@pytest.mark.parametrize("lr", [0.1, 0.2])
def test_plain_descent_is_torchs(lr):
    assert_agree(lambda params: PlainSGD(params, lr), lambda params: OPTIM(params, lr))


@pytest.mark.parametrize("lr", [0.1, 0.2])
@pytest.mark.parametrize("momentum", [0.0, 0.8, 1.0])
@pytest.mark.parametrize("weight_decay", [0.0, 0.05])
def test_momentum_and_decay_are_torchs(lr, momentum, weight_decay):
    settings = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay}
    assert_agree(lambda params: SGD(params, **settings), lambda params: OPTIM(params, **settings))


@pytest.mark.parametrize("momentum", [0.5, 0.9])
@pytest.mark.parametrize("weight_decay", [0.0, 0.05])
def test_nesterovs_momentum_is_torchs(momentum, weight_decay):
    settings = {"lr": 0.1, "momentum": momentum, "weight_decay": weight_decay}
    assert_agree(
        lambda params: NesterovSGD(params, **settings), lambda params: OPTIM(params, **settings, nesterov=True)
    )


def test_nesterov_without_momentum_is_refused():
    with pytest.raises(ConfigError, match="above 0: got 0"):
        NesterovSGD([torch.ones(1, requires_grad=True)], lr=0.1, momentum=0.0)


@pytest.mark.parametrize("cls", [PlainSGD, SGD, NesterovSGD])
def test_parameters_change_in_place_and_nothing_is_recorded(cls):
    weight = torch.tensor([2.0, 4.0], requires_grad=True)
    view, optimizer = weight.detach(), cls([weight], lr=0.5)
    for _ in range(2):
        optimizer.zero_grad()
        weight.sum().backward()
        optimizer.step()
    assert torch.equal(view, weight.detach())
    assert weight.is_leaf
    assert weight.requires_grad
    assert torch.equal(weight.grad, torch.ones(2))
    optimizer.zero_grad()
    assert weight.grad is None
