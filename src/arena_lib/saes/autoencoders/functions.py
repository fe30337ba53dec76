"""The pure functions that the variants of sparse autoencoders share.

Shapes:  acts "*batch d_in", pre_acts and latents "*batch d_sae", recon "*batch d_out" (an autoencoder's d_out is d_in);
         W_enc "d_in d_sae", W_dec "d_sae d_out", b_enc "d_sae", b_dec "d_out"
Source:  Bricken et al. 2023, "Towards monosemanticity" (centred input, decoder of unit norm, the radial part of its
         gradient); Gao et al. 2024, arXiv:2406.04093, section 2.3 (TopK) and appendix A.1 (initialisation, normalised
         error); Weiszfeld 1937 (the geometric median).
"""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

NEAREST = 1e-12
"""Numbers that divide are held at least this far from zero."""


def compute_pre_acts(
    acts: Float[Tensor, "*batch d_in"], W_enc: Float[Tensor, "d_in d_sae"], b_enc: Float[Tensor, " d_sae"]
) -> Float[Tensor, "*batch d_sae"]:
    """What each latent sees before its activation function: acts @ W_enc + b_enc."""
    if acts.is_cuda:
        return F.linear(acts, W_enc.T, b_enc)  # one kernel
    return (acts @ W_enc).add_(b_enc)  # in place: on a CPU, linear would first fill the result with copies of the bias


class CenteredPreActs(torch.autograd.Function):
    """(acts - b_dec) @ W_enc + b_enc, with less work in the backward pass.

    b_dec gets its gradient from the examples' gradients summed over the batch: one product of a vector with W_enc,
    where autograd would make the product of the whole batch with it first. It's a fifth of a training step.
    """

    @staticmethod
    def forward(
        ctx: Any,
        acts: Float[Tensor, "batch d_in"],
        W_enc: Float[Tensor, "d_in d_sae"],
        b_enc: Float[Tensor, " d_sae"],
        b_dec: Float[Tensor, " d_in"],
    ) -> Float[Tensor, "batch d_sae"]:
        """The pre-activations."""
        centered = acts - b_dec
        ctx.save_for_backward(centered, W_enc)
        return compute_pre_acts(centered, W_enc, b_enc)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Float[Tensor, "batch d_sae"]) -> tuple[Tensor | None, ...]:
        """Gradients of the four inputs."""
        centered, W_enc = (saved.to(gradient.dtype) for saved in ctx.saved_tensors)  # autocast may have narrowed it
        b_enc_gradient = gradient.sum(dim=0)
        return (
            gradient @ W_enc.T if ctx.needs_input_grad[0] else None,
            centered.T @ gradient,
            b_enc_gradient,
            -(W_enc @ b_enc_gradient),
        )


def decode_latents(
    latents: Float[Tensor, "*batch d_sae"], W_dec: Float[Tensor, "d_sae d_out"], b_dec: Float[Tensor, " d_out"]
) -> Float[Tensor, "*batch d_out"]:
    """The sum of the active latents' directions, each times its latent, and the bias: latents @ W_dec + b_dec.

    Gradients flow through it.
    """
    return latents @ W_dec + b_dec


def keep_top_k(pre_acts: Float[Tensor, "*batch d_sae"], k: int) -> Float[Tensor, "*batch d_sae"]:
    """Each example's k largest entries, and 0 in place of the others and of negative ones.

    Gradients flow through it.

    >>> keep_top_k(torch.tensor([[3.0, -1.0, 2.0, 1.0], [-1.0, -3.0, 0.5, -2.0]]), k=2)
    tensor([[3.0000, 0.0000, 2.0000, 0.0000],
            [0.0000, 0.0000, 0.5000, 0.0000]])
    """
    values, indices = pre_acts.topk(k, dim=-1, sorted=False)
    return torch.zeros_like(pre_acts).scatter(-1, indices, values.relu())


def compute_squared_error(
    recon: Float[Tensor, "batch d_out"], target: Float[Tensor, "batch d_out"]
) -> Float[Tensor, ""]:
    """The squared distance of each reconstruction from its target; the mean over the batch."""
    return (recon - target).square().sum(dim=-1).mean()


def compute_spread(target: Float[Tensor, "batch d_out"]) -> Float[Tensor, ""]:
    """The squared error of always answering the batch's mean: what makes errors comparable between models."""
    return compute_squared_error(target.mean(dim=0).expand_as(target), target).clamp_min(NEAREST)


def compute_l1(latents: Float[Tensor, "batch d_sae"]) -> Float[Tensor, ""]:
    """The sum of an example's latents, none of which is negative; the mean over the batch."""
    return latents.sum() / len(latents)


def compute_weighted_l1(
    latents: Float[Tensor, "batch d_sae"], W_dec: Float[Tensor, "d_sae d_out"]
) -> Float[Tensor, ""]:
    """The sum of an example's latents, each times the length of its direction; the mean over the batch."""
    return latents.mean(dim=0) @ W_dec.norm(dim=-1)  # the mean first: no second tensor of the latents' size


def normalize_decoder(W_dec: Float[Tensor, "d_sae d_out"]) -> Float[Tensor, "d_sae d_out"]:
    """Every latent's direction at length 1."""
    return W_dec / W_dec.norm(dim=-1, keepdim=True).clamp_min(NEAREST)


def remove_radial_gradient(
    gradient: Float[Tensor, "d_sae d_out"], W_dec: Float[Tensor, "d_sae d_out"]
) -> Float[Tensor, "d_sae d_out"]:
    """The gradient without its part along each latent's own direction, which could only change that direction's length.

    The directions are taken to have length 1. What remains is tangent to the sphere, so an optimizer's momentum isn't
    spent on lengths that the next projection undoes.
    """
    return gradient - (gradient * W_dec).sum(dim=-1, keepdim=True) * W_dec


def make_directions(d_sae: int, d_out: int, generator: torch.Generator | None = None) -> Float[Tensor, "d_sae d_out"]:
    """Directions of length 1, spread evenly over the sphere by chance."""
    return normalize_decoder(torch.randn(d_sae, d_out, generator=generator))


@torch.no_grad()
def compute_geometric_median(
    points: Float[Tensor, "batch d_in"], n_rounds: int = 100, tolerance: float = 1e-6
) -> Float[Tensor, " d_in"]:
    """The point whose summed distance to all points is least: a start for b_dec that a few outliers can't move.

    Weiszfeld's rounds: a mean of the points, each weighted by one over its distance to the last mean. They end after
    `n_rounds`, or once a round moves the median by less than `tolerance` of the points' mean distance.
    """
    median = points.mean(dim=0)
    for _ in range(n_rounds):
        distances = (points - median).norm(dim=-1).clamp_min(NEAREST)
        weights = 1 / distances
        moved = weights @ points / weights.sum()
        is_settled = (moved - median).norm() <= tolerance * distances.mean()
        median = moved
        if is_settled:
            break
    return median
