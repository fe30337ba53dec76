"""What learners hand in for cutting off the tail, in other ways."""

import importlib

import torch

from arena_lib.checking import run

judges = importlib.import_module("arena_lib.tests.transformer_from_scratch")


def top_p_by_struck_out(logits, p, k=1, generator=None):
    probabilities = logits.softmax(0)
    values, order = probabilities.sort(descending=True)
    removed = torch.cat([torch.tensor([False]), (values.cumsum(0) >= p)[:-1]])
    removed[:k] = False
    probabilities[order[removed]] = 0
    return torch.multinomial(probabilities, 1, generator=generator).item()


def test_top_p_by_striking_out_passes():
    assert run(judges.test_sample_top_p, top_p_by_struck_out).status == "passed"
