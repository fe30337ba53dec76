"""TopK: what is kept, its two losses, and bad input."""

import pytest
import torch

from arena_lib.core.seeds import make_generator
from arena_lib.errors import ConfigError
from arena_lib.saes.autoencoders.topk import TopKSAE, TopKSAEConfig, compute_aux_error


def make_sae(**fields: object) -> TopKSAE:
    settings = {"d_in": 5, "d_sae": 11, "k": 3, **fields}
    return TopKSAE(TopKSAEConfig(**settings), make_generator(0)).double()


def make_acts(batch: int = 7, d_in: int = 5, seed: int = 1) -> torch.Tensor:
    return torch.randn(batch, d_in, generator=make_generator(seed), dtype=torch.float64)


def test_each_example_has_at_most_k_latents_and_they_are_the_largest():
    sae, acts = make_sae(), make_acts()
    pre_acts, latents = sae.compute_pre_acts(acts), sae.encode(acts)
    for row, kept in zip(pre_acts, latents, strict=True):
        largest = set(row.topk(3).indices.tolist())
        for latent in range(11):
            expected = max(row[latent].item(), 0.0) if latent in largest else 0.0
            assert kept[latent].item() == expected


def test_the_loss_is_a_share_of_the_spread():
    sae, acts = make_sae(), make_acts()
    with torch.no_grad():
        sae.W_dec.zero_()
        sae.b_dec.copy_(acts.mean(dim=0))
    assert sae.compute_loss(acts).total.item() == pytest.approx(1.0)


def test_the_auxiliary_loss_reaches_dead_latents_alone():
    sae, acts = make_sae(subtract_b_dec=False), make_acts()
    dead = torch.arange(11) >= 7
    losses = sae.compute_loss(acts, dead=dead)
    plain = sae.compute_loss(acts)
    gradients = torch.autograd.grad(losses.total - plain.total, [sae.W_enc, sae.W_dec, sae.b_enc])
    by_latent = torch.stack([gradients[0].norm(dim=0), gradients[1].norm(dim=1), gradients[2].abs()])
    assert (by_latent[:, ~dead].abs() < 1e-15).all()
    assert (by_latent[:, dead] > 1e-6).all()
    assert losses.parts["aux"].item() == pytest.approx((losses.total - plain.total).item())


def test_the_auxiliary_error_by_hand():
    pre_acts = torch.tensor([[2.0, 3.0, -1.0]])
    W_dec = torch.tensor([[0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [1.0, 0.0, 0.0, 0.0]])
    error = torch.tensor([[1.0, 1.0, 1.0, 0.0]])
    assert compute_aux_error(pre_acts, W_dec, error, 1).item() == 1 + 1 + (3 - 1) ** 2
    assert compute_aux_error(pre_acts, W_dec, error, 50).item() == 1 + (2 - 1) ** 2 + (3 - 1) ** 2


def test_without_dead_latents_there_is_no_auxiliary_loss():
    for dead in (None, torch.zeros(11, dtype=torch.bool)):
        assert make_sae().compute_loss(make_acts(), dead=dead).parts["aux"].item() == 0


def test_a_step_leaves_directions_of_length_one():
    sae = make_sae()
    sae.after_step()  # directions that were drawn in float32 have length 1 only to seven digits
    sae.compute_loss(make_acts()).total.backward()
    sae.before_step()
    assert torch.allclose((sae.W_dec.grad * sae.W_dec).sum(dim=-1), torch.zeros(11, dtype=torch.float64), atol=1e-12)
    torch.optim.SGD(sae.parameters(), lr=0.1).step()
    sae.after_step()
    assert torch.allclose(sae.W_dec.norm(dim=-1), torch.ones(11, dtype=torch.float64))


def test_k_cannot_be_larger_than_the_number_of_latents():
    with pytest.raises(ConfigError, match=r"k must be at most d_sae.*k=12 with d_sae=11"):
        make_sae(k=12)
