"""The first sparse autoencoders: ReLU latents, and a loss that grows with their sum (L1).

`ReLUSAE` keeps the decoder's directions at length 1: else it could make latents small, and so the loss, by making
directions long. `DecoderNormSAE` lets them have any length, and counts each latent times its direction's length.

Shapes:  acts "*batch d_in", latents "*batch d_sae", recon "*batch d_out"
Source:  Bricken et al. 2023, "Towards monosemanticity" (`ReLUSAE`); Conerly et al. 2024, "Update on how we train SAEs"
         in "Circuits updates, April 2024" (`DecoderNormSAE`).
"""

from abc import abstractmethod
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from arena_lib.core.configs import check_numbers
from arena_lib.saes.autoencoders.base import SAE, Losses, SAEConfig, UnitNormSAE
from arena_lib.saes.autoencoders.functions import compute_l1, compute_squared_error, compute_weighted_l1


@dataclass(frozen=True, kw_only=True)
class ReLUSAEConfig(SAEConfig):
    """Sizes, and how much sparsity counts."""

    l1_coef: float
    """Weight of the latents' sum beside the squared error. Both grow with the activations, but not alike: scale them
    first, so that their mean squared length is d_in, and 0.1 to 5 are values to try."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_numbers(self, "l1_coef", zero_works=True)


class ReLULatents(SAE):
    """Latents are relu(pre_acts), and sparsity counts in the loss: what the two have in common."""

    cfg: ReLUSAEConfig

    def encode(self, acts: Float[Tensor, "*batch d_in"]) -> Float[Tensor, "*batch d_sae"]:
        """What each latent sees, where that's above 0."""
        return self.compute_pre_acts(acts).relu()

    def compute_loss(
        self,
        acts: Float[Tensor, "batch d_in"],
        target: Float[Tensor, "batch d_out"] | None = None,
        *,
        dead: Bool[Tensor, " d_sae"] | None = None,
        sparsity_scale: float = 1.0,
    ) -> Losses:
        """The squared error, and the latents' sum times `l1_coef` and `sparsity_scale`.

        Nothing in it revives dead latents, so `dead` has no effect: see `resampling.py`.
        """
        target = self.choose_target(acts, target)
        latents = self.compute_training_pre_acts(acts).relu()
        mse = compute_squared_error(self.add_skip(self.decode(latents), acts), target)
        l1 = sparsity_scale * self.cfg.l1_coef * self.compute_sparsity(latents)
        return Losses(mse + l1, {"mse": mse.detach(), "l1": l1.detach()}, latents.detach())

    @abstractmethod
    def compute_sparsity(self, latents: Float[Tensor, "batch d_sae"]) -> Float[Tensor, ""]:
        """What `l1_coef` weights."""


class ReLUSAE(ReLULatents, UnitNormSAE):
    """The loss is the squared error plus `l1_coef` times the latents' sum; directions have length 1."""

    def __init__(self, cfg: ReLUSAEConfig, generator: torch.Generator | None = None) -> None:
        super().__init__(cfg, generator)

    def compute_sparsity(self, latents: Float[Tensor, "batch d_sae"]) -> Float[Tensor, ""]:
        """The latents' sum."""
        return compute_l1(latents)


@dataclass(frozen=True, kw_only=True)
class DecoderNormSAEConfig(ReLUSAEConfig):
    """Sizes, how much sparsity counts, and how long directions are at the start."""

    subtract_b_dec: bool = False
    """Whether the encoder reads acts - b_dec; here it doesn't."""
    initial_norm: float = 0.1
    """Length of the decoder's directions at the start; the source has 0.05 to 1."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_numbers(self, "initial_norm")


class DecoderNormSAE(ReLULatents):
    """As `ReLUSAE`, but directions may have any length, and each latent counts times its direction's length."""

    cfg: DecoderNormSAEConfig

    def __init__(self, cfg: DecoderNormSAEConfig, generator: torch.Generator | None = None) -> None:
        super().__init__(cfg, generator)
        with torch.no_grad():
            self.W_dec.mul_(cfg.initial_norm)
            if cfg.d_out is None:
                self.W_enc.mul_(cfg.initial_norm)

    def compute_sparsity(self, latents: Float[Tensor, "batch d_sae"]) -> Float[Tensor, ""]:
        """The latents' sum, each times the length of its direction."""
        return compute_weighted_l1(latents, self.W_dec)
