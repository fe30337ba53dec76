import pytest
import torch
from torch import nn

from arena_lib.errors import ConfigError, DtypeError
from arena_lib.fundamentals.optimizers import SGD, Adam, AdamW, Muon, NesterovSGD, PlainSGD, RMSprop
from arena_lib.fundamentals.optimizers.parameters import check_betas, check_settings, list_params, zero_like_each

CLASSES = [PlainSGD, SGD, NesterovSGD, RMSprop, Adam, AdamW]


def weight(*shape):
    return torch.ones(shape, requires_grad=True)


@pytest.mark.parametrize("cls", CLASSES)
def test_what_cannot_be_learned_is_refused(cls, without_types):
    with pytest.raises(ConfigError, match="got none"):
        cls([], lr=0.1)
    twice = weight(2)
    with pytest.raises(ConfigError, match="got one twice"):
        cls([twice, weight(2), twice], lr=0.1)
    with pytest.raises(ConfigError, match=r"must be a leaf: got a tensor of shape \(2,\)"):
        cls([weight(2) * 2], lr=0.1)
    with pytest.raises(DtypeError, match=r"got torch\.int64"):
        cls([torch.arange(3)], lr=0.1)
    with pytest.raises(DtypeError, match="got str"):
        cls(["weight"], lr=0.1)


def test_one_tensor_is_no_list_of_parameters():
    with pytest.raises(DtypeError, match=r"Pass \[tensor\]"):
        list_params(weight(2, 3))


def test_equal_parameters_are_not_the_same_parameter():
    assert len(list_params([weight(2), weight(2)])) == 2


def test_parameters_of_a_model_are_kept_as_they_are():
    model = nn.Linear(2, 3)
    assert all(a is b for a, b in zip(list_params(model.parameters()), model.parameters(), strict=True))


@pytest.mark.parametrize("wrong", [{"lr": -0.1}, {"lr": float("nan")}, {"momentum": float("inf")}, {"eps": -1e-9}])
def test_settings_out_of_range_are_refused(wrong):
    (name,) = wrong
    with pytest.raises(ConfigError, match=f"{name} must be a finite number of at least 0"):
        check_settings(**wrong)


@pytest.mark.parametrize("beta", [1.0, -0.1, float("nan")])
def test_a_share_must_be_below_1(beta):
    with pytest.raises(ConfigError, match="from 0 to below 1"):
        check_betas((0.9, beta))
    with pytest.raises(ConfigError, match="alpha must be"):
        RMSprop([weight(1)], alpha=beta)


def test_betas_are_two(without_types):
    with pytest.raises(ConfigError, match="got 3"):
        check_betas((0.9, 0.9, 0.9))


def test_muon_refuses_what_is_no_matrix():
    with pytest.raises(ConfigError, match=r"got a parameter of shape \(3,\)"):
        Muon([weight(2, 3), weight(3)])


def test_zeros_are_like_the_parameters():
    (zeros,) = zero_like_each([torch.ones(2, 3, dtype=torch.float64, requires_grad=True)])
    assert (zeros.shape, zeros.dtype, zeros.requires_grad) == ((2, 3), torch.float64, False)
