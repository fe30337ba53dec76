"""What learners hand in for the attention exercises: right in other ways, and wrong."""

import functools
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


def test_attention_with_a_buffer_passes():
    assert run(judges.test_attention, AttentionWithBuffer).status == "passed"


@pytest.mark.parametrize(
    "solution",
    [
        AttentionWithBuffer,
        AttentionWithBuffer.apply_causal_mask,
        class_in_a_function(),
        class_in_a_function().apply_causal_mask,
        functools.partial(mask_by_where, -1e30),
    ],
)
def test_every_form_of_a_mask_passes(solution):
    assert run(judges.test_causal_mask, solution).status == "passed"


def test_a_mask_that_is_too_weak_fails():
    result = run(judges.test_causal_mask, functools.partial(mask_by_where, -5.0))
    assert result.status == "failed"
    assert result.diagnosis is None
