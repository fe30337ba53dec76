"""The JumpReLU autoencoder: each latent has a threshold of its own, learned through straight-through gradients.

A latent is what it sees, where that's above its threshold, else 0. The loss counts the active ones (L0). Neither changes
when a threshold moves a little, except in examples that it passes just then: true gradients are 0. So the backward pass
takes a window of width `bandwidth` around the threshold for the place where it happens, and estimates from the examples
in it how the expected loss would change.

Shapes:  acts "*batch d_in", latents "*batch d_sae", recon "*batch d_out", threshold "d_sae"
Source:  Rajamanoharan et al. 2024, arXiv:2407.14435, its sections on the activation and on training (the loss, the
         pseudo-derivatives with the rectangle kernel K, thresholds as exponentials).
Differs: what each latent sees isn't clipped at 0 before the comparison.
"""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from arena_lib.core.configs import check_numbers
from arena_lib.saes.autoencoders.base import Losses, SAEConfig, UnitNormSAE
from arena_lib.saes.autoencoders.functions import compute_squared_error


class JumpReLUAndL0(torch.autograd.Function):
    """(pre_acts, threshold, bandwidth) -> the latents, and how many of them an example has, with gradients for both.

    With z the pre-activations, t the threshold, e the bandwidth, and K(x) = 1 where -1/2 < x < 1/2, else 0:

        latent  z * H(z - t)    gradient for z: 1 where z > t, else 0    for t: -(t / e) * K((z - t) / e)
        L0      H(z - t)                        0                               -(1 / e) * K((z - t) / e)

    `arena_lib.saes.toy.jumprelu` has the two as functions of their own, to read; one look at the window serves both here.
    """

    @staticmethod
    def forward(
        ctx: Any,
        pre_acts: Float[Tensor, "*batch d_sae"],
        threshold: Float[Tensor, " d_sae"],
        bandwidth: float,
    ) -> tuple[Float[Tensor, "*batch d_sae"], Float[Tensor, ""]]:
        """What exceeds its threshold, else 0; and the mean number of active latents."""
        is_active = pre_acts > threshold
        ctx.save_for_backward(pre_acts, threshold, is_active)
        ctx.bandwidth = bandwidth
        n_examples = pre_acts.numel() // len(threshold)
        return pre_acts * is_active, is_active.sum().to(pre_acts.dtype) / n_examples

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, gradient: Float[Tensor, "*batch d_sae"], l0_gradient: Float[Tensor, ""]
    ) -> tuple[Tensor, Tensor, None]:
        """The gradients for the pre-activations and for the threshold."""
        pre_acts, threshold, is_active = ctx.saved_tensors
        n_examples = pre_acts.numel() // len(threshold)
        is_inside = (pre_acts - threshold).abs_() < ctx.bandwidth / 2
        for_latents = (gradient * is_inside).sum_to_size(threshold.shape) * threshold
        for_l0 = is_inside.to(gradient.dtype).sum_to_size(threshold.shape) * (l0_gradient / n_examples)
        return gradient * is_active, -(for_latents + for_l0) / ctx.bandwidth, None


@dataclass(frozen=True, kw_only=True)
class JumpReLUSAEConfig(SAEConfig):
    """Sizes, how much sparsity counts, and how thresholds start and learn.

    The defaults of thresholds are the paper's, for activations scaled to a mean squared length of 1 and long runs. A
    threshold moves by a share of itself, so in a short run let it start nearer to where it should end.
    """

    subtract_b_dec: bool = False
    """Whether the encoder reads acts - b_dec; the paper's doesn't."""
    l0_coef: float
    """Weight of the number of active latents beside the squared error."""
    initial_threshold: float = 0.001
    """Where every threshold starts."""
    bandwidth: float = 0.001
    """Width of the window in which examples teach the threshold."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_numbers(self, "l0_coef", zero_works=True)
        check_numbers(self, "initial_threshold", "bandwidth")


class JumpReLUSAE(UnitNormSAE):
    """Latents are pre_acts where they exceed `threshold`; the loss is the squared error plus `l0_coef` times L0."""

    cfg: JumpReLUSAEConfig
    latent_axes: ClassVar[dict[str, int]] = {**UnitNormSAE.latent_axes, "log_threshold": 0}

    def __init__(self, cfg: JumpReLUSAEConfig, generator: torch.Generator | None = None) -> None:
        super().__init__(cfg, generator)
        self.log_threshold = nn.Parameter(torch.full((cfg.d_sae,), math.log(cfg.initial_threshold)))

    @property
    def threshold(self) -> Float[Tensor, " d_sae"]:
        """What a latent must exceed to be active; positive, since its logarithm is what is learned."""
        return self.log_threshold.exp()

    def encode(self, acts: Float[Tensor, "*batch d_in"]) -> Float[Tensor, "*batch d_sae"]:
        """What each latent sees, where that exceeds its threshold."""
        latents: Tensor
        latents, _ = JumpReLUAndL0.apply(self.compute_pre_acts(acts), self.threshold, self.cfg.bandwidth)
        return latents

    def compute_loss(
        self,
        acts: Float[Tensor, "batch d_in"],
        target: Float[Tensor, "batch d_out"] | None = None,
        *,
        dead: Bool[Tensor, " d_sae"] | None = None,
        sparsity_scale: float = 1.0,
    ) -> Losses:
        """The squared error, and the number of active latents times `l0_coef` and `sparsity_scale`.

        Nothing in it revives dead latents, so `dead` has no effect: see `resampling.py`.
        """
        target = self.choose_target(acts, target)
        pre_acts = self.compute_training_pre_acts(acts)
        latents, n_active = JumpReLUAndL0.apply(pre_acts, self.threshold, self.cfg.bandwidth)
        mse = compute_squared_error(self.add_skip(self.decode(latents), acts), target)
        l0 = sparsity_scale * self.cfg.l0_coef * n_active
        return Losses(mse + l0, {"mse": mse.detach(), "l0": l0.detach()}, latents.detach())

    @torch.no_grad()
    def replace_latents(
        self,
        replaced: Bool[Tensor, " d_sae"],
        W_enc: Float[Tensor, "n_replaced d_in"],
        W_dec: Float[Tensor, "n_replaced d_out"],
    ) -> None:
        """As for all; thresholds start anew."""
        super().replace_latents(replaced, W_enc, W_dec)
        self.log_threshold[replaced] = math.log(self.cfg.initial_threshold)
