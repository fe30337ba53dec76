"""Matryoshka: every width reconstructs by itself, and the losses are a sum over widths."""

import pytest
import torch
from tests.saes.autoencoders.plain import BATCH, D_IN, D_SAE, assert_like_plain, draw, make, spread, squared_error

from arena_lib.errors import ConfigError
from arena_lib.saes.autoencoders.batch_topk import keep_batch_top_k
from arena_lib.saes.autoencoders.matryoshka import MatryoshkaSAE, MatryoshkaSAEConfig, decode_nested

WIDTHS = (3, 7, D_SAE)


def test_each_width_decodes_its_first_latents_alone():
    latents, W_dec, b_dec = draw(BATCH, D_SAE), draw(D_SAE, D_IN, seed=2), draw(D_IN, seed=3)
    for width, recon in zip(WIDTHS, decode_nested(latents, W_dec, b_dec, WIDTHS), strict=True):
        assert torch.allclose(recon, latents[:, :width] @ W_dec[:width] + b_dec)


def test_loss_and_gradients_are_those_of_plain_code():
    dead = torch.arange(D_SAE) >= 8

    def plain(w, acts, target):
        pre_acts = (acts - w["b_dec"]) @ w["W_enc"] + w["b_enc"]
        latents = keep_batch_top_k(pre_acts, 3)
        recons = [latents[:, :width] @ w["W_dec"][:width] + w["b_dec"] for width in WIDTHS]
        aux = squared_error(torch.relu(pre_acts[:, dead]) @ w["W_dec"][dead], (target - recons[-1]).detach())
        return (sum(squared_error(recon, target) for recon in recons) + aux / 32) / spread(target)

    sae = make(MatryoshkaSAE, MatryoshkaSAEConfig, k=3, widths=WIDTHS, k_aux=5)
    losses = assert_like_plain(sae, plain, dead=dead)
    assert set(losses.parts) == {"mse_3", "mse_7", "mse", "aux"}
    assert sum(losses.parts.values()).item() == pytest.approx(losses.total.item())
    assert sae.threshold > 0


@pytest.mark.parametrize("widths", [(3, 7), (7, 3, D_SAE), (0, D_SAE), ()])
def test_widths_that_do_not_grow_up_to_d_sae_are_refused(widths):
    with pytest.raises(ConfigError, match=r"widths must grow from 1 or more up to d_sae=11: got \("):
        MatryoshkaSAEConfig(d_in=D_IN, d_sae=D_SAE, k=2, widths=widths)
