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
from arena_lib.saes.autoencoders.base import Losses, SAEConfig, SparseLatents, UnitNormSAE
from arena_lib.saes.autoencoders.functions import (
    compute_spread,
    compute_squared_error,
    keep_top_k,
)
from arena_lib.saes.autoencoders.topk_sparse import SparseReconstruction, find_top_k


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
    pre_acts: Float[Tensor, "batch n_dead"],
    W_dec: Float[Tensor, "n_dead d_out"],
    error: Float[Tensor, "batch d_out"],
    k_aux: int,
) -> Float[Tensor, ""]:
    """How badly dead latents alone explain `error`, the part of the target that the reconstruction misses.

    `pre_acts` and `W_dec` are those of the dead latents. Each example uses its `k_aux` largest (all where there are
    fewer), and has no bias: that's in the reconstruction already.

    Gradients flow through it.
    """
    latents = keep_top_k(pre_acts, min(k_aux, pre_acts.shape[-1]))
    return compute_squared_error(latents @ W_dec, error)


class TopKSAE(UnitNormSAE):
    """An autoencoder whose latents are the k largest of each example, and never negative."""

    cfg: TopKSAEConfig

    def __init__(self, cfg: TopKSAEConfig, generator: torch.Generator | None = None) -> None:
        super().__init__(cfg, generator)

    def encode(self, acts: Float[Tensor, "*batch d_in"]) -> Float[Tensor, "*batch d_sae"]:
        """The k largest of each example's latents."""
        pre_acts = self.compute_pre_acts(acts)
        rows = pre_acts.detach().reshape(-1, self.cfg.d_sae)
        indices = find_top_k(rows, self.cfg.k)[1].reshape(*pre_acts.shape[:-1], self.cfg.k)
        return torch.zeros_like(pre_acts).scatter(-1, indices, pre_acts.gather(-1, indices).relu())

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
        recon, active = self.reconstruct(acts)
        spread = compute_spread(target)
        mse = compute_squared_error(recon, target) / spread
        aux = self.compute_aux_loss(acts, (target - recon).detach(), dead) / spread
        return Losses(mse + aux, {"mse": mse.detach(), "aux": aux.detach()}, active)

    def reconstruct(
        self, acts: Float[Tensor, "batch d_in"]
    ) -> tuple[Float[Tensor, "batch d_out"], Float[Tensor, "batch d_sae"] | SparseLatents]:
        """The reconstruction, and what was active, without gradients; the work is that of the active latents alone."""
        self.check_width(acts)
        weights = (self.W_enc, self.b_enc, self.W_dec, self.b_dec)
        recon, values, indices = SparseReconstruction.apply(acts, *weights, self.cfg.k, self.cfg.subtract_b_dec)
        return self.add_skip(recon, acts), SparseLatents(values, indices, self.cfg.d_sae)

    def compute_aux_loss(
        self,
        acts: Float[Tensor, "batch d_in"],
        error: Float[Tensor, "batch d_out"],
        dead: Bool[Tensor, " d_sae"] | None,
    ) -> Float[Tensor, ""]:
        """`compute_aux_error` of the dead latents times `aux_coef`; 0 where there are none.

        How many are dead must be known on the host, so on a GPU this waits for what came before; None doesn't.
        """
        if dead is None or self.cfg.aux_coef == 0 or not dead.any():
            return error.new_zeros(())
        pre_acts = self.compute_training_pre_acts(acts, dead)
        return self.cfg.aux_coef * compute_aux_error(pre_acts, self.W_dec[dead], error, self.cfg.n_aux)


class PlainTopKSAE(TopKSAE):
    """The same with every product written out, for reading: `TopKSAE` gives equal values and gradients in less time."""

    def reconstruct(
        self, acts: Float[Tensor, "batch d_in"]
    ) -> tuple[Float[Tensor, "batch d_out"], Float[Tensor, "batch d_sae"]]:
        """The reconstruction, and what was active, without gradients."""
        latents = keep_top_k(self.compute_pre_acts(acts), self.cfg.k)
        return self.add_skip(self.decode(latents), acts), latents.detach()
