"""The TopK autoencoder: the k largest latents of each example stay, with an auxiliary loss that revives dead ones.

Shapes:  acts "*batch d_in", latents "*batch d_sae", recon "*batch d_out"
Raises:  ConfigError if k is larger than d_sae; else as `base.py`.
Source:  Gao et al. 2024, arXiv:2406.04093, section 2.3 (TopK), appendix A.2 (the auxiliary loss), appendix A.1 (decoder
         of unit norm).
Differs: the error and the auxiliary error are divided by the same number, the spread of the batch's target; the
         auxiliary loss has no gradient through the reconstruction whose error it explains.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from arena_lib.core.configs import check_numbers, check_sizes
from arena_lib.errors import ConfigError
from arena_lib.saes.autoencoders.base import SAE, Losses, SAEConfig
from arena_lib.saes.autoencoders.functions import (
    compute_spread,
    compute_squared_error,
    keep_top_k,
    normalize_decoder,
    remove_radial_gradient,
)


@dataclass(frozen=True, kw_only=True)
class TopKSAEConfig(SAEConfig):
    """Sizes, k and the auxiliary loss."""

    k: int
    """Latents that may be active in an example."""
    aux_coef: float = 1 / 32
    """Weight of the auxiliary loss (appendix A.2)."""
    k_aux: int | None = None
    """Dead latents that explain each example's error; None: half of d_in (appendix A.2)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_sizes(self, "k")
        check_numbers(self, "aux_coef", zero_works=True)
        if self.k_aux is not None:
            check_sizes(self, "k_aux")
        if self.k > self.d_sae:
            raise ConfigError(
                f"k must be at most d_sae, the number of latents: got k={self.k} with d_sae={self.d_sae}. Pass a smaller k."
            )

    @property
    def n_aux(self) -> int:
        """How many dead latents explain each example's error, where there are as many."""
        return max(self.d_in // 2, 1) if self.k_aux is None else self.k_aux


def compute_aux_error(
    pre_acts: Float[Tensor, "batch d_sae"],
    error: Float[Tensor, "batch d_out"],
    W_dec: Float[Tensor, "d_sae d_out"],
    dead: Bool[Tensor, " d_sae"],
    k_aux: int,
) -> Float[Tensor, ""]:
    """How badly the dead latents alone explain `error`, the part of the target that the living ones miss.

    Each example uses its `k_aux` largest dead latents (all of them where there are fewer). With no dead latents it's 0.
    """
    is_dead = dead.nonzero().squeeze(-1)
    if len(is_dead) == 0:
        return pre_acts.new_zeros(())
    latents = keep_top_k(pre_acts[:, is_dead], min(k_aux, len(is_dead)))
    return compute_squared_error(latents @ W_dec[is_dead], error)


class TopKSAE(SAE):
    """An autoencoder whose latents are the k largest of each example (and never negative)."""

    cfg: TopKSAEConfig

    def __init__(self, cfg: TopKSAEConfig, generator: torch.Generator | None = None) -> None:
        super().__init__(cfg, generator)

    def encode(self, acts: Float[Tensor, "*batch d_in"]) -> Float[Tensor, "*batch d_sae"]:
        """The k largest of each example's latents."""
        return keep_top_k(self.compute_pre_acts(acts), self.cfg.k)

    def compute_loss(
        self,
        acts: Float[Tensor, "batch d_in"],
        target: Float[Tensor, "batch d_out"] | None = None,
        *,
        dead: Bool[Tensor, " d_sae"] | None = None,
        sparsity_scale: float = 1.0,
    ) -> Losses:
        """The squared error and, weighted by `aux_coef`, the auxiliary error, both as shares of the target's spread.

        k alone makes it sparse, so `sparsity_scale` has no effect.
        """
        target = self.choose_target(acts, target)
        pre_acts = self.compute_pre_acts(acts)
        latents = keep_top_k(pre_acts, self.cfg.k)
        recon = self.decode(latents)
        spread = compute_spread(target)
        mse = compute_squared_error(recon, target) / spread
        aux = torch.zeros_like(mse)
        if dead is not None and self.cfg.aux_coef:
            error = (target - recon).detach()
            aux = self.cfg.aux_coef * compute_aux_error(pre_acts, error, self.W_dec, dead, self.cfg.n_aux) / spread
        return Losses(mse + aux, {"mse": mse.detach(), "aux": aux.detach()}, latents.detach())

    @torch.no_grad()
    def before_step(self) -> None:
        """Take the radial part out of the decoder's gradient."""
        if self.W_dec.grad is not None:
            self.W_dec.grad.copy_(remove_radial_gradient(self.W_dec.grad, self.W_dec))

    @torch.no_grad()
    def after_step(self) -> None:
        """Bring the decoder's directions back to length 1."""
        self.W_dec.copy_(normalize_decoder(self.W_dec))
