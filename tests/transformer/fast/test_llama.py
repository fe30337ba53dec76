"""The fast Llama form computes what the lesson form and transformers compute."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers.models.llama.modeling_llama import LlamaRMSNorm

from arena_lib.errors import ConfigError
from arena_lib.transformer import lesson_llama
from arena_lib.transformer.fast.llama import (
    LinearScaling,
    Llama,
    Llama3Scaling,
    LlamaConfig,
    rotate,
    rotation_table,
)
from arena_lib.transformer.fast.model import Transformer
from arena_lib.transformer.huggingface import to_huggingface

SIZES = st.fixed_dictionaries(
    {
        "d_vocab": st.integers(5, 40),
        "n_ctx": st.integers(6, 13),
        "n_layers": st.integers(1, 3),
        "n_kv_heads": st.integers(1, 3),
        "d_head": st.sampled_from([2, 4, 6, 10]),
        "d_mlp": st.integers(3, 19),
        "rms_norm_eps": st.sampled_from([1e-5, 1e-2]),
        "rope_theta": st.sampled_from([3.0, 1e4]),
        "tie_embeddings": st.booleans(),
    }
)


@pytest.fixture(autouse=True)
def let_transformers_norm_in_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    """Transformers' RMSNorm goes through float32 whatever the dtype; 1e-8 needs it in the model's own."""

    def forward(self: LlamaRMSNorm, x: torch.Tensor) -> torch.Tensor:
        return self.weight * x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.variance_epsilon)

    monkeypatch.setattr(LlamaRMSNorm, "forward", forward)


@given(sizes=SIZES, group=st.integers(1, 3), width=st.integers(1, 3), seed=st.integers(0, 1000))
@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
def test_lesson_fast_form_and_transformers_agree(
    check_forms_agree: Callable[[Transformer, int], None], sizes: dict, group: int, width: int, seed: int
) -> None:
    n_heads = sizes["n_kv_heads"] * group
    check_forms_agree(Llama(LlamaConfig(**sizes, n_heads=n_heads, d_model=n_heads * (width + 2))), seed)


def test_rotate_is_the_lessons_rotation() -> None:
    x = torch.randn(2, 5, 3, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    positions = torch.arange(2, 7)
    expected = lesson_llama.apply_rotary(x, lesson_llama.rotary_angles(positions, 8, 20.0))
    torch.testing.assert_close(rotate(x, rotation_table(positions, 8, 20.0)), expected)


def test_rotation_keeps_the_dtype_of_its_input() -> None:
    x = torch.randn(1, 3, 2, 4, dtype=torch.bfloat16)
    assert rotate(x, rotation_table(torch.arange(3), 4, 20.0)).dtype == torch.bfloat16


def test_bfloat16_weights_run_and_stay_near_float32(
    make_random: Callable[..., Transformer], tokens: torch.Tensor
) -> None:
    model = make_random("llama").float()
    exact = model(tokens)
    rounded = model.bfloat16()(tokens)
    assert rounded.dtype == torch.bfloat16
    assert (rounded.float() - exact).abs().mean() < 0.05 * exact.abs().mean()


def test_rotation_is_not_rounded_by_a_stay_in_bfloat16(
    make_random: Callable[..., Transformer], tokens: torch.Tensor
) -> None:
    model = make_random("llama").float()
    exact = Llama(model.cfg)
    exact.load_state_dict(model.bfloat16().state_dict())
    assert torch.equal(model.float()(tokens), exact.eval()(tokens))
    assert model.double().rotation.dtype == torch.float32
    assert model.positions(slice(0, 3), 1).dtype == torch.float64
    assert "rotation" not in model.state_dict()


# -- scaling for long texts ---------------------------------------------------------------------


def test_linear_scaling_is_the_rotation_of_positions_between_the_integers() -> None:
    table = rotation_table(torch.arange(9), 6, 20.0, LinearScaling(factor=4.0))
    unscaled = rotation_table(torch.arange(3), 6, 20.0)
    torch.testing.assert_close(table[:, ::4], unscaled)


def test_llama3_scaling_slows_the_slow_pairs_keeps_the_fast_ones_and_mixes_between() -> None:
    scaling = Llama3Scaling(factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, pretrained_n_ctx=100)
    n_turns = torch.tensor([40.0, 4.0, 2.5, 1.0, 0.01])
    frequencies = n_turns * 2 * torch.pi / 100
    expected = frequencies * torch.tensor([1.0, 1.0, 0.5 + 0.5 / 8, 1 / 8, 1 / 8])
    torch.testing.assert_close(scaling.scale(frequencies), expected)


@given(
    scaling=st.one_of(
        st.builds(LinearScaling, factor=st.floats(1.5, 9.0)),
        st.builds(
            Llama3Scaling,
            factor=st.floats(1.5, 9.0),
            low_freq_factor=st.floats(0.1, 1.0),
            high_freq_factor=st.floats(1.5, 6.0),
            pretrained_n_ctx=st.integers(1, 10),
        ),
    ),
    seed=st.integers(0, 1000),
)
@settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
def test_a_scaled_model_agrees_with_transformers(
    make_random: Callable[..., Transformer],
    tokens: torch.Tensor,
    scaling: LinearScaling | Llama3Scaling,
    seed: int,
) -> None:
    model = make_random("llama", seed, rope_scaling=scaling, d_head=10)
    with torch.no_grad():
        logits = model(tokens)
        torch.testing.assert_close(logits, to_huggingface(model)(tokens).logits, rtol=0, atol=1e-5)
        model.rotation = rotation_table(torch.arange(11), 10, 50.0)
        assert not torch.equal(model(tokens), logits)


def test_the_scaling_stays_through_a_stay_in_bfloat16(make_random: Callable[..., Transformer]) -> None:
    model = make_random("llama", rope_scaling=LinearScaling(factor=3.0))
    expected = rotation_table(torch.arange(11), 4, 50.0, LinearScaling(factor=3.0))
    assert torch.equal(model.bfloat16().float().rotation, expected)


@pytest.mark.parametrize("factor", [0.0, -1.0, float("inf")])
def test_a_factor_that_cannot_work_is_refused(factor: float) -> None:
    for scaling in (LinearScaling, Llama3Scaling):
        with pytest.raises(ConfigError, match=rf"{scaling.__name__}.factor must be finite and above 0: got {factor}"):
            scaling(factor=factor)


def test_frequency_bounds_in_the_wrong_order_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"low_freq_factor must be below high_freq_factor: got 4\.0 and 4\.0"):
        Llama3Scaling(low_freq_factor=4.0)
    with pytest.raises(ConfigError, match="pretrained_n_ctx must be a whole number of at least 1: got 0"):
        Llama3Scaling(pretrained_n_ctx=0)


def test_the_lesson_forms_config_makes_a_model_without_scaling() -> None:
    cfg = lesson_llama.LlamaConfig(
        d_model=8, d_vocab=11, n_ctx=6, n_layers=1, n_heads=4, n_kv_heads=2, d_head=6, d_mlp=16
    )
    assert Llama(cfg).cfg == LlamaConfig(**vars(cfg), rope_scaling=None)
