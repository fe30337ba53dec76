"""Transcoders: other targets than inputs, and the linear map beside the latents."""

import pytest
import torch
from tests.saes.autoencoders.plain import (
    BATCH,
    D_IN,
    D_OUT,
    D_SAE,
    assert_like_plain,
    draw,
    make,
    spread,
    squared_error,
)

from arena_lib.errors import ConfigError
from arena_lib.saes.autoencoders.gated import GatedSAE, GatedSAEConfig
from arena_lib.saes.autoencoders.jumprelu import JumpReLUSAEConfig
from arena_lib.saes.autoencoders.matryoshka import MatryoshkaSAE, MatryoshkaSAEConfig
from arena_lib.saes.autoencoders.topk import TopKSAEConfig
from arena_lib.saes.autoencoders.transcoders import (
    JumpReLUSkipTranscoder,
    SkipTranscoder,
    TopKSkipTranscoder,
    Transcoder,
    TranscoderConfig,
)

AS_TRANSCODER = {"d_out": D_OUT, "subtract_b_dec": False}


def plain_relu(w, acts, target):
    latents = torch.relu(acts @ w["W_enc"] + w["b_enc"])
    recon = latents @ w["W_dec"] + w["b_dec"] + (acts @ w["W_skip"] if "W_skip" in w else 0)
    return squared_error(recon, target) + 0.3 * latents.sum(dim=1).mean()


@pytest.mark.parametrize("variant", [Transcoder, SkipTranscoder])
def test_loss_and_gradients_are_those_of_plain_code(variant):
    sae = make(variant, TranscoderConfig, l1_coef=0.3, d_out=D_OUT)
    assert_like_plain(sae, plain_relu, target=draw(BATCH, D_OUT, seed=2))


def test_a_topk_skip_transcoder_has_the_loss_and_gradients_of_plain_code():
    def plain(w, acts, target):
        pre_acts = acts @ w["W_enc"] + w["b_enc"]
        cut = pre_acts.sort(dim=1, descending=True).values[:, 2:3].detach()
        latents = torch.relu(pre_acts) * (pre_acts >= cut)
        return squared_error(latents @ w["W_dec"] + w["b_dec"] + acts @ w["W_skip"], target) / spread(target)

    sae = make(TopKSkipTranscoder, TopKSAEConfig, k=3, **AS_TRANSCODER)
    assert_like_plain(sae, plain, target=draw(BATCH, D_OUT, seed=2))


def test_the_linear_map_starts_at_nothing_and_adds_what_it_says():
    acts = draw(BATCH, D_IN)
    for variant, cfg in (
        (SkipTranscoder, TranscoderConfig(d_in=D_IN, d_sae=D_SAE, d_out=D_OUT, l1_coef=0.3)),
        (TopKSkipTranscoder, TopKSAEConfig(d_in=D_IN, d_sae=D_SAE, k=3, **AS_TRANSCODER)),
        (JumpReLUSkipTranscoder, JumpReLUSAEConfig(d_in=D_IN, d_sae=D_SAE, l0_coef=0.3, **AS_TRANSCODER)),
    ):
        sae = variant(cfg).double()
        assert torch.allclose(sae(acts), sae.decode(sae.encode(acts)))
        with torch.no_grad():
            sae.W_skip.copy_(draw(D_IN, D_OUT, seed=2))
        assert torch.allclose(sae(acts), sae.decode(sae.encode(acts)) + acts @ sae.W_skip)


def test_any_variant_transcodes():
    target = draw(BATCH, D_OUT, seed=2)
    for sae in (
        make(GatedSAE, GatedSAEConfig, l1_coef=0.3, **AS_TRANSCODER),
        make(MatryoshkaSAE, MatryoshkaSAEConfig, k=3, widths=(4, D_SAE), **AS_TRANSCODER),
    ):
        assert sae(draw(BATCH, D_IN)).shape == (BATCH, D_OUT)
        losses = sae.compute_loss(draw(BATCH, D_IN), target)
        losses.total.backward()
        assert all(weight.grad is not None for weight in sae.parameters())


def test_a_transcoder_without_a_target_width_is_refused():
    with pytest.raises(ConfigError, match=r"how wide its target is: got d_out=None.*d_out=5"):
        TranscoderConfig(d_in=D_IN, d_sae=D_SAE, l1_coef=0.3)
    with pytest.raises(ConfigError, match="how wide its target is"):
        TopKSkipTranscoder(TopKSAEConfig(d_in=D_IN, d_sae=D_SAE, k=3))


def test_a_skip_transcoder_folds_the_scales_of_input_and_target():
    sae, acts = make(SkipTranscoder, TranscoderConfig, l1_coef=0.3, d_out=D_OUT), draw(BATCH, D_IN)
    recon = sae(acts * 0.3)
    sae.fold_scale(0.3, 7.0)
    assert torch.allclose(sae(acts) * 7.0, recon)
