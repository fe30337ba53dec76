"""The gated autoencoder: one path says which latents are active, another how strongly.

An L1 loss on latents makes them too small (shrinkage). Here it acts on the gate alone, while magnitudes are free to fit.
A gate that is open or shut has no gradient, so an auxiliary loss lets the gate's own values explain the target, through
a copy of the decoder that it can't change.

Shapes:  acts "*batch d_in", latents "*batch d_sae", recon "*batch d_out", b_gate, b_mag and r_mag "d_sae"
Source:  Rajamanoharan et al. 2024, arXiv:2404.16014, its sections on architecture (the two paths, their shared weights)
         and on training (the loss).
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from arena_lib.core.configs import check_numbers
from arena_lib.saes.autoencoders.base import Losses, SAEConfig, UnitNormSAE
from arena_lib.saes.autoencoders.functions import compute_l1, compute_squared_error, decode_latents


@dataclass(frozen=True, kw_only=True)
class GatedSAEConfig(SAEConfig):
    """Sizes, and how much sparsity counts."""

    l1_coef: float
    """Weight of the sum of the gate's positive values beside the squared errors."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_numbers(self, "l1_coef", zero_works=True)


class GatedSAE(UnitNormSAE):
    """Latents are magnitudes where the gate is open; both paths read one product with `W_enc`.

    `b_gate` and `b_mag` take the place of `b_enc`, which is None; exp(r_mag) is the ratio of the two paths' weights.
    """

    cfg: GatedSAEConfig
    latent_axes: ClassVar[dict[str, int]] = {"W_enc": 1, "W_dec": 0, "b_gate": 0, "b_mag": 0, "r_mag": 0}

    def __init__(self, cfg: GatedSAEConfig, generator: torch.Generator | None = None) -> None:
        super().__init__(cfg, generator)
        self.register_parameter("b_enc", None)
        self.b_gate = nn.Parameter(torch.zeros(cfg.d_sae))
        self.b_mag = nn.Parameter(torch.zeros(cfg.d_sae))
        self.r_mag = nn.Parameter(torch.zeros(cfg.d_sae))

    @property
    def encoder_bias(self) -> Float[Tensor, " d_sae"]:
        """The gate's bias: `compute_pre_acts` gives what the gate sees."""
        return self.b_gate

    def compute_magnitudes(self, gate: Float[Tensor, "*batch d_sae"]) -> Float[Tensor, "*batch d_sae"]:
        """How strong each latent would be if its gate were open, of what the gate sees.

        The gate sees product + b_gate, magnitudes are relu(exp(r_mag) * product + b_mag); so the product need not be made
        twice.
        """
        ratio = self.r_mag.exp()
        return torch.addcmul(self.b_mag - ratio * self.b_gate, gate, ratio).relu()

    def encode(self, acts: Float[Tensor, "*batch d_in"]) -> Float[Tensor, "*batch d_sae"]:
        """Magnitudes where the gate is open, that is above 0."""
        gate = self.compute_pre_acts(acts)
        return self.compute_magnitudes(gate) * (gate > 0)

    def compute_loss(
        self,
        acts: Float[Tensor, "batch d_in"],
        target: Float[Tensor, "batch d_out"] | None = None,
        *,
        dead: Bool[Tensor, " d_sae"] | None = None,
        sparsity_scale: float = 1.0,
    ) -> Losses:
        """Three terms: the squared error, the L1 of open gates' values, and the squared error of what these explain.

        The third goes through a frozen copy of the decoder. Nothing revives dead latents, so `dead` has no effect: see
        `resampling.py`.
        """
        target = self.choose_target(acts, target)
        gate = self.compute_training_pre_acts(acts)
        latents = self.compute_magnitudes(gate) * (gate > 0)
        mse = compute_squared_error(self.add_skip(self.decode(latents), acts), target)
        opened = gate.relu()
        l1 = sparsity_scale * self.cfg.l1_coef * compute_l1(opened)
        by_gate = decode_latents(opened, self.W_dec.detach(), self.b_dec.detach())
        aux = compute_squared_error(self.add_skip(by_gate, acts), target)
        parts = {"mse": mse.detach(), "l1": l1.detach(), "aux": aux.detach()}
        return Losses(mse + l1 + aux, parts, latents.detach())
