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
from arena_lib.tests.superposition_and_saes.toy_sae_parts import (
    LOSS,
    build_sae,
    forward_seen,
    in_decoding,
    in_weighing,
    sae_case,
)

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
        case = sae_case(label, generator, batch, "JumpReLUToySAE(...)(h)", cfg, of_latents=("b_enc", "log_theta"))
        # Every threshold is above half a window, so that a ReLU before it changes nothing.
        case.given["weights"]["log_theta"].abs_().mul_(0.4).sub_(0.6)
        case.given["h"].mul_(2)
        cases.append(case)
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


WIDTH = "its width is a setting: self.cfg.ste_eps"

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
                "return torch.full_like(self.log_theta, self.cfg.theta_init)": (
                    "always takes theta_init",
                    "that is where thresholds begin: they are learned, as log_theta",
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
                "latents = JumpReLU.apply(pre_acts, theta, 0.3)": ("always takes a window of 0.3", WIDTH),
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
                "compute_l0_loss(pre_acts, theta, 0.3)": ("always counts with a window of 0.3", WIDTH),
            },
            within="JumpReLUToySAE.forward",
        ),
        *in_decoding("JumpReLUToySAE.forward"),
        *in_weighing(LOSS, "JumpReLUToySAE.forward", default=0.3),
    ],
)
