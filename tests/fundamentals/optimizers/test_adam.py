import itertools

import pytest
import torch
from tests.fundamentals.optimizers.agreement import assert_agree

from arena_lib.fundamentals.optimizers import Adam, AdamW

CASES = [*itertools.product([0.8, 0.9], [0.9, 0.95], [1e-3, 1e-2], [0.0, 0.05])]
PAIRS = {"Adam": (Adam, torch.optim.Adam), "AdamW": (AdamW, torch.optim.AdamW)}


@pytest.mark.parametrize(("beta1", "beta2", "eps", "weight_decay"), CASES)
@pytest.mark.parametrize("name", PAIRS)
def test_every_setting_is_torchs(name, beta1, beta2, eps, weight_decay):
    settings = {"lr": 0.02, "betas": (beta1, beta2), "eps": eps, "weight_decay": weight_decay}
    ours, theirs = PAIRS[name]
    assert_agree(lambda params: ours(params, **settings), lambda params: theirs(params, **settings))


@pytest.mark.parametrize("name", PAIRS)
def test_defaults_are_torchs(name):
    assert_agree(*PAIRS[name])


@pytest.mark.parametrize("name", PAIRS)
def test_the_first_step_goes_as_far_as_the_learning_rate_whatever_the_gradient(name):
    weight = torch.zeros(3, requires_grad=True)
    optimizer = PAIRS[name][0]([weight], lr=0.01)
    weight.grad = torch.tensor([1e-3, -5.0, 1e4])
    optimizer.step()
    torch.testing.assert_close(weight.detach(), torch.tensor([-0.01, 0.01, -0.01]), rtol=1e-4, atol=0.0)
