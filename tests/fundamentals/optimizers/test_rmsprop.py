import itertools

import pytest
import torch
from tests.fundamentals.optimizers.agreement import assert_agree

from arena_lib.fundamentals.optimizers import CenteredRMSprop, RMSprop

CASES = [*itertools.product([0.9, 0.95], [1e-3, 1e-4], [0.0, 0.05], [0.0, 0.8])]


@pytest.mark.parametrize(("alpha", "eps", "weight_decay", "momentum"), CASES)
@pytest.mark.parametrize("centered", [False, True])
def test_every_setting_is_torchs(alpha, eps, weight_decay, momentum, centered):
    settings = {"lr": 0.02, "alpha": alpha, "eps": eps, "weight_decay": weight_decay, "momentum": momentum}
    cls = CenteredRMSprop if centered else RMSprop
    assert_agree(
        lambda params: cls(params, **settings),
        lambda params: torch.optim.RMSprop(params, **settings, centered=centered),
    )


def test_defaults_are_torchs():
    assert_agree(RMSprop, torch.optim.RMSprop)
