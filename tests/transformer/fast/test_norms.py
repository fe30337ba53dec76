"""The norms, fused and step by step."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F

from arena_lib import zoo
from arena_lib.interp.attribution import direct_logit_attribution
from arena_lib.transformer.fast.model import Transformer
from arena_lib.transformer.fast.norms import LayerNorm, RMSNorm


@pytest.fixture(params=[LayerNorm, RMSNorm])
def norm(request: pytest.FixtureRequest) -> LayerNorm | RMSNorm:
    made = request.param(7, 0.3).double()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(torch.randn(7, generator=generator))
    return made


X = torch.randn(2, 3, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) + 0.5


def test_layer_norm_by_hand() -> None:
    norm = LayerNorm(4, 3.0)
    # mean 3, squared deviations 4 + 1 + 0 + ... : [1, 2, 3, 6] -> 4, 1, 0, 9, variance 3.5
    x = torch.tensor([[[1.0, 2.0, 3.0, 6.0]]])
    assert norm.scale(x).item() == pytest.approx(6.5**0.5)
    torch.testing.assert_close(norm(x), torch.tensor([[[-2.0, -1.0, 0.0, 3.0]]]) / 6.5**0.5)


def test_rms_norm_by_hand() -> None:
    norm = RMSNorm(2, 2.0)
    x = torch.tensor([[[1.0, 3.0]]])
    assert norm.scale(x).item() == pytest.approx(7**0.5)
    torch.testing.assert_close(norm(x), x / 7**0.5)


def test_attaching_something_does_not_change_the_output(norm: LayerNorm | RMSNorm) -> None:
    fused = norm(X)
    norm.hook_scale.attach(lambda tensor, hook: None, "fwd")
    torch.testing.assert_close(norm(X), fused)


def test_steps_compose_to_the_plain_norm(norm: LayerNorm | RMSNorm) -> None:
    torch.testing.assert_close(norm.gain(norm.normalized(X)), norm.plain(X))


@pytest.mark.parametrize("point", ["hook_scale", "hook_normalized"])
def test_a_hook_that_halves_its_tensor_scales_what_is_before_the_gain(norm: LayerNorm | RMSNorm, point: str) -> None:
    getattr(norm, point).attach(lambda tensor, hook: tensor / 2, "fwd")
    factor = 2 if point == "hook_scale" else 0.5
    torch.testing.assert_close(norm(X), norm.gain(norm.normalized(X) * factor))


def test_plain_layer_norm_is_torchs() -> None:
    norm = LayerNorm(7, 0.3).double()
    torch.testing.assert_close(norm.plain(X), F.layer_norm(X, (7,), eps=0.3))


# Half precision

HALF = [torch.float16, torch.bfloat16]
TOKENS = torch.randint(8, 37, (2, 7), generator=torch.Generator().manual_seed(3))


@pytest.fixture(params=["gpt2", "llama", "attention-only", "tiny-llama"])
def narrow_model(request: pytest.FixtureRequest, make_random: Callable[..., Transformer]) -> Transformer:
    """A model whose residual stream reaches 3000, as GPT-2's first position does; and one of the zoo."""
    if request.param == "tiny-llama":
        return zoo.load("tiny-llama")
    model = make_random(request.param).float()
    with torch.no_grad():
        model.embed.W_E[:, 2] = 3000
    return model


def is_near(actual: torch.Tensor, expected: torch.Tensor, dtype: torch.dtype) -> bool:
    """Whether two logits differ by no more than the roundings of a few layers."""
    steps = 12 * torch.finfo(dtype).eps
    return bool((actual.float() - expected.float()).abs().max() <= steps * expected.float().abs().max())


@pytest.mark.parametrize("dtype", HALF)
def test_a_hook_that_changes_nothing_changes_nothing(narrow_model: Transformer, dtype: torch.dtype) -> None:
    exact = narrow_model(TOKENS).float()
    model = narrow_model.to(dtype)
    plain = model(TOKENS)
    assert is_near(plain, exact, dtype)
    for name in model.hook_dict:
        hooked = model.run_with_hooks(TOKENS, [(name, lambda tensor, hook: None)])
        assert hooked.dtype == dtype, name
        assert is_near(hooked, plain, dtype), name
    everywhere = model.run_with_hooks(TOKENS, [(lambda name: True, lambda tensor, hook: None)])
    assert is_near(everywhere, plain, dtype)


@pytest.mark.parametrize("dtype", HALF)
def test_cached_scales_are_finite_and_those_of_the_exact_model(narrow_model: Transformer, dtype: torch.dtype) -> None:
    with torch.no_grad():
        _, exact = narrow_model.run_with_cache(TOKENS)
        scales = {name: exact[name] for name in exact if name.endswith("hook_scale")}
        _, cache = narrow_model.to(dtype).run_with_cache(TOKENS)
    for name, scale in scales.items():
        assert cache[name].dtype == torch.float32
        torch.testing.assert_close(cache[name], scale, rtol=12 * torch.finfo(dtype).eps, atol=0, msg=name)


@pytest.mark.parametrize("dtype", HALF)
def test_attributions_sum_to_the_logits(narrow_model: Transformer, dtype: torch.dtype) -> None:
    model = narrow_model.to(dtype)
    with torch.no_grad():
        logits, cache = model.run_with_cache(TOKENS)
        bias = model.ln_final.b.float() @ model.W_U.float() if hasattr(model.ln_final, "b") else torch.zeros(1)
        parts = cache.decompose_resid()
        found = torch.stack([cache.logit_attrs(parts, token).sum(dim=0) for token in range(8)], dim=-1)
    shift = bias[:8] if len(bias) > 1 else 0
    if model.unembed.b_U is not None:
        shift = shift + model.unembed.b_U[:8].float()
    assert is_near(found + shift, logits[..., :8], dtype)
    answers = torch.tensor([5, 6])
    for by in ("head", "layer"):
        total = direct_logit_attribution(model, TOKENS, answers, by=by).total
        assert is_near(total, logits[[0, 1], -1, answers], dtype)
