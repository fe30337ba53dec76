import itertools

import pytest
import torch
from tests.fundamentals.optimizers.agreement import SHAPES, assert_agree
from torch import nn

from arena_lib.errors import ConfigError
from arena_lib.fundamentals.optimizers import SGDParamGroups, decay_groups, make_param_groups

OPTIONS = [
    {"momentum": momentum, "dampening": dampening, "weight_decay": weight_decay, "nesterov": nesterov}
    for momentum, dampening, weight_decay, nesterov in itertools.product(
        [0.0, 0.8], [0.0, 0.5], [0.0, 0.05], [False, True]
    )
    if not nesterov or (momentum and not dampening)
]


def weight(*shape):
    return torch.ones(shape, requires_grad=True)


@pytest.mark.parametrize("options", OPTIONS)
def test_every_option_is_torchs(options):
    assert_agree(
        lambda params: SGDParamGroups(params, lr=0.1, **options),
        lambda params: torch.optim.SGD(params, lr=0.1, **options),
    )


@pytest.mark.parametrize(("first", "second"), itertools.combinations(OPTIONS, 2))
def test_groups_with_settings_of_their_own_are_torchs(first, second):
    def groups(params):
        return [{"params": params[:2], **first}, {"params": params[2:], "lr": 0.3, **second}]

    assert_agree(
        lambda params: SGDParamGroups(groups(params), lr=0.1),
        lambda params: torch.optim.SGD(groups(params), lr=0.1),
        n_steps=6,
    )


def test_settings_that_change_between_steps_are_torchs():
    def changing(cls):
        class Changing(cls):
            def step(self):
                super().step()
                self.param_groups[0]["lr"] *= 0.5
                self.param_groups[0]["momentum"] = 0.9 - self.param_groups[0]["momentum"]

        return lambda params: Changing(params, lr=0.1, momentum=0.0)

    assert_agree(changing(SGDParamGroups), changing(torch.optim.SGD), SHAPES)


def test_groups_may_be_generators_and_what_is_handed_in_stays_as_it_is():
    first, second = weight(2), weight(3)
    given = [{"params": [first], "lr": 0.5}, {"params": (param for param in [second])}]
    groups = make_param_groups((group for group in given), {"lr": 0.1})
    assert [group["lr"] for group in groups] == [0.5, 0.1]
    assert groups[1]["params"][0] is second
    assert given[0] == {"params": [first], "lr": 0.5}
    assert "lr" not in given[1]


def test_groups_that_cannot_work_are_refused():
    param = weight(2)
    with pytest.raises(ConfigError, match="got one twice"):
        make_param_groups([{"params": [param]}, {"params": [param]}], {"lr": 0.1})
    with pytest.raises(ConfigError, match="among lr, momentum: got 'mometum'"):
        make_param_groups([{"params": [param], "mometum": 0.9}], {"lr": 0.1, "momentum": 0.0})
    with pytest.raises(ConfigError, match="every group must have a value for 'lr'"):
        make_param_groups([{"params": [param], "lr": 0.1}, {"params": [weight(3)]}], {"lr": None})
    with pytest.raises(ConfigError, match="got none"):
        make_param_groups([], {"lr": 0.1})
    with pytest.raises(ConfigError, match="lr must be"):
        SGDParamGroups([{"params": [param], "lr": -1.0}])
    with pytest.raises(ConfigError, match=r"got momentum=0\.9 and dampening=0\.5"):
        SGDParamGroups([param], lr=0.1, momentum=0.9, dampening=0.5, nesterov=True)


def test_only_what_has_two_axes_decays():
    model = nn.Sequential(nn.Conv1d(2, 3, 2), nn.BatchNorm1d(3), nn.Linear(3, 4), nn.Linear(4, 1, bias=False))
    model[2].weight.requires_grad_(False)
    first, second = decay_groups(model, 0.1)
    assert [tuple(param.shape) for param in first["params"]] == [(3, 2, 2), (1, 4)]
    assert [tuple(param.shape) for param in second["params"]] == [(3,), (3,), (3,), (4,)]
    assert (first["weight_decay"], second["weight_decay"]) == (0.1, 0.0)
    assert len(decay_groups(nn.Linear(2, 3, bias=False), 0.1)) == 1
    torch.optim.AdamW(decay_groups(model, 0.1))
