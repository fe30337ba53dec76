"""The fast Llama form computes what the lesson form and transformers compute."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers.models.llama.modeling_llama import LlamaRMSNorm

from arena_lib.transformer import lesson_llama
from arena_lib.transformer.fast.llama import Llama, LlamaConfig, rotate, rotation_table
from arena_lib.transformer.fast.model import Transformer

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
