"""The fast GPT-2 form computes what the lesson form and transformers compute."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from arena_lib.errors import ConfigError
from arena_lib.transformer import lesson
from arena_lib.transformer.fast.gpt2 import GPT2, GPT2Config
from arena_lib.transformer.fast.model import Transformer
from arena_lib.transformer.huggingface import to_huggingface

SIZES = st.fixed_dictionaries(
    {
        "d_vocab": st.integers(5, 40),
        "n_ctx": st.integers(6, 13),
        "n_layers": st.integers(1, 3),
        "n_heads": st.integers(1, 4),
        "d_head": st.integers(1, 7),
        "d_mlp": st.integers(3, 19),
        "layer_norm_eps": st.sampled_from([1e-5, 1e-2]),
    }
)


def randomise(model: torch.nn.Module, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if not name.endswith("b_U"):
                parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64) * 0.5)


@given(sizes=SIZES, tie_embeddings=st.booleans(), seed=st.integers(0, 1000))
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_lesson_fast_form_and_transformers_agree(sizes: dict, tie_embeddings: bool, seed: int) -> None:
    cfg = GPT2Config(**sizes, d_model=sizes["n_heads"] * sizes["d_head"], tie_embeddings=tie_embeddings)
    fast = GPT2(cfg).double()
    randomise(fast, seed)
    plain = lesson.DemoTransformer(cfg).double()
    plain.load_state_dict(fast.state_dict())
    tokens = torch.randint(0, cfg.d_vocab, (2, 6), generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        logits = fast(tokens)
        torch.testing.assert_close(logits, plain(tokens), rtol=0, atol=1e-8)
        torch.testing.assert_close(logits, to_huggingface(fast)(tokens).logits, rtol=0, atol=1e-8)


def test_heads_need_not_fill_the_residual_stream(tokens: torch.Tensor) -> None:
    cfg = GPT2Config(d_model=10, d_vocab=37, n_ctx=8, n_layers=2, n_heads=3, d_head=7, d_mlp=9)
    fast, plain = GPT2(cfg), lesson.DemoTransformer(cfg)
    randomise(fast, 0)
    plain.load_state_dict(fast.state_dict())
    torch.testing.assert_close(fast(tokens), plain(tokens), rtol=1e-4, atol=1e-4)


def test_without_layers_only_embeddings_remain(make_random: Callable[..., Transformer], tokens: torch.Tensor) -> None:
    fast = make_random("gpt2", n_layers=0)
    plain = lesson.DemoTransformer(fast.cfg).double()
    plain.load_state_dict(fast.state_dict())
    torch.testing.assert_close(fast(tokens), plain(tokens))


def test_gradients_are_those_of_the_lesson_form(make_random: Callable[..., Transformer], tokens: torch.Tensor) -> None:
    fast = make_random("gpt2")
    plain = lesson.DemoTransformer(fast.cfg).double()
    plain.load_state_dict(fast.state_dict())
    fast(tokens).pow(2).mean().backward()
    plain(tokens).pow(2).mean().backward()
    for ours, theirs in zip(fast.blocks, plain.blocks, strict=True):
        q, k, v = ours.attn.split(ours.attn.W_QKV.grad)
        torch.testing.assert_close(q.movedim(1, 0), theirs.attn.W_Q.grad)
        torch.testing.assert_close(k.movedim(1, 0), theirs.attn.W_K.grad)
        torch.testing.assert_close(v.movedim(1, 0), theirs.attn.W_V.grad)
        torch.testing.assert_close(ours.mlp.W_in.grad, theirs.mlp.W_in.grad)
    torch.testing.assert_close(fast.embed.W_E.grad, plain.embed.W_E.grad)


def test_the_unembedding_bias_is_added_but_not_trained(
    make_random: Callable[..., Transformer], tokens: torch.Tensor
) -> None:
    model = make_random("gpt2")
    before = model(tokens)
    assert not model.unembed.b_U.requires_grad
    with torch.no_grad():
        model.unembed.b_U[4] = 2.5
    expected = torch.zeros_like(before)
    expected[..., 4] = 2.5
    torch.testing.assert_close(model(tokens) - before, expected)


def test_tied_embeddings_share_one_weight(make_random: Callable[..., Transformer], tokens: torch.Tensor) -> None:
    model = make_random("gpt2", tie_embeddings=True)
    assert "unembed.W_U" not in dict(model.named_parameters())
    assert model.unembed.W_U.data_ptr() == model.embed.W_E.data_ptr()
    model(tokens).pow(2).sum().backward()
    unseen = [idx for idx in range(37) if idx not in tokens]
    assert model.embed.W_E.grad[unseen].abs().amin() > 0


def test_sizes_that_cannot_work_are_refused() -> None:
    with pytest.raises(ConfigError, match="n_heads must be a whole number of at least 1: got 0"):
        GPT2Config(n_heads=0)
