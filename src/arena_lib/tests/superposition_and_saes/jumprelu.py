"""Judge of the JumpReLU toy SAE, section 1.5.4.

Shapes:  h "batch n_inst d_in"; theta "n_inst d_sae"
"""

from typing import Any

import einops
import torch
from torch import Tensor

from arena_lib.checking import Case, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.saes.toy import jumprelu
from arena_lib.saes.toy.jumprelu import Heaviside, JumpReLU, JumpReLUToySAEConfig
from arena_lib.tests.superposition_and_saes.toy_sae_parts import build_sae, draw_weights, forward_seen

__test__ = False


def jumprelu_sae_cases(generator: torch.Generator) -> list[Case]:
    """Other sizes, coefficients and windows, in which some latents lie within the window."""
    settings: dict[str, tuple[int, dict[str, Any]]] = {
        "three instances": (30, {"n_inst": 3, "d_in": 2, "d_sae": 5, "sparsity_coef": 0.3, "ste_eps": 0.5}),
        "one instance": (20, {"n_inst": 1, "d_in": 3, "d_sae": 7, "sparsity_coef": 2.0, "ste_eps": 0.7}),
        "one example, and a large eps": (1, {"n_inst": 2, "d_in": 3, "d_sae": 4, "weight_normalize_eps": 0.5}),
    }
    cases = []
    for label, (batch, fields) in settings.items():
        cfg = JumpReLUToySAEConfig(**fields)
        n_inst, d_in, d_sae = cfg.n_inst, cfg.d_in, cfg.d_sae
        shapes = {"W_enc": (n_inst, d_in, d_sae), "W_dec": (n_inst, d_sae, d_in), "b_dec": (n_inst, d_in)}
        weights = draw_weights(shapes | dict.fromkeys(("b_enc", "log_theta"), (n_inst, d_sae)), generator)
        # Every threshold is above half a window, so that a ReLU before it changes nothing.
        weights["log_theta"] = 0.4 * weights["log_theta"].abs() - 0.6
        h = 2 * torch.randn(batch, n_inst, d_in, generator=generator)
        axes = {"latents": "batch n_inst d_sae", "recon": "batch n_inst d_in", "loss": "batch n_inst"}
        given = {"settings": cfg, "weights": weights, "h": h}
        cases.append(Case(label=label, call="JumpReLUToySAE(...)(h)", given=given, axes=axes))
    return cases


def forward_of_jumprelu(cls: Any, case: Case) -> Observations:
    """The thresholds, the results, and the gradients."""
    made = build_sae(cls, case.given["settings"], case.given["weights"])
    return {"theta": made.theta.detach()} | forward_seen(made, case.given["h"])


class JumpReLUAfterReLU(jumprelu.JumpReLUToySAE):
    """With a ReLU before the threshold, as in the paper's code, and the formulas written out."""

    @property
    def theta(self) -> Tensor:
        return torch.exp(self.log_theta)

    def forward(self, h: Tensor) -> Any:
        product = einops.einsum(h - self.b_dec, self.W_enc, "batch inst d, inst d sae -> batch inst sae")
        above_zero, theta, eps = torch.relu(product + self.b_enc), self.log_theta.exp(), self.cfg.ste_eps
        latents = JumpReLU.apply(above_zero, theta, eps)
        n_active = Heaviside.apply(above_zero, theta, eps).sum(dim=-1)
        recon = einops.einsum(latents, self.W_dec_normalized, "batch inst sae, inst sae d -> batch inst d") + self.b_dec
        error = (h - recon).square().mean(dim=-1)
        return (
            {"sparsity": n_active, "reconstruction": error},
            error + self.cfg.sparsity_coef * n_active,
            latents,
            recon,
        )


test_jumprelu_toy_sae = exercise(
    name="jumprelu_toy_sae",
    reference=jumprelu.JumpReLUToySAE,
    cases=jumprelu_sae_cases,
    observe=forward_of_jumprelu,
    keep=["__init__", "make_parameters", "revive"],
    accepts=[JumpReLUAfterReLU],
    equivalent={
        "compute_reconstruction_loss(recon, h) -> compute_reconstruction_loss(h, recon)": (
            "a squared distance is the same both ways"
        ),
    },
    mistakes=[
        *instead_of(
            "return self.log_theta.exp()",
            {
                "return self.log_theta": (
                    "forgets exp",
                    "log_theta is the logarithm: the threshold is its exponential",
                ),
                "return self.log_theta.exp().detach()": ("detaches the thresholds", "they are learned"),
                "return torch.relu(self.log_theta)": (
                    "cuts the logarithm at zero",
                    "the threshold is the exponential of log_theta",
                ),
            },
            within="JumpReLUToySAE.theta",
        ),
        *instead_of(
            "latents = JumpReLU.apply(pre_acts, theta, self.cfg.ste_eps)",
            {
                "latents = torch.relu(pre_acts)": ("uses ReLU", "what lies below theta becomes 0 as well"),
                "latents = torch.where(pre_acts > theta, pre_acts, 0.0)": (
                    "gives the thresholds no gradient from the reconstruction",
                    "JumpReLU.apply has one: without it L0 alone moves the thresholds, always up",
                ),
                "latents = torch.relu(pre_acts - theta)": (
                    "subtracts theta",
                    "above theta a latent stays as it is: that is what keeps JumpReLU from shrinking",
                ),
                "latents = JumpReLU.apply(pre_acts, theta, 0.01)": (
                    "always takes a window of 0.01",
                    "its width is a setting: self.cfg.ste_eps",
                ),
                "latents = Heaviside.apply(pre_acts, theta, self.cfg.ste_eps)": (
                    "says only which latents are active",
                    "above theta a latent stays as it is",
                ),
            },
            within="JumpReLUToySAE.forward",
        ),
        *instead_of(
            "compute_l0_loss(pre_acts, theta, self.cfg.ste_eps)",
            {
                "latents.sum(dim=-1)": (
                    "takes L1",
                    "here the number of active latents itself is the sparsity term: L0",
                ),
                "(latents > 0).float().sum(dim=-1)": (
                    "counts without gradients",
                    "a comparison has no gradient, so no threshold would move: compute_l0_loss counts with one",
                ),
                "compute_l0_loss(latents, theta, self.cfg.ste_eps)": (
                    "counts the latents instead of what comes before",
                    "what lies just below the threshold is 0 in the latents, and must be seen: pre_acts",
                ),
                "compute_l0_loss(pre_acts, theta, 0.01)": (
                    "counts with a window of 0.01",
                    "its width is a setting: self.cfg.ste_eps",
                ),
            },
            within="JumpReLUToySAE.forward",
        ),
        *instead_of(
            "decode(latents, self.W_dec_normalized, self.b_dec)",
            {
                "decode(latents, self.W_dec, self.b_dec)": (
                    "decodes with W_dec as it is",
                    "the directions have length 1: decode with W_dec_normalized",
                ),
            },
            within="JumpReLUToySAE.forward",
        ),
        *instead_of(
            'terms["reconstruction"] + self.cfg.sparsity_coef * terms["sparsity"]',
            {
                'terms["reconstruction"] + terms["sparsity"]': (
                    "leaves out sparsity_coef",
                    "the sparsity term counts sparsity_coef",
                ),
                'terms["reconstruction"]': (
                    "leaves out the sparsity term",
                    "without it nothing makes the latents sparse",
                ),
            },
            within="JumpReLUToySAE.forward",
        ),
    ],
)
