"""The norms, fused and step by step."""

import pytest
import torch
import torch.nn.functional as F

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
