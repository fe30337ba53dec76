"""Optimizers as learners write them, right and wrong, and what they read of the mistakes that weak tests let through."""

import pytest
import torch
from torch import nn

from arena_lib.checking import run
from arena_lib.errors import CheckFailed
from arena_lib.fundamentals.optimizers.experiments import make_sweep_config
from arena_lib.tests import optimization as tests


def named(judge, wrong):
    """The status, and the mistake that was recognised."""
    result = run(judge, wrong)
    return result.status, result.diagnosis.mistake if result.diagnosis else ""


class SGDOnTorch(torch.optim.SGD):
    """PyTorch's own, which is right by definition."""


class AdamWOnTorch(torch.optim.AdamW):
    pass


@pytest.mark.parametrize(
    ("judge", "right"),
    [
        (tests.test_sgd, SGDOnTorch),
        (tests.test_sgd_param_groups, SGDOnTorch),
        (tests.test_adamw, AdamWOnTorch),
        (tests.test_adam, torch.optim.Adam),
        (tests.test_rmsprop, torch.optim.RMSprop),
    ],
)
def test_torchs_own_optimizers_pass(judge, right):
    result = run(judge, right)
    assert result.status == "passed", result.message


class AdamWithOneClock:
    """Right, but that one count of steps serves all parameters, and one of them begins late."""

    def __init__(self, params, lr=0.001, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
        self.params, self.lr, self.betas, self.eps, self.decay = list(params), lr, betas, eps, weight_decay
        self.t = 0
        self.m = [torch.zeros_like(p) for p in self.params]
        self.v = [torch.zeros_like(p) for p in self.params]

    def zero_grad(self):
        for p in self.params:
            p.grad = None

    @torch.inference_mode()
    def step(self):
        self.t += 1
        for p, m, v in zip(self.params, self.m, self.v, strict=True):
            if p.grad is None:
                continue
            g = p.grad + self.decay * p
            m.copy_(self.betas[0] * m + (1 - self.betas[0]) * g)
            v.copy_(self.betas[1] * v + (1 - self.betas[1]) * g**2)
            m_hat, v_hat = m / (1 - self.betas[0] ** self.t), v / (1 - self.betas[1] ** self.t)
            p -= self.lr * m_hat / (v_hat.sqrt() + self.eps)


def test_adam_with_one_count_for_all_parameters_is_told_so():
    status, mistake = named(tests.test_adam, AdamWithOneClock)
    assert status == "failed"
    assert mistake.startswith("counts the steps of all parameters together")


class SGDOfOneLife(SGDOnTorch):
    """A velocity that begins anew in every step."""

    def step(self):
        self.state.clear()
        super().step()


class SGDWithDataReplaced:
    """Each step gives the parameter new memory, which views of it never see."""

    def __init__(self, params, lr, momentum=0.0, weight_decay=0.0):
        self.params, self.lr, self.mu, self.decay = list(params), lr, momentum, weight_decay
        self.v = [torch.zeros_like(p) for p in self.params]

    def zero_grad(self):
        for p in self.params:
            p.grad = None

    def step(self):
        for i, p in enumerate(self.params):
            if p.grad is not None:
                self.v[i] = self.mu * self.v[i] + p.grad + self.decay * p.data
                p.data = p.data - self.lr * self.v[i]


def test_an_sgd_without_memory_or_with_new_memory_is_told_so():
    assert named(tests.test_sgd, SGDOfOneLife) == ("failed", "forgets the velocity after the step")
    assert named(tests.test_sgd, SGDWithDataReplaced) == ("failed", "replaces the parameter's memory")


def test_an_instance_in_place_of_the_class_is_told_so():
    result = run(tests.test_sgd, SGDOnTorch([nn.Parameter(torch.ones(2))], lr=0.1))
    assert result.status == "failed"
    assert "class" in result.message


def test_adamw_in_place_of_adam_and_the_other_way_round_are_told_so():
    assert named(tests.test_adam, torch.optim.AdamW)[0] == "failed"
    assert named(tests.test_adamw, torch.optim.Adam)[0] == "failed"


def test_a_sweep_configuration_may_be_handed_in_as_the_dictionary_of_other_notebooks():
    config = make_sweep_config()
    tests.test_sweep_config(config)
    config["parameters"]["batch_size"] = {"values": [32, 64]}
    with pytest.raises(CheckFailed, match="batch_size"):
        tests.test_sweep_config(config)
