"""What tests of the variants share: small ones in float64, and gradients beside those of a plainly written loss."""

from collections.abc import Callable

import torch
from torch import Tensor

from arena_lib.core.seeds import make_generator
from arena_lib.saes.autoencoders.base import SAE, Losses

D_IN, D_SAE, D_OUT, BATCH = 5, 11, 4, 7
"""Sizes that are pairwise different."""

PlainLoss = Callable[[dict[str, Tensor], Tensor, Tensor], Tensor]
"""(weights by name, acts, target) -> loss."""


def draw(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(shape, generator=make_generator(seed), dtype=torch.float64)


def make(variant: type[SAE], config: type, **fields: object) -> SAE:
    """A variant whose weights all differ from what they start as, so that no term of a loss can hide."""
    sae = variant(config(**{"d_in": D_IN, "d_sae": D_SAE, **fields}), make_generator(0)).double()
    with torch.no_grad():
        for seed, weight in enumerate(sae.parameters(), start=10):
            weight.add_(0.3 * draw(*weight.shape, seed=seed))
    return sae


def assert_like_plain(
    sae: SAE, plain: PlainLoss, target: Tensor | None = None, dead: Tensor | None = None, sparsity_scale: float = 1.0
) -> Losses:
    """The loss and every weight's gradient are those that autograd finds of the plain loss."""
    acts = draw(BATCH, D_IN)
    losses = sae.compute_loss(acts, target, dead=dead, sparsity_scale=sparsity_scale)
    weights = dict(sae.named_parameters())
    expected_loss = plain(weights, acts, acts if target is None else target)
    assert torch.allclose(losses.total, expected_loss, rtol=1e-12)
    gradients = torch.autograd.grad(losses.total, list(weights.values()), allow_unused=True)
    expected = torch.autograd.grad(expected_loss, list(weights.values()), allow_unused=True)
    for name, gradient, by_plain in zip(weights, gradients, expected, strict=True):
        assert by_plain is not None
        assert gradient is not None, name
        assert by_plain.abs().max() > 1e-6, f"{name} would not be tested"
        assert torch.allclose(gradient, by_plain, rtol=1e-9, atol=1e-12), name
    return losses


def squared_error(recon: Tensor, target: Tensor) -> Tensor:
    return ((recon - target) ** 2).sum(dim=1).mean(dim=0)


def spread(target: Tensor) -> Tensor:
    return ((target - target.mean(dim=0)) ** 2).sum(dim=1).mean(dim=0)
