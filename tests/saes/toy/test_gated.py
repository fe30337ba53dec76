"""The gated SAE's parts by hand, and which of them gradients reach."""

import torch

from arena_lib.core.seeds import make_generator
from arena_lib.saes.superposition.model import ToyModel, ToyModelConfig
from arena_lib.saes.toy.gated import GatedToySAE, compute_auxiliary_loss, gate_latents, tie_magnitudes
from arena_lib.saes.toy.sae import ToySAEConfig


def test_magnitude_weights_scale_each_latents_column():
    W_gate = torch.ones(1, 2, 3)
    W_mag = tie_magnitudes(W_gate, torch.tensor([[0.0, 2.0, 3.0]]).log())
    torch.testing.assert_close(W_mag, torch.tensor([[[0.0, 2.0, 3.0], [0.0, 2.0, 3.0]]]))


def test_the_gate_decides_and_the_magnitude_is_never_negative():
    pre_gate = torch.tensor([[[1.0, 1.0, -1.0, 0.0]]], requires_grad=True)
    pre_mag = torch.tensor([[[2.0, -2.0, 2.0, 2.0]]], requires_grad=True)
    latents = gate_latents(pre_gate, pre_mag)
    assert latents.tolist() == [[[2.0, 0.0, 0.0, 0.0]]]
    latents.sum().backward()
    assert pre_gate.grad is None
    assert pre_mag.grad.tolist() == [[[1.0, 0.0, 0.0, 0.0]]]


def test_the_auxiliary_loss_trains_the_gate_alone():
    h, pre_gate = torch.tensor([[[1.0, 0.0]]]), torch.tensor([[[2.0, -5.0]]], requires_grad=True)
    W_dec = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]], requires_grad=True)
    b_dec = torch.tensor([[0.0, 0.5]], requires_grad=True)
    loss = compute_auxiliary_loss(h, pre_gate, W_dec, b_dec)
    assert loss.tolist() == [[(1.0 + 0.25) / 2]]
    loss.sum().backward()
    assert W_dec.grad is None
    assert b_dec.grad is None
    assert pre_gate.grad.tolist() == [[[1.0, 0.0]]]


def test_the_loss_has_three_terms_and_sparsity_is_that_of_the_gate():
    model = ToyModel(ToyModelConfig(n_inst=2), 0.4, generator=make_generator(0))
    sae = GatedToySAE(ToySAEConfig(n_inst=2, sparsity_coef=0.3), model, make_generator(1))
    h = sae.generate_batch(30, make_generator(2))
    terms, loss, latents, recon = sae(h)
    pre_gate = torch.stack([h[:, i] @ sae.W_gate[i] for i in range(2)], dim=1)  # biases are still zero
    torch.testing.assert_close(terms["sparsity"], torch.relu(pre_gate).sum(dim=-1))
    torch.testing.assert_close(latents, torch.relu(pre_gate))  # r_mag is still zero
    torch.testing.assert_close(terms["auxiliary"], terms["reconstruction"])
    torch.testing.assert_close(loss, terms["reconstruction"] + 0.3 * terms["sparsity"] + terms["auxiliary"])
    assert recon.shape == h.shape
