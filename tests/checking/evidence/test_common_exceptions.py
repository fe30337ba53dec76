"""Common exceptions are explained, as PyTorch really words them."""

import pytest
import torch
from torch import nn

from arena_lib.checking import run
from arena_lib.checking.evidence.common_exceptions import MEANINGS, meaning_of


class Unprepared(nn.Module):
    def __init__(self):
        self.weight = nn.Parameter(torch.ones(2))


class Called(nn.Module):
    def __init__(self):
        self.slope = 0.1

    def forward(self, x):
        return x


def parameter():
    return nn.Parameter(torch.ones(3))


def a_second_time():
    loss = (parameter() ** 2).sum()
    loss.backward()
    loss.backward()


def changed_after_use():
    x = parameter().exp()
    y = (x * x).sum()
    x += 1
    y.backward()


CALLS = [
    ("None", lambda: 0.1 * parameter().grad),
    ("no_grad", lambda: parameter().__isub__(1)),
    ("no_grad", lambda: parameter().__setitem__(0, 1.0)),
    ("weren't calculated", lambda: torch.optim.SGD([parameter() * 2], lr=0.1)),
    ("leads back", lambda: torch.ones(3).sum().backward()),
    ("doesn't depend", lambda: torch.autograd.grad(parameter().sum(), parameter())),
    ("a single number", lambda: (parameter() * 2).backward()),
    ("anew", a_second_time),
    ("a clone", changed_after_use),
    ("one truth value", lambda: bool(torch.ones(3) > 0)),
    ("last but one", lambda: torch.ones(2, 3) @ torch.ones(2, 3)),
    ("from the last axis", lambda: torch.ones(2, 3) + torch.ones(2, 4)),
    ("dtypes", lambda: torch.ones(3, 3).double() @ torch.ones(3, 3)),
    ("dtypes", lambda: torch.ones(3).double() @ torch.ones(3)),
    ("dtypes", lambda: nn.Linear(3, 2)(torch.ones(2, 3).double())),
    ("super", Unprepared),
    ("super", lambda: Called()(1)),
    ("super", lambda: next(Called().parameters())),
    ("whole numbers", lambda: torch.ones(3)[torch.ones(2)]),
]


@pytest.mark.parametrize(("word", "call"), CALLS)
def test_what_pytorch_says_is_explained(word, call):
    with torch.enable_grad():
        try:
            call()
        except Exception as error:
            meanings = meaning_of(error)
    assert [word in meaning for meaning in meanings] == [True]


def test_every_explanation_is_of_an_exception_that_pytorch_raises():
    assert {meaning for meaning in MEANINGS.values() for word, _ in CALLS if word in meaning} == set(MEANINGS.values())


def test_a_learner_reads_the_explanation(toy):
    message = " ".join(run(toy.test_half_norm, lambda x, weight: x.detach().sum().backward()).message.split())
    assert "leads back to a tensor that requires a gradient" in message
    assert "  note  " not in run(toy.test_half_norm, lambda x, weight: x.no_such_method()).message
