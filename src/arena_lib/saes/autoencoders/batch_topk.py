"""The BatchTopK autoencoder: the whole batch shares its active latents, so that hard examples can have more.

In training the k * batch largest latents of the batch stay. In use an example must not depend on its neighbours: a
latent is active if it exceeds `threshold`, the mean over training batches of the smallest one that stayed.

Shapes:  acts "*batch d_in", latents "*batch d_sae", recon "*batch d_out", threshold ""
Source:  Bussmann et al. 2024, arXiv:2412.06410, its section on BatchTopK (the activation, the threshold).
Differs: the threshold's mean is exponential, over about 1 / threshold_lr batches, and starts at the first batch's value;
         losses are shares of the target's spread, as in `topk.py`.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from arena_lib.errors import ConfigError
from arena_lib.saes.autoencoders.topk import TopKSAE, TopKSAEConfig
from arena_lib.saes.autoencoders.topk_sparse import find_top_k


@dataclass(frozen=True, kw_only=True)
class BatchTopKSAEConfig(TopKSAEConfig):
    """As for TopK, where k is now the mean over the batch."""

    threshold_lr: float = 0.01
    """Share of the newest batch in the mean that becomes the threshold."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.threshold_lr <= 1:
            raise ConfigError(
                f"threshold_lr must be above 0 and at most 1: got {self.threshold_lr!r}. "
                "Leave it out to get the default."
            )


def keep_batch_top_k(pre_acts: Float[Tensor, "batch d_sae"], k: int) -> Float[Tensor, "batch d_sae"]:
    """The k * batch largest entries of the whole batch, and 0 in place of the others and of negative ones.

    >>> keep_batch_top_k(torch.tensor([[3.0, -1.0, 2.0], [-1.0, 0.5, 1.0], [0.4, 0.3, 0.2]]), k=1)
    tensor([[3., 0., 2.],
            [0., 0., 1.],
            [0., 0., 0.]])
    """
    flat = pre_acts.flatten()
    indices = find_top_k(flat.detach()[None], k * len(pre_acts))[1].squeeze(0)
    return torch.zeros_like(flat).scatter(0, indices, flat[indices].relu()).unflatten(0, pre_acts.shape)


class BatchTopKSAE(TopKSAE):
    """An autoencoder with k active latents in the mean over a batch; in use, those above `threshold`."""

    cfg: BatchTopKSAEConfig
    threshold: Tensor

    def __init__(self, cfg: BatchTopKSAEConfig, generator: torch.Generator | None = None) -> None:
        super().__init__(cfg, generator)
        self.register_buffer("threshold", torch.zeros(()))

    def encode(self, acts: Float[Tensor, "*batch d_in"]) -> Float[Tensor, "*batch d_sae"]:
        """What each latent sees, where that exceeds the threshold."""
        pre_acts = self.compute_pre_acts(acts)
        return pre_acts * (pre_acts > self.threshold)

    def reconstruct(
        self, acts: Float[Tensor, "batch d_in"]
    ) -> tuple[Float[Tensor, "batch d_out"], Float[Tensor, "batch d_sae"]]:
        """The reconstruction, and what was active, without gradients; in training mode the threshold learns of it."""
        latents = self.activate_in_training(acts)
        return self.add_skip(self.decode(latents), acts), latents.detach()

    def activate_in_training(self, acts: Float[Tensor, "batch d_in"]) -> Float[Tensor, "batch d_sae"]:
        """The batch's largest latents; in training mode the threshold moves towards the smallest of them."""
        latents = keep_batch_top_k(self.compute_training_pre_acts(acts), self.cfg.k)
        if self.training:
            self.move_threshold(latents.detach())
        return latents

    @torch.no_grad()
    def move_threshold(self, latents: Float[Tensor, "batch d_sae"]) -> None:
        """Take the smallest active latent of a batch into the mean; where none is active, nothing changes.

        No value leaves the device, so nothing waits for it.
        """
        smallest = torch.where(latents > 0, latents, torch.inf).amin().to(self.threshold.dtype)
        lr = torch.where(self.threshold > 0, self.cfg.threshold_lr, 1.0)  # the first batch stands alone
        moved = self.threshold.lerp(smallest, lr.to(smallest.dtype))
        self.threshold.copy_(torch.where(smallest.isfinite(), moved, self.threshold))
