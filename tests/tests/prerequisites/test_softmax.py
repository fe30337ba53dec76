"""What learners hand in for softmax and its kin, draws and Python: right and wrong."""

import importlib
import random

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from arena_lib.checking import run
from arena_lib.fundamentals.puzzles.python_basics import RunningMean

judges = importlib.import_module("arena_lib.tests.prerequisites")


def batches_by_pop(items, size):
    start = 0
    while True:
        piece = items[start : start + size]
        if not piece:
            return
        yield piece
        start += size


RIGHT = {
    "batched_logsoftmax": lambda matrix: matrix - torch.logsumexp(matrix, dim=1, keepdim=True),
    "batched_logsumexp": lambda matrix: torch.logsumexp(matrix, 1),
    "batched_cross_entropy_loss": lambda logits, labels: F.nll_loss(logits.log_softmax(1), labels, reduction="none"),
    "entropy": lambda probs: torch.distributions.Categorical(probs).entropy(),
    "in_batches": batches_by_pop,
    "numerical_derivative": lambda function, x, step=1e-4: (function(x + step) - function(x - step)) / step / 2,
}


@pytest.mark.parametrize("name", RIGHT)
def test_what_is_right_passes(name):
    assert run(getattr(judges, f"test_{name}"), RIGHT[name]).passed


def naive_softmax(matrix):
    return matrix.exp() / matrix.exp().sum(dim=1, keepdim=True)


class SharedNumbers(RunningMean):
    numbers: list[float] = []  # noqa: RUF012

    def __init__(self):
        pass

    def add(self, number):
        self.numbers.append(number)

    @property
    def mean(self):
        return sum(self.numbers) / max(len(self.numbers), 1)

    def __len__(self):
        return len(self.numbers)


WRONG = {
    ("batched_softmax", "overflows for large numbers"): naive_softmax,
    ("batched_softmax", "takes the softmax of columns"): lambda matrix: matrix.softmax(dim=0),
    ("batched_logsumexp", "overflows for large numbers"): lambda matrix: matrix.exp().sum(1).log(),
    ("batched_logsoftmax", "takes the log of a probability that was rounded to 0"): lambda matrix: matrix.softmax(
        1
    ).log(),
    ("batched_logsoftmax", "takes the softmax of columns"): lambda matrix: matrix.log_softmax(dim=0),
    ("batched_cross_entropy_loss", "takes the mean"): F.cross_entropy,
    ("entropy", "gives NaN where a probability is 0"): lambda probs: -(probs * probs.log()).sum(dim=1),
    ("sample_distribution", "draws all numbers alike"): lambda probs, n: torch.randint(len(probs), (n,)),
    ("running_mean", "shares the numbers between instances"): SharedNumbers,
    ("in_batches", "makes a list of all pieces"): lambda items, size: iter(
        [items[start : start + size] for start in range(0, len(items), size)]
    ),
    ("matmul_cost", "forgets the additions"): lambda r, k, c, b=4: (r * k * c, (r * k + k * c + r * c) * b),
}


@pytest.mark.parametrize(("name", "mistake"), WRONG)
def test_what_is_wrong_is_named(name, mistake):
    assert run(getattr(judges, f"test_{name}"), WRONG[name, mistake]).diagnosis.mistake == mistake


def test_draws_of_other_generators_are_no_draws_of_torch():
    def by_numpy(probs, n):
        return torch.from_numpy(np.random.default_rng().choice(len(probs), n, p=probs.double().numpy()))

    def by_random(probs, n):
        return torch.tensor(random.SystemRandom().choices(range(len(probs)), probs.tolist(), k=n))

    for draws in (by_numpy, by_random):
        assert not run(judges.test_sample_distribution, draws).passed
