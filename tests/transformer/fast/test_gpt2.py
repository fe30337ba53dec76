"""The fast GPT-2 form computes what the lesson form and transformers compute."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from arena_lib.errors import ConfigError
from arena_lib.transformer.fast.gpt2 import GPT2, GPT2Config
from arena_lib.transformer.fast.model import Transformer

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


@given(sizes=SIZES, tie_embeddings=st.booleans(), seed=st.integers(0, 1000))
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_lesson_fast_form_and_transformers_agree(
    check_forms_agree: Callable[[Transformer, int], None], sizes: dict, tie_embeddings: bool, seed: int
) -> None:
    cfg = GPT2Config(**sizes, d_model=sizes["n_heads"] * sizes["d_head"], tie_embeddings=tie_embeddings)
    check_forms_agree(GPT2(cfg), seed)


@pytest.mark.parametrize("sizes", [{"d_model": 10, "d_head": 7}, {"n_layers": 0}], ids=["heads wider", "no layers"])
def test_uncommon_sizes_are_computed_as_the_lesson_form_does(
    make_random: Callable[..., Transformer],
    lesson_form: Callable[[Transformer], torch.nn.Module],
    tokens: torch.Tensor,
    sizes: dict[str, int],
) -> None:
    """Heads need not fill the residual stream, and without layers only embeddings remain."""
    fast = make_random("gpt2", **sizes)
    torch.testing.assert_close(fast(tokens), lesson_form(fast)(tokens))


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
