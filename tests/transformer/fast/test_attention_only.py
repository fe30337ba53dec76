"""The attention-only form, against its definition written out with one product for each head."""

from collections.abc import Callable

import pytest
import torch

from arena_lib.errors import ConfigError
from arena_lib.transformer.fast.attention_only import AttentionOnly, AttentionOnlyConfig
from arena_lib.transformer.fast.model import Transformer


def normalise(norm: torch.nn.Module, x: torch.Tensor, eps: float) -> torch.Tensor:
    return (x - x.mean(-1, keepdim=True)) / (x.var(-1, correction=0, keepdim=True) + eps).sqrt() * norm.w + norm.b


def write_out(model: AttentionOnly, tokens: torch.Tensor) -> torch.Tensor:
    """Logits head by head: positions added to the normalised inputs of q and k, never to v or the stream."""
    cfg, seq = model.cfg, tokens.shape[1]
    resid = model.embed.W_E[tokens]
    pos = model.pos_embed.W_pos[:seq]
    for block in model.blocks:
        attn, x = block.attn, normalise(block.ln1, resid, cfg.layer_norm_eps)
        out = attn.b_O
        for head_idx in range(cfg.n_heads):
            q = (x + pos) @ attn.W_Q[head_idx] + attn.b_Q[head_idx]
            k = (x + pos) @ attn.W_K[head_idx] + attn.b_K[head_idx]
            v = x @ attn.W_V[head_idx] + attn.b_V[head_idx]
            scores = q @ k.mT / cfg.d_head**0.5
            scores = scores + torch.full((seq, seq), -torch.inf).triu(1)
            out = out + scores.softmax(-1) @ v @ attn.W_O[head_idx]
        resid = resid + out
    return normalise(model.ln_final, resid, cfg.layer_norm_eps) @ model.unembed.W_U + model.unembed.b_U


def test_logits_are_those_of_the_definition(make_random: Callable[..., Transformer], tokens: torch.Tensor) -> None:
    model = make_random("attention_only")
    torch.testing.assert_close(model(tokens), write_out(model, tokens), rtol=0, atol=1e-10)


@pytest.mark.parametrize("part", ["q", "k", "v"])
def test_a_hook_on_a_heads_input_that_changes_nothing_changes_nothing(
    make_random: Callable[..., Transformer], tokens: torch.Tensor, part: str
) -> None:
    model = make_random("attention_only")
    seen = []
    hooks = [(f"blocks.1.hook_{part}_input", lambda tensor, hook: seen.append(tensor.shape))]
    logits = model.run_with_hooks(tokens, fwd_hooks=hooks)
    torch.testing.assert_close(logits, write_out(model, tokens), rtol=0, atol=1e-10)
    assert seen == [(*tokens.shape, model.cfg.n_heads, model.cfg.d_model)]


def test_positions_reach_queries_and_keys_but_not_values_or_the_stream(
    make_random: Callable[..., Transformer], tokens: torch.Tensor
) -> None:
    model = make_random("attention_only")
    _, before = model.run_with_cache(tokens)
    with torch.no_grad():
        model.pos_embed.W_pos += 1.0
    _, after = model.run_with_cache(tokens)
    for name in ("v", "resid_pre"):
        torch.testing.assert_close(after[name, 0], before[name, 0])
    for name in ("q", "k"):
        assert not torch.allclose(after[name, 0], before[name, 0])


def test_sizes_that_cannot_work_are_refused() -> None:
    with pytest.raises(ConfigError, match="d_head must be a whole number of at least 1: got -2"):
        AttentionOnlyConfig(d_head=-2)
    with pytest.raises(ConfigError, match="layer_norm_eps must be finite and above 0: got 0"):
        AttentionOnlyConfig(layer_norm_eps=0.0)
    with pytest.raises(ConfigError, match="init_range"):
        AttentionOnlyConfig(init_range=-0.1)
    with pytest.raises(ConfigError, match="n_layers"):
        AttentionOnlyConfig(n_layers=-1)
