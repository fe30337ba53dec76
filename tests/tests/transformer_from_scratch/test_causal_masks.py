"""What learners hand in for the causal masks: right in other ways, and wrong."""

import functools
import importlib

import pytest
import torch
from torch import nn

from arena_lib.checking import run

judges = importlib.import_module("arena_lib.tests.transformer_from_scratch")


class WithBuffer(nn.Module):
    """Keeps the value of hidden scores in a buffer, and writes into the scores."""

    def __init__(self, cfg):
        super().__init__()
        self.register_buffer("IGNORE", torch.tensor(-torch.inf))

    def apply_causal_mask(self, attn_scores):
        ones = torch.ones(attn_scores.size(-2), attn_scores.size(-1), device=attn_scores.device)
        attn_scores.masked_fill_(torch.triu(ones, diagonal=1).bool(), self.IGNORE)
        return attn_scores


def mask_by_where(fill, scores):
    later = torch.arange(scores.shape[-1]) > torch.arange(scores.shape[-2])[:, None]
    return torch.where(later, torch.full_like(scores, fill), scores)


def class_in_a_function():
    class Attention(nn.Module):
        def __init__(self, cfg):
            super().__init__()
            self.cfg = cfg

        def apply_causal_mask(self, attn_scores):
            assert self.cfg.n_heads
            return mask_by_where(-1e5, attn_scores)

    return Attention


@pytest.mark.parametrize(
    "solution",
    [
        WithBuffer,
        WithBuffer.apply_causal_mask,
        class_in_a_function(),
        class_in_a_function().apply_causal_mask,
        functools.partial(mask_by_where, -1e30),
    ],
)
def test_every_form_of_a_mask_passes(solution):
    assert run(judges.test_causal_mask, solution).status == "passed"


@pytest.mark.parametrize("judge", [judges.test_causal_mask, judges.test_cached_causal_mask])
@pytest.mark.parametrize("fill", [-100.0, -5.0])
def test_a_mask_that_is_too_weak_is_named(judge, fill):
    def mask(scores):
        n_before = scores.shape[-1] - scores.shape[-2]
        return scores.masked_fill(torch.ones_like(scores).triu(n_before + 1).bool(), fill)

    assert run(judge, mask).diagnosis.mistake == "hides the future with a number that is not low enough"


def ones(scores, **options):
    return torch.ones(scores.shape[-2:], **options)


WRONG = {
    "multiplies the mask by -inf": lambda scores: scores + torch.ones_like(scores).triu(1) * -torch.inf,
    "sets the future to zero": lambda scores: scores * ones(scores).tril(),
    "hides the present too": lambda scores: scores + (ones(scores) * -torch.inf).triu(),
    "hands masked_fill a mask of numbers": lambda scores: scores.masked_fill(ones(scores).triu(1), -torch.inf),
    "makes a mask of the size of batch and n_heads": lambda scores: scores.masked_fill(
        torch.ones(scores.shape[:2], dtype=torch.bool).triu(1), -torch.inf
    ),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_a_wrong_mask_is_named(mistake):
    assert run(judges.test_causal_mask, WRONG[mistake]).diagnosis.mistake == mistake


def test_a_mask_made_from_the_scores_values_is_named():
    result = run(judges.test_causal_mask, lambda scores: scores.masked_fill(scores.tril() == 0, -torch.inf))
    assert result.diagnosis.mistake == "hides every visible score that is exactly 0"
