"""ReLU with L1: losses and gradients beside plain code, and what becomes of the decoder's lengths."""

import pytest
import torch
from tests.saes.autoencoders.plain import D_IN, D_SAE, assert_like_plain, draw, make, squared_error

from arena_lib.core.seeds import make_generator
from arena_lib.errors import ConfigError
from arena_lib.saes.autoencoders.relu import DecoderNormSAE, DecoderNormSAEConfig, ReLUSAE, ReLUSAEConfig


def test_loss_and_gradients_are_those_of_plain_code():
    def plain(w, acts, target):
        latents = torch.relu((acts - w["b_dec"]) @ w["W_enc"] + w["b_enc"])
        return squared_error(latents @ w["W_dec"] + w["b_dec"], target) + 0.5 * 0.3 * latents.sum(dim=1).mean()

    losses = assert_like_plain(make(ReLUSAE, ReLUSAEConfig, l1_coef=0.3), plain, sparsity_scale=0.5)
    assert sum(losses.parts.values()).item() == pytest.approx(losses.total.item())
    assert losses.parts.keys() == {"mse", "l1"}


def test_loss_weighted_by_decoder_norms_and_its_gradients_are_those_of_plain_code():
    def plain(w, acts, target):
        latents = torch.relu(acts @ w["W_enc"] + w["b_enc"])
        lengths = (w["W_dec"] ** 2).sum(dim=1).sqrt()
        return squared_error(latents @ w["W_dec"] + w["b_dec"], target) + 0.3 * (latents * lengths).sum(dim=1).mean()

    assert_like_plain(make(DecoderNormSAE, DecoderNormSAEConfig, l1_coef=0.3), plain)


def test_the_training_form_and_the_analysis_form_agree():
    for sae in (make(ReLUSAE, ReLUSAEConfig, l1_coef=0.3), make(DecoderNormSAE, DecoderNormSAEConfig, l1_coef=0.3)):
        acts = draw(3, D_IN)
        losses = sae.compute_loss(acts)
        assert torch.allclose(losses.latents, sae.encode(acts))
        assert losses.parts["mse"].item() == pytest.approx(squared_error(sae(acts), acts).item())


def test_scaling_latents_against_directions_changes_the_plain_l1_but_not_the_weighted_one():
    """The reason for either remedy: else small latents with long directions would be free."""
    for variant, config, is_equal in (
        (ReLUSAE, ReLUSAEConfig, False),
        (DecoderNormSAE, DecoderNormSAEConfig, True),
    ):
        sae = make(variant, config, l1_coef=0.3)
        before = sae.compute_loss(draw(6, D_IN)).parts
        with torch.no_grad():
            sae.W_enc.div_(2)
            sae.b_enc.div_(2)
            sae.W_dec.mul_(2)
        after = sae.compute_loss(draw(6, D_IN)).parts
        assert after["mse"].item() == pytest.approx(before["mse"].item())
        assert (after["l1"].item() == pytest.approx(before["l1"].item())) == is_equal


def test_only_the_first_keeps_directions_at_length_one():
    for variant, config, is_kept in (
        (ReLUSAE, ReLUSAEConfig, True),
        (DecoderNormSAE, DecoderNormSAEConfig, False),
    ):
        sae = make(variant, config, l1_coef=0.3)
        sae.after_step()
        sae.compute_loss(draw(6, D_IN)).total.backward()
        sae.before_step()
        radial = (sae.W_dec.grad * sae.W_dec).sum(dim=1)
        assert torch.allclose(radial, torch.zeros(D_SAE).double(), atol=1e-12) == is_kept
        torch.optim.SGD(sae.parameters(), lr=0.1).step()
        sae.after_step()
        assert torch.allclose(sae.W_dec.norm(dim=1), torch.ones(D_SAE).double()) == is_kept


def test_the_second_starts_with_short_directions_in_both_weights():
    cfg = DecoderNormSAEConfig(d_in=5, d_sae=11, l1_coef=1.0, initial_norm=0.05)
    sae = DecoderNormSAE(cfg, make_generator(0))
    assert torch.allclose(sae.W_dec.norm(dim=1), torch.full((11,), 0.05))
    assert torch.equal(sae.W_enc, sae.W_dec.T)


def test_a_negative_weight_is_refused():
    with pytest.raises(ConfigError, match=r"ReLUSAEConfig.l1_coef must be finite and at least 0: got -1"):
        ReLUSAEConfig(d_in=5, d_sae=11, l1_coef=-1.0)
