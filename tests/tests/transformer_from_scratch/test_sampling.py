"""What learners hand in for drawing one token, right in other ways."""

import importlib

import numpy as np
import pytest
import torch

from arena_lib.checking import run
from arena_lib.transformer import sampling

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


DRAWS = {
    "sample_basic": sampling.sample_basic,
    "sample_top_k": sampling.sample_top_k,
    "sample_top_p": sampling.sample_top_p,
    "sample_next_token": sampling.sample_next_token,
}


def restarting(draw):
    def function(*args, generator=None):
        return draw(*args, generator=generator and torch.Generator().manual_seed(generator.initial_seed() + 1))

    return function


def ignoring(draw):
    return lambda *args, generator=None: draw(*args)


def with_a_seed_of_its_own(draw):
    return lambda *args, generator=None: draw(*args, generator=torch.Generator().manual_seed(8))


@pytest.mark.parametrize("name", DRAWS)
@pytest.mark.parametrize(
    ("spoil", "mistake"),
    [
        (restarting, "seeds the generator again at each call"),
        (ignoring, "ignores the generator"),
        (with_a_seed_of_its_own, "draws the same token at every call"),
    ],
)
def test_a_generator_that_is_not_used_as_it_should_is_named(name, spoil, mistake):
    assert run(getattr(judges, f"test_{name}"), spoil(DRAWS[name])).diagnosis.mistake == mistake


def basic_by_exponentials(logits, generator=None):
    exponentials = logits.exp()
    return torch.multinomial(exponentials / exponentials.sum(), 1, generator=generator).item()


def top_k_by_softmax_of_probabilities(logits, k, generator=None):
    values, tokens = logits.softmax(-1).topk(min(k, len(logits)))
    return tokens[torch.multinomial(values.softmax(-1), 1, generator=generator)].item()


def top_p_by_softmax_of_probabilities(logits, p, k=1, generator=None):
    values, tokens = logits.softmax(-1).sort(descending=True)
    n_kept = max(k, 1 + int((values.cumsum(0) < p).sum()))
    return tokens[torch.multinomial(values[:n_kept].softmax(-1), 1, generator=generator)].item()


@pytest.mark.parametrize(
    ("name", "wrong", "mistake"),
    [
        ("sample_basic", basic_by_exponentials, "computes exponentials that overflow"),
        ("sample_top_k", top_k_by_softmax_of_probabilities, "takes the softmax of probabilities"),
        ("sample_top_p", top_p_by_softmax_of_probabilities, "takes the softmax of probabilities"),
    ],
)
def test_a_wrong_distribution_is_named(name, wrong, mistake):
    assert run(getattr(judges, f"test_{name}"), wrong).diagnosis.mistake == mistake
