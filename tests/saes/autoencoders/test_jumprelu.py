"""JumpReLU: the paper's gradients term by term, what they estimate, and the lesson's form beside the fused one."""

import math

import pytest
import torch
from tests.saes.autoencoders.plain import BATCH, D_IN, D_SAE, assert_like_plain, draw, make, squared_error

from arena_lib.core.seeds import make_generator
from arena_lib.errors import ConfigError
from arena_lib.saes.autoencoders.jumprelu import JumpReLUAndL0, JumpReLUSAE, JumpReLUSAEConfig
from arena_lib.saes.toy.jumprelu import Heaviside, JumpReLU

FIELDS = {"l0_coef": 0.3, "initial_threshold": 0.4, "bandwidth": 0.7}


def rectangle(x: float) -> float:
    return 1.0 if abs(x) < 0.5 else 0.0


def test_forward_by_hand():
    pre_acts, threshold = (
        torch.tensor([[0.5, 2.0, -1.0, 1.0], [1.5, 2.0, 0.6, 0.0]]),
        torch.tensor([1.0, 1.0, 0.5, 1.0]),
    )
    latents, l0 = JumpReLUAndL0.apply(pre_acts, threshold, 0.1)
    assert torch.equal(latents, torch.tensor([[0.0, 2.0, 0.0, 0.0], [1.5, 2.0, 0.6, 0.0]]))
    assert l0.item() == 2.0


def test_gradients_are_the_papers_formulas():
    pre_acts, threshold = draw(BATCH, D_SAE).requires_grad_(), draw(D_SAE, seed=2).exp().requires_grad_()
    upstream, epsilon = draw(BATCH, D_SAE, seed=3), 0.7
    latents, l0 = JumpReLUAndL0.apply(pre_acts, threshold, epsilon)
    jump = torch.autograd.grad((latents * upstream).sum(), [pre_acts, threshold], retain_graph=True)
    step = torch.autograd.grad(l0, [pre_acts, threshold])
    assert torch.equal(step[0], torch.zeros_like(pre_acts))
    n_inside = 0
    for latent in range(D_SAE):
        theta = threshold[latent].item()
        for_jump = for_step = 0.0
        for example in range(BATCH):
            z, g = pre_acts[example, latent].item(), upstream[example, latent].item()
            kernel = rectangle((z - theta) / epsilon)
            n_inside += kernel
            for_jump += -(theta / epsilon) * kernel * g
            for_step += -(1 / epsilon) * kernel / BATCH
            assert jump[0][example, latent].item() == (g if z > theta else 0.0)
        assert jump[1][latent].item() == pytest.approx(for_jump)
        assert step[1][latent].item() == pytest.approx(for_step)
    assert n_inside > 5


@pytest.mark.parametrize("batch", [(BATCH,), (2, 3), ()], ids=str)
def test_values_and_gradients_are_those_of_the_two_functions_of_the_lesson(batch):
    def run(is_fused):
        pre_acts, threshold = draw(*batch, D_SAE).requires_grad_(), draw(D_SAE, seed=2).exp().requires_grad_()
        if is_fused:
            latents, l0 = JumpReLUAndL0.apply(pre_acts, threshold, 0.7)
        else:
            instances = (pre_acts[..., None, :], threshold[None], 0.7)
            latents = JumpReLU.apply(*instances).squeeze(-2)
            l0 = Heaviside.apply(*instances).sum(dim=(-2, -1)).mean()
        loss = (latents * draw(*batch, D_SAE, seed=3)).sum() + 2 * l0
        return [latents, l0, *torch.autograd.grad(loss, [pre_acts, threshold])]

    for fused, apart in zip(run(True), run(False), strict=True):
        assert torch.allclose(fused, apart, rtol=1e-12)


def test_loss_and_gradients_are_those_of_plain_code():
    """The plain form makes the kernel's terms with autograd: a surrogate whose slope in the threshold is the kernel."""

    def plain(w, acts, target):
        pre_acts = acts @ w["W_enc"] + w["b_enc"]
        theta = torch.exp(w["log_threshold"])
        kernel = ((pre_acts - theta).abs() / 0.7 < 0.5).double().detach()
        moving = theta - theta.detach()  # 0, with a gradient
        step = (pre_acts > theta).double() - kernel / 0.7 * moving
        latents = pre_acts * (pre_acts > theta).double() - kernel / 0.7 * theta.detach() * moving
        return squared_error(latents @ w["W_dec"] + w["b_dec"], target) + 0.5 * 0.3 * step.sum(dim=1).mean()

    losses = assert_like_plain(make(JumpReLUSAE, JumpReLUSAEConfig, **FIELDS), plain, sparsity_scale=0.5)
    assert losses.parts["l0"].item() == pytest.approx(0.5 * 0.3 * losses.l0.item())


def test_the_gradient_estimates_how_the_expected_loss_changes():
    pre_acts, target = torch.randn(400_000, 1, generator=make_generator(0), dtype=torch.float64), 1.5
    theta, width = torch.tensor([0.8], dtype=torch.float64, requires_grad=True), 0.1

    def loss(threshold):
        latents, l0 = JumpReLUAndL0.apply(pre_acts, threshold, width)
        return (latents - target).square().mean() + 0.3 * l0

    slope = torch.autograd.grad(loss(theta), theta)[0].item()
    with torch.no_grad():
        numeric = (loss(theta + width / 2) - loss(theta - width / 2)).item() / width
    assert numeric == pytest.approx(slope, rel=0.02)
    assert abs(slope) > 0.1


def test_the_training_form_and_the_analysis_form_agree():
    sae, acts = make(JumpReLUSAE, JumpReLUSAEConfig, **FIELDS), draw(6, D_IN)
    assert torch.allclose(sae.compute_loss(acts).latents, sae.encode(acts))
    assert torch.allclose(sae.encode(acts) > 0, sae.compute_pre_acts(acts) > sae.threshold)


def test_thresholds_start_as_told_and_start_anew_with_new_weights():
    sae = JumpReLUSAE(JumpReLUSAEConfig(d_in=D_IN, d_sae=D_SAE, l0_coef=1.0), make_generator(0))
    assert torch.allclose(sae.threshold, torch.full((D_SAE,), 0.001))
    replaced = torch.arange(D_SAE) < 2
    with torch.no_grad():
        sae.log_threshold.add_(1)
    sae.replace_latents(replaced, torch.ones(2, D_IN), torch.ones(2, D_IN))
    assert torch.allclose(sae.threshold[replaced], torch.full((2,), 0.001))
    assert torch.allclose(sae.threshold[~replaced], torch.full((D_SAE - 2,), 0.001 * math.e))


def test_a_window_without_width_is_refused():
    with pytest.raises(ConfigError, match=r"bandwidth must be finite and above 0: got 0"):
        JumpReLUSAEConfig(d_in=5, d_sae=11, l0_coef=1.0, bandwidth=0.0)
