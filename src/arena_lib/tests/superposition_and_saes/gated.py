"""Judge of the gated toy SAE, section 1.5.4.

Shapes:  h "batch n_inst d_in"; W_gate "n_inst d_in d_sae", W_dec "n_inst d_sae d_in"
"""

from typing import Any

import einops
import torch
from torch import Tensor

from arena_lib.checking import Case, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.saes.toy import gated
from arena_lib.saes.toy.sae import ToySAEConfig
from arena_lib.tests.superposition_and_saes.toy_sae_parts import build_sae, forward_seen, in_weighing, sae_case

__test__ = False


def gated_cases(generator: torch.Generator) -> list[Case]:
    """Other sizes, coefficients and eps."""
    settings: dict[str, tuple[int, dict[str, Any]]] = {
        "three instances": (6, {"n_inst": 3, "d_in": 2, "d_sae": 5, "sparsity_coef": 0.3}),
        "one instance": (4, {"n_inst": 1, "d_in": 3, "d_sae": 7, "sparsity_coef": 2.0}),
        "one example, and a large eps": (1, {"n_inst": 2, "d_in": 3, "d_sae": 4, "weight_normalize_eps": 0.5}),
    }
    return [
        sae_case(
            label,
            generator,
            batch,
            "GatedToySAE(...)(h)",
            ToySAEConfig(**fields),
            encoder="W_gate",
            of_latents=("b_gate", "b_mag", "r_mag"),
        )
        for label, (batch, fields) in settings.items()
    ]


def forward_of_gated(cls: Any, case: Case) -> Observations:
    """The magnitude path's weights, the results, and the gradients."""
    made = build_sae(cls, case.given["settings"], case.given["weights"])
    return {"W_mag": made.W_mag.detach()} | forward_seen(made, case.given["h"])


class GatedInOnePiece(gated.GatedToySAE):
    """Scales the gate's product rather than its weights, and writes all formulas out."""

    @property
    def W_mag(self) -> Tensor:
        return self.W_gate * self.r_mag.exp().unsqueeze(1)

    def forward(self, h: Tensor) -> Any:
        product = einops.einsum(h - self.b_dec, self.W_gate, "batch inst d, inst d sae -> batch inst sae")
        gate, magnitude = product + self.b_gate, product * self.r_mag.exp() + self.b_mag
        latents, soft = (gate > 0) * torch.relu(magnitude), torch.relu(gate)
        decoder = self.W_dec_normalized
        pattern = "batch inst sae, inst sae d -> batch inst d"
        recon = einops.einsum(latents, decoder, pattern) + self.b_dec
        by_gate = einops.einsum(soft, decoder.detach(), pattern) + self.b_dec.detach()
        squares = {"reconstruction": (h - recon).square(), "auxiliary": (h - by_gate).square()}
        terms = {name: square.mean(dim=-1) for name, square in squares.items()} | {"sparsity": soft.sum(dim=-1)}
        loss = terms["reconstruction"] + terms["auxiliary"] + self.cfg.sparsity_coef * terms["sparsity"]
        return terms, loss, latents, recon


GATED_LOSS = 'terms["reconstruction"] + self.cfg.sparsity_coef * terms["sparsity"] + terms["auxiliary"]'

