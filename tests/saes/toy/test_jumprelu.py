"""JumpReLU forwards and backwards: by hand, and its gradients against what they estimate."""

import pytest
import torch

from arena_lib.core.seeds import make_generator
from arena_lib.errors import ConfigError
from arena_lib.saes.superposition.model import ToyModel, ToyModelConfig
from arena_lib.saes.toy.jumprelu import (
    Heaviside,
    JumpReLU,
    JumpReLUToySAE,
    JumpReLUToySAEConfig,
    compute_l0_loss,
    rectangle,
)

EPS = 0.5
Z = [[[0.9, 1.0, 1.2, 1.3, -2.0]], [[0.7, 0.76, 1.24, 5.0, 0.0]]]
"""Around a threshold of 1: within the window are 0.76 to 1.24."""


def apply(function, eps: float = EPS):
    z = torch.tensor(Z, requires_grad=True)
    theta = torch.tensor([[1.0, 1.0, 1.0, 1.0, 1.0]], requires_grad=True)
    out = function.apply(z, theta, eps)
    out.backward(torch.full_like(out, 3.0))
    return out.tolist(), z.grad.tolist(), theta.grad.tolist()


def test_heaviside_by_hand():
    out, grad_z, grad_theta = apply(Heaviside)
    assert out == [[[0.0, 0.0, 1.0, 1.0, 0.0]], [[0.0, 0.0, 1.0, 1.0, 0.0]]]
    assert grad_z == [[[0.0] * 5]] * 2
    assert grad_theta == [[-6.0, -12.0, -12.0, 0.0, 0.0]]  # -3 / 0.5 for each example in the window


def test_jumprelu_by_hand():
    out, grad_z, grad_theta = apply(JumpReLU)
    assert out == [
        [[0.0, 0.0, pytest.approx(1.2), pytest.approx(1.3), 0.0]],
        [[0.0, 0.0, pytest.approx(1.24), 5.0, 0.0]],
    ]
    assert grad_z == [[[0.0, 0.0, 3.0, 3.0, 0.0]]] * 2
    assert grad_theta == [[-6.0, -12.0, -12.0, 0.0, 0.0]]


def test_jumprelus_threshold_gradient_scales_with_the_threshold():
    z, theta = torch.tensor([[[2.1]]]), torch.tensor([[2.0]], requires_grad=True)
    JumpReLU.apply(z, theta, EPS).sum().backward()
    assert theta.grad.item() == pytest.approx(-2.0 / EPS)


def test_the_window_has_area_one():
    x = torch.linspace(-2, 2, 40_001)
    assert torch.trapezoid(rectangle(x), x).item() == pytest.approx(1.0, abs=1e-3)
    assert rectangle(torch.tensor([-0.5, 0.5])).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("function", [Heaviside, JumpReLU])
def test_threshold_gradients_estimate_the_slope_of_the_expectation(function):
    # For z uniform in [0, 2] the mean of H(z - theta) is 1 - theta / 2, that of JumpReLU 1 - theta^2 / 4.
    z = 2 * torch.rand(400_000, 1, 1, generator=make_generator(0), dtype=torch.float64)
    theta = torch.tensor([[0.8]], dtype=torch.float64, requires_grad=True)
    function.apply(z, theta, 0.2).mean().backward()
    slope = -0.5 if function is Heaviside else -0.8 / 2
    assert theta.grad.item() == pytest.approx(slope, rel=0.02)


def test_l0_counts_active_latents_and_moves_thresholds():
    pre_acts = torch.tensor([[[0.9, 1.1, 3.0]]], requires_grad=True)
    theta = torch.ones(1, 3, requires_grad=True)
    loss = compute_l0_loss(pre_acts, theta, EPS)
    assert loss.tolist() == [[2.0]]
    loss.sum().backward()
    assert theta.grad.tolist() == [[-2.0, -2.0, 0.0]]
    assert not pre_acts.grad.any()


def test_the_sae_cuts_at_its_thresholds_and_pays_for_each_active_latent():
    model = ToyModel(ToyModelConfig(n_inst=2), 0.4, generator=make_generator(0))
    cfg = JumpReLUToySAEConfig(n_inst=2, sparsity_coef=0.3, theta_init=0.2)
    sae = JumpReLUToySAE(cfg, model, make_generator(1))
    h = sae.generate_batch(30, make_generator(2))
    terms, loss, latents, _ = sae(h)
    torch.testing.assert_close(sae.theta, torch.full((2, 5), 0.2))
    assert latents[latents > 0].min() > 0.2
    assert torch.equal(terms["sparsity"], (latents > 0).sum(dim=-1).float())
    torch.testing.assert_close(loss, terms["reconstruction"] + 0.3 * terms["sparsity"])


@pytest.mark.parametrize("name", ["theta_init", "ste_eps"])
def test_thresholds_and_windows_must_be_above_zero(name):
    with pytest.raises(ConfigError, match=f"{name} must be finite and above 0"):
        JumpReLUToySAEConfig(**{name: 0.0})
