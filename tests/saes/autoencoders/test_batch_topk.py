"""BatchTopK: the batch shares its latents, and the threshold takes over in use."""

import pytest
import torch
from tests.saes.autoencoders.plain import BATCH, D_IN, D_SAE, assert_like_plain, draw, make, spread, squared_error

from arena_lib.core.seeds import make_generator
from arena_lib.errors import ConfigError
from arena_lib.saes.autoencoders.batch_topk import BatchTopKSAE, BatchTopKSAEConfig, keep_batch_top_k


def test_the_batch_keeps_its_largest_latents_wherever_they_are():
    pre_acts = draw(BATCH, D_SAE)
    kept = keep_batch_top_k(pre_acts, 3)
    cut = sorted(pre_acts.flatten().tolist())[-3 * BATCH]
    assert torch.equal(kept, torch.where(pre_acts >= cut, pre_acts.relu(), 0.0))
    assert len(set((kept > 0).sum(dim=1).tolist())) > 1


def test_loss_and_gradients_are_those_of_plain_code():
    dead = torch.arange(D_SAE) >= 8

    def plain(w, acts, target):
        pre_acts = (acts - w["b_dec"]) @ w["W_enc"] + w["b_enc"]
        cut = pre_acts.flatten().sort().values[-2 * BATCH].detach()
        latents = pre_acts * (pre_acts >= cut)
        recon = latents @ w["W_dec"] + w["b_dec"]
        revived = torch.relu(pre_acts[:, dead])  # k_aux is more than there are
        aux = squared_error(revived @ w["W_dec"][dead], (target - recon).detach())
        return (squared_error(recon, target) + aux / 32) / spread(target)

    assert_like_plain(make(BatchTopKSAE, BatchTopKSAEConfig, k=2, k_aux=5), plain, dead=dead)


def test_the_threshold_is_a_mean_of_the_smallest_active_latents_and_learns_in_training_mode_alone():
    sae = make(BatchTopKSAE, BatchTopKSAEConfig, k=2, threshold_lr=0.25)
    first, second = draw(BATCH, D_IN), draw(BATCH, D_IN, seed=2)
    smallest = []
    for acts in (first, second):
        latents = sae.compute_loss(acts).latents
        smallest.append(latents[latents > 0].min().item())
        if acts is first:
            assert sae.threshold.item() == pytest.approx(smallest[0])
    assert sae.threshold.item() == pytest.approx(0.75 * smallest[0] + 0.25 * smallest[1])
    sae.eval()
    sae.compute_loss(first)
    assert sae.threshold.item() == pytest.approx(0.75 * smallest[0] + 0.25 * smallest[1])


def test_in_use_an_example_does_not_depend_on_its_neighbours():
    sae, acts = make(BatchTopKSAE, BatchTopKSAEConfig, k=2), draw(BATCH, D_IN)
    sae.compute_loss(acts)
    assert torch.allclose(sae.encode(acts)[2:4], sae.encode(acts[2:4]))


def test_with_the_threshold_just_under_the_smallest_active_latent_both_forms_agree():
    sae, acts = make(BatchTopKSAE, BatchTopKSAEConfig, k=2), draw(BATCH, D_IN)
    latents = sae.compute_loss(acts).latents
    sae.threshold.mul_(1 - 1e-9)
    assert torch.allclose(sae.encode(acts), latents)


def test_a_batch_without_active_latents_leaves_the_threshold_alone():
    sae = make(BatchTopKSAE, BatchTopKSAEConfig, k=2)
    sae.threshold.fill_(0.5)
    sae.move_threshold(torch.zeros(3, D_SAE, dtype=torch.float64))
    assert sae.threshold.item() == 0.5


def test_the_threshold_travels_with_the_weights():
    sae = make(BatchTopKSAE, BatchTopKSAEConfig, k=2)
    sae.compute_loss(draw(BATCH, D_IN))
    copy = BatchTopKSAE(sae.cfg, make_generator(3)).double()
    copy.load_state_dict(sae.state_dict())
    assert copy.threshold.item() == sae.threshold.item() > 0


def test_a_share_above_one_is_refused():
    with pytest.raises(ConfigError, match="threshold_lr must be above 0 and at most 1: got 2"):
        BatchTopKSAEConfig(d_in=5, d_sae=11, k=2, threshold_lr=2.0)
