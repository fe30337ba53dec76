"""What learners hand in for attention: right in other ways, and wrong."""

import importlib
import math

import pytest
import torch
from torch import nn

from arena_lib.checking import run

judges = importlib.import_module("arena_lib.tests.transformer_from_scratch")


class AttentionWithBuffer(nn.Module):
    """Weights in another order, a buffer for the masked scores, and double precision inside."""

    def __init__(self, cfg):
        super().__init__()
        self.cfg = cfg
        self.register_buffer("IGNORE", torch.tensor(-torch.inf))
        for name in "VKQ":
            setattr(self, f"W_{name}", nn.Parameter(torch.empty(cfg.n_heads, cfg.d_model, cfg.d_head)))
            setattr(self, f"b_{name}", nn.Parameter(torch.zeros(cfg.n_heads, cfg.d_head)))
        self.b_O = nn.Parameter(torch.zeros(cfg.d_model))
        self.W_O = nn.Parameter(torch.empty(cfg.n_heads, cfg.d_head, cfg.d_model))

    def forward(self, x):
        x = x.double()
        q, k, v = (
            torch.einsum("bpm,nmh->bpnh", x, getattr(self, f"W_{name}").double()) + getattr(self, f"b_{name}")
            for name in "QKV"
        )
        scores = torch.einsum("bqnh,bknh->bnqk", q, k) / math.sqrt(self.cfg.d_head)
        pattern = torch.softmax(self.apply_causal_mask(scores), -1)
        return (torch.einsum("bnqk,bknh,nhm->bqm", pattern, v, self.W_O.double()) + self.b_O).float()

    def apply_causal_mask(self, attn_scores):
        ones = torch.ones(attn_scores.size(-2), attn_scores.size(-1), device=attn_scores.device)
        attn_scores.masked_fill_(torch.triu(ones, diagonal=1).bool(), self.IGNORE)
        return attn_scores


def test_attention_with_a_buffer_passes():
    assert run(judges.test_attention, AttentionWithBuffer).status == "passed"


class AttentionWithoutAnyBias(AttentionWithBuffer):
    def forward(self, x):
        q, k, v = (torch.einsum("bpm,nmh->bnph", x, getattr(self, f"W_{name}")) for name in "QKV")
        pattern = self.apply_causal_mask(q @ k.mT / math.sqrt(self.cfg.d_head)).softmax(-1)
        return torch.einsum("bnph,nhm->bpm", pattern @ v, self.W_O)


def test_two_kinds_of_bias_left_out_are_both_named():
    result = run(judges.test_attention, AttentionWithoutAnyBias)
    assert result.diagnosis.mistake == "forgets b_O; and it forgets the biases of queries, keys and values"


class AttentionWithRootOfAHalf(AttentionWithBuffer):
    def forward(self, x):
        q, k, v = (
            torch.einsum("bpm,nmh->bnph", x, getattr(self, f"W_{name}")) + getattr(self, f"b_{name}")[:, None]
            for name in "QKV"
        )
        pattern = self.apply_causal_mask(q @ k.mT / (self.cfg.d_head * 0.5)).softmax(-1)
        return torch.einsum("bnph,nhm->bpm", pattern @ v, self.W_O) + self.b_O


def test_half_of_d_head_is_not_its_root():
    result = run(judges.test_attention, AttentionWithRootOfAHalf)
    assert result.diagnosis.mistake == "divides the scores by half of d_head"


def forward_of(forward):
    return type("Attention", (AttentionWithBuffer,), {"forward": forward})


def results_of_heads(self, x):
    q, k, v = (
        torch.einsum("bpm,nmh->bnph", x, self.get_parameter(f"W_{c}")) + self.get_parameter(f"b_{c}")[:, None]
        for c in "QKV"
    )
    return self.apply_causal_mask(q @ k.mT / self.cfg.d_head**0.5).softmax(-1) @ v


WRONG = {
    "multiplies x by W_Q without an axis for the heads": lambda self, x: x @ self.W_Q + self.b_Q,
    "adds a bias of the heads without an axis for the positions": lambda self, x: x[:, None] @ self.W_Q + self.b_Q,
    "does not sum over the heads": lambda self, x: results_of_heads(self, x) @ self.W_O + self.b_O,
    "leaves W_O out, and n_heads in": lambda self, x: results_of_heads(self, x).transpose(1, 2),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_a_wrong_attention_is_named(mistake):
    assert run(judges.test_attention, forward_of(WRONG[mistake])).diagnosis.mistake == mistake


def test_an_axis_that_stands_in_the_config_is_called_by_its_word():
    result = run(judges.test_attention, forward_of(WRONG["does not sum over the heads"]))
    assert result.mismatch.pattern == "there is an axis of length 3 (n_heads) too many"
