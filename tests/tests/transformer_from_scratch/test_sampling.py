"""What learners hand in for drawing one token, right in other ways."""

import importlib

import numpy as np
import pytest
import torch

from arena_lib.checking import run

judges = importlib.import_module("arena_lib.tests.transformer_from_scratch")


def by_searchsorted(logits, generator=None):
    cumulative = logits.softmax(0).cumsum(0)
    return min(int(torch.searchsorted(cumulative, torch.rand(1, generator=generator), right=True)), len(logits) - 1)


def by_numpy(logits):
    return int(np.random.choice(len(logits), p=logits.double().softmax(0).numpy()))


def top_p_by_struck_out(logits, p, k=1, generator=None):
    probabilities = logits.softmax(0)
    values, order = probabilities.sort(descending=True)
    removed = torch.cat([torch.tensor([False]), (values.cumsum(0) >= p)[:-1]])
    removed[:k] = False
    probabilities[order[removed]] = 0
    return torch.multinomial(probabilities, 1, generator=generator).item()


@pytest.mark.parametrize("solution", [by_searchsorted, by_numpy])
def test_other_ways_to_draw_pass(solution):
    assert run(judges.test_sample_basic, solution).status == "passed"


def test_top_p_by_striking_out_passes():
    assert run(judges.test_sample_top_p, top_p_by_struck_out).status == "passed"
