"""The steps of a toy SAE as pure functions: encode, decode, and the terms of the loss.

Every function treats each instance on its own; `batch` stands for any number of leading axes but in the losses.

Shapes:  h "... n_inst d_in", pre_acts and latents "... n_inst d_sae", recon "... n_inst d_in"; W_enc "n_inst d_in d_sae",
         W_dec "n_inst d_sae d_in", b_enc "n_inst d_sae", b_dec "n_inst d_in"
Source:  Bricken et al. 2023, "Towards Monosemanticity: Decomposing Language Models With Dictionary Learning", section
         "Sparse Autoencoder Training" (encoder, decoder, L1).
Differs: the squared error is a mean over d_in, as in many implementations, so one sparsity coefficient suits several widths.
"""

import einops
import torch
from jaxtyping import Float
from torch import Tensor


def compute_pre_acts(
    h: Float[Tensor, "... n_inst d_in"],
    W_enc: Float[Tensor, "n_inst d_in d_sae"],
    b_enc: Float[Tensor, "n_inst d_sae"],
    b_dec: Float[Tensor, "n_inst d_in"],
) -> Float[Tensor, "... n_inst d_sae"]:
    """What the encoder computes before its activation function: (h - b_dec) @ W_enc + b_enc, for each instance.

    The decoder's bias is taken away first, for the decoder adds it again at the end.

    Gradients flow through it.
    """
    centered = h - b_dec
    return einops.einsum(centered, W_enc, "... n_inst d_in, n_inst d_in d_sae -> ... n_inst d_sae") + b_enc


def encode(
    h: Float[Tensor, "... n_inst d_in"],
    W_enc: Float[Tensor, "n_inst d_in d_sae"],
    b_enc: Float[Tensor, "n_inst d_sae"],
    b_dec: Float[Tensor, "n_inst d_in"],
) -> Float[Tensor, "... n_inst d_sae"]:
    """The latents: ReLU((h - b_dec) @ W_enc + b_enc), for each instance.

    Gradients flow through it.
    """
    return torch.relu(compute_pre_acts(h, W_enc, b_enc, b_dec))


def decode(
    latents: Float[Tensor, "... n_inst d_sae"],
    W_dec: Float[Tensor, "n_inst d_sae d_in"],
    b_dec: Float[Tensor, "n_inst d_in"],
) -> Float[Tensor, "... n_inst d_in"]:
    """The reconstruction: latents @ W_dec + b_dec, for each instance. Row i of W_dec is the direction of latent i.

    Gradients flow through it.
    """
    return einops.einsum(latents, W_dec, "... n_inst d_sae, n_inst d_sae d_in -> ... n_inst d_in") + b_dec


def normalize_decoder(
    W_dec: Float[Tensor, "n_inst d_sae d_in"], eps: float = 1e-8
) -> Float[Tensor, "n_inst d_sae d_in"]:
    """Give each latent's direction length 1: each row of W_dec over (its length + eps).

    The length is over `d_in`. `eps` only keeps a row of zeros from dividing by zero; such a row stays zero. The result
    is a new tensor, through which gradients flow.
    """
    return W_dec / (W_dec.norm(dim=-1, keepdim=True) + eps)


def compute_reconstruction_loss(
    recon: Float[Tensor, "batch n_inst d_in"], h: Float[Tensor, "batch n_inst d_in"]
) -> Float[Tensor, "batch n_inst"]:
    """The mean over d_in of (recon - h)^2, for each example and instance."""
    return (recon - h).pow(2).mean(dim=-1)


def compute_l1_loss(latents: Float[Tensor, "batch n_inst d_sae"]) -> Float[Tensor, "batch n_inst"]:
    """The sum over d_sae of |latents|, for each example and instance.

    Gradients flow through it.
    """
    return latents.abs().sum(dim=-1)
