"""Gated toy SAEs: one path says whether a latent is active, the other how strongly.

L1 pushes every active latent towards zero. Here it acts on the gate alone, so magnitudes are not shrunk.

Shapes:  as in `sae.py`
Source:  Rajamanoharan et al. 2024a, arXiv:2404.16014, section 3 (equations 6 to 8: gate and magnitude, weight sharing,
         the loss with its auxiliary term).
Differs: squared errors are means over d_in; the decoder's rows are normalised where they are used.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from arena_lib.saes.superposition.model import xavier_normal
from arena_lib.saes.toy.functions import (
    compute_l1_loss,
    compute_pre_acts,
    compute_reconstruction_loss,
    decode,
)
from arena_lib.saes.toy.resampling import replace_latents, zero_latents
from arena_lib.saes.toy.sae import SAEOutput, ToySAE


def tie_magnitudes(
    W_gate: Float[Tensor, "n_inst d_in d_sae"], r_mag: Float[Tensor, "n_inst d_sae"]
) -> Float[Tensor, "n_inst d_in d_sae"]:
    """The magnitude path's weights: W_gate with the column of each latent times exp(r_mag) of that latent.

    So both paths share their directions, and a latent's own positive factor is all that the second path adds.

    Gradients flow through it.
    """
    return W_gate * r_mag.exp()[:, None]


def gate_latents(
    pre_gate: Float[Tensor, "... n_inst d_sae"], pre_mag: Float[Tensor, "... n_inst d_sae"]
) -> Float[Tensor, "... n_inst d_sae"]:
    """The latents: ReLU(pre_mag) where pre_gate is above 0, and 0 elsewhere.

    No gradient reaches `pre_gate`: whether it is above 0 doesn't change with it by small amounts.
    """
    return torch.where(pre_gate > 0, torch.relu(pre_mag), 0.0)


def compute_auxiliary_loss(
    h: Float[Tensor, "batch n_inst d_in"],
    pre_gate: Float[Tensor, "batch n_inst d_sae"],
    W_dec: Float[Tensor, "n_inst d_sae d_in"],
    b_dec: Float[Tensor, "n_inst d_in"],
) -> Float[Tensor, "batch n_inst"]:
    """How well the gate alone would reconstruct: the mean over d_in of (h - (ReLU(pre_gate) @ W_dec + b_dec))^2.

    This is what trains the gate. Gradients flow through `pre_gate` alone: `W_dec` and `b_dec` are taken as they are,
    without gradients.
    """
    return compute_reconstruction_loss(decode(torch.relu(pre_gate), W_dec.detach(), b_dec.detach()), h)


class GatedToySAE(ToySAE):
    """Reads a toy model's hidden state through a gate and a magnitude for each latent.

        pre_gate = (h - b_dec) @ W_gate + b_gate
        pre_mag  = (h - b_dec) @ W_mag + b_mag          with W_mag = W_gate * exp(r_mag)
        latents  = ReLU(pre_mag) where pre_gate > 0, else 0
        recon    = latents @ W_dec_normalized + b_dec
        loss     = reconstruction + sparsity_coef * sparsity + auxiliary

    "sparsity" is the L1 of ReLU(pre_gate), "auxiliary" the reconstruction from ReLU(pre_gate) with W_dec_normalized and
    b_dec held fixed. The parameters are `W_gate` ("n_inst d_in d_sae") and `W_dec` ("n_inst d_sae d_in"), Xavier normal,
    and `b_gate`, `b_mag`, `r_mag`, `b_dec`, zeros at first.
    """

    def make_parameters(self, generator: torch.Generator) -> None:
        """Make the gate's weights, the decoder's, and the vectors."""
        cfg = self.cfg
        self.W_gate = nn.Parameter(xavier_normal(cfg.n_inst, cfg.d_in, cfg.d_sae, generator=generator))
        self.W_dec = nn.Parameter(xavier_normal(cfg.n_inst, cfg.d_sae, cfg.d_in, generator=generator))
        self.b_gate, self.b_mag, self.r_mag = (
            nn.Parameter(torch.zeros(cfg.n_inst, cfg.d_sae, device=generator.device)) for _ in range(3)
        )
        self.b_dec = nn.Parameter(torch.zeros(cfg.n_inst, cfg.d_in, device=generator.device))

    @property
    def W_mag(self) -> Float[Tensor, "n_inst d_in d_sae"]:
        """The weights of the magnitude path."""
        return tie_magnitudes(self.W_gate, self.r_mag)

    @property
    def encoder(self) -> Float[Tensor, "n_inst d_in d_sae"]:
        """The matrix that decides which latents are active."""
        return self.W_gate

    def forward(self, h: Float[Tensor, "batch n_inst d_in"]) -> SAEOutput:
        """Named terms of the loss, the loss, latents, reconstruction."""
        pre_gate = compute_pre_acts(h, self.W_gate, self.b_gate, self.b_dec)
        latents = gate_latents(pre_gate, compute_pre_acts(h, self.W_mag, self.b_mag, self.b_dec))
        W_dec = self.W_dec_normalized
        recon = decode(latents, W_dec, self.b_dec)
        terms = {
            "reconstruction": compute_reconstruction_loss(recon, h),
            "sparsity": compute_l1_loss(torch.relu(pre_gate)),
            "auxiliary": compute_auxiliary_loss(h, pre_gate, W_dec, self.b_dec),
        }
        loss = terms["reconstruction"] + self.cfg.sparsity_coef * terms["sparsity"] + terms["auxiliary"]
        return terms, loss, latents, recon

    def revive(
        self,
        is_dead: Bool[Tensor, "n_inst d_sae"],
        directions: Float[Tensor, "n_inst d_sae d_in"],
        enc_norm: Float[Tensor, " n_inst"],
    ) -> None:
        """Start the dead latents again: both biases and r_mag become 0."""
        replace_latents(self.W_gate, self.W_dec, is_dead, directions, enc_norm)
        for parameter in (self.b_gate, self.b_mag, self.r_mag):
            zero_latents(parameter, is_dead)
