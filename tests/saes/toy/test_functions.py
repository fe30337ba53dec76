"""The steps of a toy SAE by hand, and instance by instance."""

import torch

from arena_lib.core.seeds import make_generator
from arena_lib.saes.toy.functions import (
    compute_l1_loss,
    compute_pre_acts,
    compute_reconstruction_loss,
    decode,
    encode,
    normalize_decoder,
)


def test_encoding_and_decoding_by_hand():
    W_enc = torch.tensor([[[1.0, -1.0, 0.5], [0.0, 2.0, 0.5]]])
    b_enc, b_dec = torch.tensor([[0.0, 1.0, -2.0]]), torch.tensor([[1.0, 0.0]])
    h = torch.tensor([[[3.0, 1.0]]])
    assert compute_pre_acts(h, W_enc, b_enc, b_dec).tolist() == [[[2.0, 1.0, -0.5]]]
    latents = encode(h, W_enc, b_enc, b_dec)
    assert latents.tolist() == [[[2.0, 1.0, 0.0]]]
    W_dec = torch.tensor([[[1.0, 0.0], [0.0, 3.0], [9.0, 9.0]]])
    assert decode(latents, W_dec, b_dec).tolist() == [[[3.0, 3.0]]]


def test_each_instance_has_weights_of_its_own():
    generator = make_generator(0)
    W_enc, W_dec = torch.randn(3, 2, 5, generator=generator), torch.randn(3, 5, 2, generator=generator)
    b_enc, b_dec = torch.randn(3, 5, generator=generator), torch.randn(3, 2, generator=generator)
    h = torch.randn(7, 3, 2, generator=generator)
    latents = encode(h, W_enc, b_enc, b_dec)
    recon = decode(latents, W_dec, b_dec)
    for inst in range(3):
        expected = torch.relu((h[:, inst] - b_dec[inst]) @ W_enc[inst] + b_enc[inst])
        torch.testing.assert_close(latents[:, inst], expected)
        torch.testing.assert_close(recon[:, inst], expected @ W_dec[inst] + b_dec[inst])


def test_decoder_rows_get_length_one_and_gradients_no_radial_part():
    W_dec = torch.randn(2, 4, 3, generator=make_generator(1)).requires_grad_()
    normalized = normalize_decoder(W_dec)
    torch.testing.assert_close(normalized.norm(dim=-1), torch.ones(2, 4))
    torch.testing.assert_close(normalized * W_dec.norm(dim=-1, keepdim=True), W_dec)
    (normalized * torch.randn(2, 4, 3, generator=make_generator(2))).sum().backward()
    torch.testing.assert_close((W_dec.grad * W_dec).sum(dim=-1), torch.zeros(2, 4))


def test_a_row_of_zeros_stays_zero_and_eps_counts():
    assert not normalize_decoder(torch.zeros(1, 2, 3)).any()
    assert normalize_decoder(torch.tensor([[[3.0, 4.0]]]), eps=5.0).tolist() == [[[0.3, 0.4]]] or torch.allclose(
        normalize_decoder(torch.tensor([[[3.0, 4.0]]]), eps=5.0), torch.tensor([[[0.3, 0.4]]])
    )


def test_loss_terms_by_hand():
    recon, h = torch.tensor([[[1.0, 3.0]], [[0.0, 0.0]]]), torch.tensor([[[1.0, 0.0]], [[2.0, 0.0]]])
    assert compute_reconstruction_loss(recon, h).tolist() == [[4.5], [2.0]]
    assert compute_l1_loss(torch.tensor([[[1.0, -2.0, 0.0], [0.0, 0.0, 0.5]]])).tolist() == [[3.0, 0.5]]
