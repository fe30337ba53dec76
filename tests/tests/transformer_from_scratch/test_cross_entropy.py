"""What learners hand in for the loss: wrong in one likely way each."""

import importlib

import pytest
import torch.nn.functional as F

from arena_lib.checking import run

judges = importlib.import_module("arena_lib.tests.transformer_from_scratch")

WRONG = {
    "compares each position with the token before its own": lambda logits, tokens: F.cross_entropy(
        logits[:, 1:].flatten(0, 1), tokens[:, :-1].flatten()
    ),
    "compares each position but the first with its own token": lambda logits, tokens: F.cross_entropy(
        logits[:, 1:].flatten(0, 1), tokens[:, 1:].flatten()
    ),
    "takes the log of a probability that was rounded to 0": lambda logits, tokens: (
        -logits.softmax(-1).log()[:, :-1].gather(2, tokens[:, 1:, None]).mean()
    ),
    "leaves d_vocab on the last axis for F.cross_entropy": lambda logits, tokens: F.cross_entropy(
        logits[:, :-1], tokens[:, 1:]
    ),
    "drops the first token, but not the last logits": lambda logits, tokens: F.cross_entropy(logits.mT, tokens[:, 1:]),
    "gathers with an index that lacks the last axis": lambda logits, tokens: (
        -logits[:, :-1].log_softmax(-1).gather(2, tokens[:, 1:]).mean()
    ),
    "shifts along the batch": lambda logits, tokens: F.cross_entropy(logits[:-1].flatten(0, 1), tokens[1:].flatten()),
    "averages over the batch but sums over positions": lambda logits, tokens: (
        F.cross_entropy(logits[:, :-1].mT, tokens[:, 1:], reduction="none").sum(1).mean()
    ),
    "leaves the softmax out": lambda logits, tokens: -logits[:, :-1].gather(2, tokens[:, 1:, None]).mean(),
    "pairs every position with every token": lambda logits, tokens: (
        -logits[:, :-1].log_softmax(-1)[:, :, tokens[:, 1:]].mean()
    ),
    "reshapes with positions and vocabulary swapped": lambda logits, tokens: F.cross_entropy(
        logits[:, :-1].transpose(1, 2).reshape(-1, logits.shape[-1]), tokens[:, 1:].flatten()
    ),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_a_wrong_loss_is_named(mistake):
    assert run(judges.test_cross_entropy_next_token, WRONG[mistake]).diagnosis.mistake == mistake


def test_a_sum_over_positions_is_said_to_be_so_many_times_too_large():
    result = run(judges.test_cross_entropy_next_token, WRONG["averages over the batch but sums over positions"])
    assert result.mismatch.pattern == "it is 4 times too large"
