"""The Matryoshka autoencoder: small dictionaries inside large ones, each of which must reconstruct by itself.

The first latents take part in every reconstruction, so they learn what is general; later ones add detail, and gain nothing
by taking a part of a general latent's work (absorption).

Shapes:  acts "*batch d_in", latents "*batch d_sae", recon "*batch d_out"
Raises:  ConfigError for widths that don't grow up to d_sae.
Source:  Bussmann et al. 2025, arXiv:2503.17547, its section on the loss (a sum over widths, on BatchTopK latents).
Differs: errors are shares of the target's spread, and the auxiliary loss explains the largest dictionary's error.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from arena_lib.errors import ConfigError
from arena_lib.saes.autoencoders.base import Losses
from arena_lib.saes.autoencoders.batch_topk import BatchTopKSAE, BatchTopKSAEConfig
from arena_lib.saes.autoencoders.functions import compute_spread, compute_squared_error


@dataclass(frozen=True, kw_only=True)
class MatryoshkaSAEConfig(BatchTopKSAEConfig):
    """As for BatchTopK, with the widths of the nested dictionaries."""

    widths: tuple[int, ...]
    """How many of the first latents each dictionary has; they grow, and the last is d_sae."""

    def __post_init__(self) -> None:
        super().__post_init__()
        is_growing = all(a < b for a, b in zip((0, *self.widths), self.widths, strict=False))
        if not is_growing or self.widths[-1:] != (self.d_sae,):
            raise ConfigError(
                f"widths must grow from 1 or more up to d_sae={self.d_sae}: got {self.widths}. "
                f"Try {(max(self.d_sae // 16, 1), max(self.d_sae // 4, 2), self.d_sae)}."
            )


def decode_nested(
    latents: Float[Tensor, "batch d_sae"],
    W_dec: Float[Tensor, "d_sae d_out"],
    b_dec: Float[Tensor, " d_out"],
    widths: tuple[int, ...],
) -> Iterator[Float[Tensor, "batch d_out"]]:
    """The reconstruction by the first latents of each width: each adds to the last one what its new latents say."""
    recon, first = b_dec.expand(len(latents), -1), 0
    for width in widths:
        recon = recon + latents[:, first:width] @ W_dec[first:width]
        first = width
        yield recon


class MatryoshkaSAE(BatchTopKSAE):
    """A BatchTopK autoencoder whose first latents reconstruct by themselves, at each of several widths."""

    cfg: MatryoshkaSAEConfig

    def __init__(self, cfg: MatryoshkaSAEConfig, generator: torch.Generator | None = None) -> None:
        super().__init__(cfg, generator)

    def compute_loss(
        self,
        acts: Float[Tensor, "batch d_in"],
        target: Float[Tensor, "batch d_out"] | None = None,
        *,
        dead: Bool[Tensor, " d_sae"] | None = None,
        sparsity_scale: float = 1.0,
    ) -> Losses:
        """The sum of the widths' squared errors and the auxiliary error, all as shares of the target's spread.

        `parts` has the widths' errors under names like "mse_64", and that of all latents as "mse".
        """
        target = self.choose_target(acts, target)
        latents = self.activate_in_training(acts)
        spread = compute_spread(target)
        errors = {}
        for width, recon in zip(
            self.cfg.widths, decode_nested(latents, self.W_dec, self.b_dec, self.cfg.widths), strict=True
        ):
            whole = self.add_skip(recon, acts)
            errors["mse" if width == self.cfg.d_sae else f"mse_{width}"] = compute_squared_error(whole, target) / spread
        aux = self.compute_aux_loss(acts, (target - whole).detach(), dead) / spread
        parts = {name: error.detach() for name, error in errors.items()}
        return Losses(torch.stack([*errors.values(), aux]).sum(), {**parts, "aux": aux.detach()}, latents.detach())
