import pytest
import torch
from tests.interp.patching.conftest import make_random

from arena_lib import zoo
from arena_lib.errors import ConfigError, ShapeError
from arena_lib.interp.weights import (
    component_labels,
    decompose_attn_scores,
    decompose_k,
    decompose_q,
    decompose_qk_input,
)
from arena_lib.transformer.fast.attention_only import AttentionOnly, AttentionOnlyConfig


def run(model: AttentionOnly, seq: int = 7):
    tokens = torch.randint(0, model.cfg.d_vocab, (1, seq), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        return model.run_with_cache(tokens, remove_batch_dim=True)[1]


def past(seq: int) -> torch.Tensor:
    return torch.ones(seq, seq, dtype=torch.bool).tril()


def test_the_parts_add_up_to_the_scores_exactly():
    model = make_random("attention_only")
    cache = run(model)
    with torch.no_grad():
        parts = decompose_qk_input(cache)
        assert parts.shape == (model.cfg.n_heads + 2, 7, model.cfg.d_model)
        torch.testing.assert_close(parts.sum(0), model.blocks[1].ln1(cache["resid_pre", 1]) + cache["pos_embed"])
        for head in range(model.cfg.n_heads):
            q, k = decompose_q(parts, head, model), decompose_k(parts, head, model)
            torch.testing.assert_close(q.sum(0), cache["q", 1][:, head], rtol=1e-10, atol=1e-10)
            torch.testing.assert_close(k.sum(0), cache["k", 1][:, head], rtol=1e-10, atol=1e-10)
            scores = decompose_attn_scores(q, k, model)
            assert scores.shape == (6, 6, 7, 7)
            total, cached = scores.sum((0, 1))[past(7)], cache["attn_scores", 1][head][past(7)]
            torch.testing.assert_close(total, cached, rtol=1e-10, atol=1e-10)


def test_each_part_is_its_own():
    """A head that is silenced leaves its part at zero, and the token's part follows the token."""
    model = make_random("attention_only")
    with torch.no_grad():
        model.blocks[0].attn.W_O[2] = 0.0
        parts = decompose_qk_input(run(model))
    assert parts[2 + 2].abs().max() == 0
    assert all(parts[component].abs().max() > 0.1 for component in (0, 1, 2, 3, 5))
    assert component_labels(model) == ["token", "position", "0.0", "0.1", "0.2", "0.3"]


def test_the_position_part_of_layer_ones_input_is_the_embedding_and_constants():
    model = make_random("attention_only")
    with torch.no_grad():
        model.blocks[0].attn.b_O.zero_()
        parts = decompose_qk_input(run(model))
        torch.testing.assert_close(parts[1], model.W_pos[:7] + model.blocks[1].ln1.b)


def test_in_the_bundled_model_induction_is_the_token_against_the_earlier_heads():
    """Most of what an induction head's score has more at the right place comes from token x layer 0."""
    model = zoo.load("attn-only-2l")
    generator = torch.Generator().manual_seed(0)
    half = torch.randperm(800, generator=generator)[:25] + 64
    tokens = torch.cat([half, half])[None]
    with torch.no_grad():
        cache = model.run_with_cache(tokens, remove_batch_dim=True)[1]
        parts = decompose_qk_input(cache)
        for head in (0, 1, 4):
            scores = decompose_attn_scores(decompose_q(parts, head, model), decompose_k(parts, head, model), model)
            second = torch.arange(26, 50)
            right = scores[..., second, second - 24]
            contrast = (right - scores[..., 26:50, :26].mean(dim=-1)).mean(dim=-1)
            assert contrast[0, 2:].sum() > 0.5 * contrast.sum() > 0


def test_batches_and_other_models_are_refused():
    model = make_random("attention_only")
    _, batched = model.run_with_cache(torch.zeros(2, 4, dtype=torch.int64))
    with pytest.raises(ShapeError, match=r"without a batch axis: got embed of shape \(2, 4, 24\)"):
        decompose_qk_input(batched)
    gpt2 = make_random("gpt2")
    _, cache = gpt2.run_with_cache(torch.zeros(1, 4, dtype=torch.int64), remove_batch_dim=True)
    with pytest.raises(ConfigError, match="must be attention-only, of at least two layers: got GPT2"):
        decompose_qk_input(cache)
    one_layer = AttentionOnly(AttentionOnlyConfig(d_model=6, d_vocab=5, n_ctx=4, n_layers=1, n_heads=2, d_head=3))
    with pytest.raises(ConfigError, match="AttentionOnly with 1"):
        decompose_q(torch.zeros(4, 3, 6), 0, one_layer)
