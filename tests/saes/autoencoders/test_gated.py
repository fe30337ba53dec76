"""Gated autoencoders: loss and gradients beside plain code, and what each path learns from."""

import pytest
import torch
from tests.saes.autoencoders.plain import D_IN, D_SAE, assert_like_plain, draw, make, squared_error

from arena_lib.saes.autoencoders.gated import GatedSAE, GatedSAEConfig


def test_loss_and_gradients_are_those_of_plain_code():
    def plain(w, acts, target):
        centered = acts - w["b_dec"]
        gate = centered @ w["W_enc"] + w["b_gate"]
        magnitudes = torch.relu(centered @ (w["W_enc"] * torch.exp(w["r_mag"])) + w["b_mag"])
        latents = (gate > 0).double() * magnitudes
        opened = torch.relu(gate)
        by_gate = opened @ w["W_dec"].detach() + w["b_dec"].detach()
        return (
            squared_error(latents @ w["W_dec"] + w["b_dec"], target)
            + 0.5 * 0.3 * opened.sum(dim=1).mean()
            + squared_error(by_gate, target)
        )

    losses = assert_like_plain(make(GatedSAE, GatedSAEConfig, l1_coef=0.3), plain, sparsity_scale=0.5)
    assert sum(losses.parts.values()).item() == pytest.approx(losses.total.item())


def test_latents_are_magnitudes_of_open_gates_in_both_forms():
    sae, acts = make(GatedSAE, GatedSAEConfig, l1_coef=0.3), draw(6, D_IN)
    product = (acts - sae.b_dec) @ sae.W_enc
    latents = sae.encode(acts)
    for example in range(6):
        for latent in range(D_SAE):
            is_open = product[example, latent] + sae.b_gate[latent] > 0
            magnitude = sae.r_mag[latent].exp() * product[example, latent] + sae.b_mag[latent]
            expected = max(magnitude.item(), 0.0) if is_open else 0.0
            assert latents[example, latent].item() == pytest.approx(expected)
    assert torch.allclose(sae.compute_loss(acts).latents, latents)


def test_a_closed_gate_and_a_negative_magnitude_both_happen():
    sae, acts = make(GatedSAE, GatedSAEConfig, l1_coef=0.3), draw(200, D_IN)
    gate = sae.compute_pre_acts(acts)
    magnitudes = sae.compute_magnitudes(gate)
    assert ((gate > 0) & (magnitudes == 0)).any()
    assert ((gate <= 0) & (magnitudes > 0)).any()


def test_there_is_no_encoder_bias_besides_the_two():
    sae = make(GatedSAE, GatedSAEConfig, l1_coef=0.3)
    assert sae.b_enc is None
    assert set(sae.state_dict()) == {"W_enc", "W_dec", "b_dec", "b_gate", "b_mag", "r_mag"}