test_gated_toy_sae = exercise(
    reference=gated.GatedToySAE,
    cases=gated_cases,
    observe=forward_of_gated,
    keep=["make_parameters", "encoder", "revive"],
    accepts=[GatedInOnePiece],
    equivalent={
        "compute_reconstruction_loss(recon, h) -> compute_reconstruction_loss(h, recon)": (
            "a squared distance is the same both ways"
        ),
    },
    mistakes=[
        *instead_of(
            "compute_l1_loss(torch.relu(pre_gate))",
            {
                "compute_l1_loss(latents)": (
                    "takes the L1 of the latents",
                    "L1 would shrink the magnitudes again: it's for the gate alone, ReLU(pre_gate)",
                ),
                "compute_l1_loss(pre_gate)": (
                    "takes the L1 of pre_gate without ReLU",
                    "a shut gate costs nothing, however far below zero it is",
                ),
                "compute_l1_loss(torch.relu(pre_gate.detach()))": (
                    "detaches the gate in the sparsity term",
                    "the gate becomes sparse by this gradient",
                ),
            },
            within="GatedToySAE.forward",
        ),
        *instead_of(
            "compute_auxiliary_loss(h, pre_gate, W_dec, self.b_dec)",
            {
                "compute_auxiliary_loss(h, pre_gate, self.W_dec, self.b_dec)": (
                    "decodes the gate with W_dec as it is",
                    "both reconstructions use the normalised decoder",
                ),
                "compute_auxiliary_loss(h, latents, W_dec, self.b_dec)": (
                    "reconstructs from the latents twice",
                    "the auxiliary loss reconstructs from the gate: pre_gate",
                ),
                "compute_reconstruction_loss(decode(torch.relu(pre_gate), W_dec, self.b_dec), h)": (
                    "lets the auxiliary loss into the decoder",
                    "this loss is there to train the gate: it must not move the decoder",
                ),
            },
            within="GatedToySAE.forward",
        ),
        *in_weighing(GATED_LOSS, "GatedToySAE.forward", default=0.2),
        *instead_of(
            GATED_LOSS,
            {
                'terms["reconstruction"] + self.cfg.sparsity_coef * terms["sparsity"]': (
                    "leaves out the auxiliary loss",
                    "without it no gradient but L1's reaches the gate, and every gate shuts",
                ),
                'terms["reconstruction"] + self.cfg.sparsity_coef * (terms["sparsity"] + terms["auxiliary"])': (
                    "weighs the auxiliary loss too",
                    "sparsity_coef is the weight of the sparsity term alone",
                ),
                'self.cfg.sparsity_coef * terms["sparsity"] + terms["auxiliary"]': (
                    "leaves out the reconstruction",
                    "magnitudes and decoder learn from it",
                ),
            },
            within="GatedToySAE.forward",
        ),
        *instead_of(
            "compute_pre_acts(h, self.W_mag, self.b_mag, self.b_dec)",
            {
                "compute_pre_acts(h, self.W_gate, self.b_mag, self.b_dec)": (
                    "uses the gate's weights for the magnitudes",
                    "the magnitude path has W_mag: the gate's columns, each times its factor",
                ),
                "compute_pre_acts(h, self.W_mag, self.b_gate, self.b_dec)": (
                    "uses the gate's bias for the magnitudes",
                    "each path has a bias of its own",
                ),
                "compute_pre_acts(h, self.W_mag, self.b_mag, 0 * self.b_dec)": (
                    "does not take b_dec away from the magnitudes",
                    "both paths look at h less b_dec",
                ),
            },
            within="GatedToySAE.forward",
        ),
        *instead_of(
            "W_dec = self.W_dec_normalized",
            {
                "W_dec = self.W_dec": (
                    "decodes with W_dec as it is",
                    "with longer rows the latents could shrink at no cost: decode with W_dec_normalized",
                ),
            },
            within="GatedToySAE.forward",
        ),
        *instead_of(
            "latents = gate_latents(pre_gate, ",
            {
                "latents = torch.relu(pre_gate) * 0 + torch.relu(": (
                    "leaves out the gate",
                    "where pre_gate isn't above 0, the latent is 0",
                ),
                "latents = gate_latents(pre_gate, pre_gate + 0 * ": (
                    "takes the gate's own size",
                    "pre_gate says only whether a latent is active; how strongly says the magnitude path",
                ),
            },
            within="GatedToySAE.forward",
        ),
        *instead_of(
            "return tie_magnitudes(self.W_gate, self.r_mag)",
            {
                "return self.W_gate": (
                    "returns W_gate for W_mag",
                    "W_mag is W_gate with each latent's column times exp(r_mag)",
                ),
                "return self.W_gate * self.r_mag[:, None]": (
                    "forgets exp",
                    "the factor must be positive, or the two paths would point in opposite directions: exp(r_mag)",
                ),
                "return self.W_gate * (1 + self.r_mag)[:, None]": (
                    "takes 1 + r_mag",
                    "the factor is exp(r_mag), which is never negative",
                ),
                "return tie_magnitudes(self.W_gate, self.r_mag.detach())": (
                    "detaches r_mag",
                    "the factors are learned",
                ),
            },
            within="GatedToySAE.W_mag",
        ),
    ],
)
