"""How eigenvalues are spread, without calculating them: stochastic Lanczos quadrature.

Shapes:  grid and the density "n_grid".
Raises:  ConfigError for no starts, or a width that isn't above 0.
Source:  Ghorbani et al. 2019, arXiv:1901.10159, algorithm 1 and section 2.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from arena_lib.fundamentals.landscapes.inputs import check_above_zero, check_counts
from arena_lib.fundamentals.landscapes.spectra.lanczos import lanczos, lanczos_quadrature
from arena_lib.fundamentals.landscapes.spectra.power_iteration import Product


def smooth(
    places: Float[Tensor, " n_places"],
    weights: Float[Tensor, " n_places"],
    grid: Float[Tensor, " n_grid"],
    width: float,
) -> Float[Tensor, " n_grid"]:
    """A bell curve of area `weight` at each place, added up: with exact eigenvalues and equal weights, their density.

    >>> smooth(torch.tensor([0.0]), torch.tensor([1.0]), torch.tensor([0.0, 1.0]), 1.0)
    tensor([0.3989, 0.2420])
    """
    check_above_zero(width=width)
    bells = torch.exp(-0.5 * ((grid[:, None] - places) / width) ** 2) / (width * (2 * torch.pi) ** 0.5)
    return bells @ weights


def estimate_density(
    matvec: Product,
    n_params: int,
    grid: Float[Tensor, " n_grid"],
    width: float,
    n_steps: int,
    n_starts: int,
    generator: torch.Generator,
) -> Float[Tensor, " n_grid"]:
    """The density of a symmetric matrix's eigenvalues on `grid`: quadratures from random starts, smoothed, and their mean.

    Its area is 1. The places of `grid` decide the dtype of the starts.
    """
    check_counts(n_params=n_params, n_starts=n_starts)
    total = torch.zeros_like(grid)
    for _ in range(n_starts):
        start = torch.randn(n_params, generator=generator, dtype=grid.dtype)
        alphas, betas, _ = lanczos(matvec, start, n_steps)
        total += smooth(*lanczos_quadrature(alphas, betas), grid, width)
    return total / n_starts
