"""The sparse form against the plain one, in values and gradients, and its parts by themselves."""

import pytest
import torch
from tests.saes.autoencoders.plain import BATCH, D_IN, D_OUT, D_SAE, draw, make

from arena_lib.core.seeds import make_generator
from arena_lib.saes.autoencoders.topk import PlainTopKSAE, TopKSAE, TopKSAEConfig
from arena_lib.saes.autoencoders.topk_sparse import compute_value_gradients, decode_sparsely, find_top_k, sum_by_latent

CASES = {
    "an autoencoder": {"k": 3},
    "as many latents as there are": {"k": D_SAE},
    "an encoder that reads acts as they are": {"k": 3, "subtract_b_dec": False},
    "a transcoder": {"k": 3, "subtract_b_dec": False, "d_out": D_OUT},
}


@pytest.mark.parametrize("has_dead", [False, True])
@pytest.mark.parametrize("fields", CASES.values(), ids=CASES.keys())
def test_values_and_gradients_are_those_of_the_plain_form(fields, has_dead):
    results = []
    for variant in (TopKSAE, PlainTopKSAE):
        sae = make(variant, TopKSAEConfig, **fields)
        acts = draw(BATCH, D_IN).requires_grad_()
        target = draw(BATCH, D_OUT, seed=2) if "d_out" in fields else None
        losses = sae.compute_loss(acts, target, dead=torch.arange(D_SAE) > 7 if has_dead else None)
        gradients = torch.autograd.grad(losses.total, [*sae.parameters(), acts])
        results.append([losses.total, losses.latents, losses.n_active, *gradients])
    for sparse, plain in zip(*results, strict=True):
        assert torch.allclose(sparse, plain, rtol=1e-9, atol=1e-12)
        assert plain.abs().max() > 0


def test_a_training_run_goes_the_same_way_in_either_form():
    ends = []
    for variant in (TopKSAE, PlainTopKSAE):
        sae = variant(TopKSAEConfig(d_in=12, d_sae=40, k=4), make_generator(0)).double()
        optimizer = torch.optim.Adam(sae.parameters(), lr=1e-2)
        for step in range(30):
            optimizer.zero_grad()
            sae.compute_loss(draw(33, 12, seed=step)).total.backward()
            sae.before_step()
            optimizer.step()
            sae.after_step()
        ends.append(sae.W_enc.detach())
    assert torch.allclose(*ends, rtol=1e-6)


def test_the_parts_are_what_their_dense_forms_say():
    values, W_dec, rows = draw(BATCH, 3), draw(D_SAE, D_OUT, seed=2), draw(BATCH, D_OUT, seed=3)
    indices = torch.stack([torch.randperm(D_SAE, generator=make_generator(i))[:3] for i in range(BATCH)])
    dense = torch.zeros(BATCH, D_SAE, dtype=torch.float64).scatter(1, indices, values)
    assert torch.allclose(decode_sparsely(values, indices, W_dec), dense @ W_dec)
    assert torch.allclose(compute_value_gradients(rows, indices, W_dec), (rows @ W_dec.T).gather(1, indices))
    latents, order = indices.flatten().sort()
    starts = torch.searchsorted(latents, torch.arange(D_SAE))
    assert torch.allclose(sum_by_latent(values, rows, order, starts), dense.T @ rows)


@pytest.mark.parametrize(("n_entries", "k"), [(500, 3), (503, 3), (64, 4), (63, 4), (20, 20), (1000, 1)])
def test_the_tournament_finds_what_topk_finds(n_entries, k):
    pre_acts = draw(BATCH, n_entries)
    values, indices = find_top_k(pre_acts, k)
    expected = pre_acts.topk(k, dim=1)
    assert torch.equal(values.sort(dim=1, descending=True).values, expected.values)
    assert torch.equal(indices.sort(dim=1).values, expected.indices.sort(dim=1).values)
    assert torch.equal(pre_acts.gather(1, indices), values)


def test_the_tournament_with_ties_finds_k_different_entries_of_the_largest_values():
    pre_acts = draw(BATCH, 503).mul(2).round()
    values, indices = find_top_k(pre_acts, 5)
    assert torch.equal(values.sort(dim=1, descending=True).values, pre_acts.topk(5, dim=1).values)
    assert torch.equal(pre_acts.gather(1, indices), values)
    assert all(len(set(row)) == 5 for row in indices.tolist())


def test_a_latent_that_is_never_active_has_no_gradient():
    sae = make(TopKSAE, TopKSAEConfig, k=2)
    with torch.no_grad():
        sae.b_enc[D_SAE - 1] = sae.b_enc[0] = -100.0
    sae.compute_loss(draw(BATCH, D_IN)).total.backward()
    for latent in (0, D_SAE - 1):
        assert sae.W_enc.grad[:, latent].abs().max() == 0
        assert sae.W_dec.grad[latent].abs().max() == 0
        assert sae.b_enc.grad[latent] == 0


def test_latents_held_at_zero_by_relu_pass_no_gradient():
    sae = make(TopKSAE, TopKSAEConfig, k=D_SAE)
    with torch.no_grad():
        sae.b_enc.fill_(-100.0)
    sae.compute_loss(draw(BATCH, D_IN)).total.backward()
    assert sae.W_enc.grad.abs().max() == 0
    assert sae.W_dec.grad.abs().max() == 0
    assert sae.b_dec.grad.abs().max() > 0
