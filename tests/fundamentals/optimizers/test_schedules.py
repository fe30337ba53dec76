import pytest
import torch

from arena_lib.core.optimization import TrainingConfig, compute_lr
from arena_lib.errors import ConfigError
from arena_lib.fundamentals.optimizers import SGD, Schedule, SGDParamGroups, warmup_cosine


def weight():
    return torch.ones(2, requires_grad=True)


@pytest.mark.parametrize("n_warmup", [0, 1, 3, 11])
@pytest.mark.parametrize("final_fraction", [0.0, 0.1, 1.0])
def test_the_factor_is_what_the_trainer_of_this_library_uses(n_warmup, final_fraction):
    config = TrainingConfig(n_steps=12, lr=0.4, warmup=n_warmup, final_lr_fraction=final_fraction)
    ours = [0.4 * warmup_cosine(step, 12, n_warmup, final_fraction) for step in range(12)]
    assert ours == pytest.approx([compute_lr(step, config) for step in range(12)])
    assert 0.4 * warmup_cosine(12, 12, n_warmup, final_fraction) == pytest.approx(0.4 * final_fraction)
    assert warmup_cosine(40, 12, n_warmup, final_fraction) == pytest.approx(final_fraction)


def test_without_a_warmup_it_is_torchs_cosine():
    optimizer = torch.optim.SGD([weight()], lr=0.4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=9, eta_min=0.04)
    for step in range(10):
        assert optimizer.param_groups[0]["lr"] == pytest.approx(0.4 * warmup_cosine(step, 9, 0, 0.1))
        optimizer.step()
        schedule.step()


@pytest.mark.parametrize("cls", [torch.optim.SGD, SGDParamGroups])
def test_rates_of_all_groups_are_those_of_torchs_schedule(cls):
    def groups():
        return [{"params": [weight()], "lr": 0.5}, {"params": [weight()]}]

    def factor(step):
        return 1 / (1 + step)

    ours, theirs = cls(groups(), lr=0.1), torch.optim.SGD(groups(), lr=0.1)
    schedules = Schedule(ours, factor), torch.optim.lr_scheduler.LambdaLR(theirs, factor)
    for _ in range(5):
        rates = [[group["lr"] for group in optimizer.param_groups] for optimizer in (ours, theirs)]
        assert rates[0] == pytest.approx(rates[1])
        theirs.step()
        for schedule in schedules:
            schedule.step()


@pytest.mark.parametrize("wrong", [(10, 10), (10, -1), (0, 0), (5, 1, 1.5), (5, 1, -0.1)])
def test_schedules_that_cannot_be_are_refused(wrong):
    with pytest.raises(ConfigError):
        warmup_cosine(0, *wrong)


def test_an_optimizer_without_groups_is_refused():
    with pytest.raises(ConfigError, match="got SGD without any"):
        Schedule(SGD([weight()], lr=0.1), lambda step: 1.0)
