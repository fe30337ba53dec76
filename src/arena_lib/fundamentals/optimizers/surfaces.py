"""Surfaces over a plane with known lowest points, on which one can watch an optimizer walk.

Shapes:  each function takes x and y, tensors that broadcast, and gives heights of their common shape.
Raises:  ConfigError for a grid of fewer than two points.
Source:  Rosenbrock 1960, doi:10.1093/comjnl/3.3.175 (the bent valley); the others are ours.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from arena_lib.errors import ConfigError

HeightFn = Callable[[Tensor, Tensor], Tensor]
"""A function of x and y."""


def ravine(x: Float[Tensor, "*#points"], y: Float[Tensor, "*#points"]) -> Float[Tensor, "*#points"]:
    """(x² + 25 y²) / 2: a straight valley, twenty-five times steeper across than along.

    >>> ravine(torch.tensor(2.0), torch.tensor(1.0)).item()
    14.5
    """
    return (x**2 + 25 * y**2) / 2


def rosenbrock(x: Float[Tensor, "*#points"], y: Float[Tensor, "*#points"]) -> Float[Tensor, "*#points"]:
    """(1 - x)² + 100 (y - x²)²: a narrow valley bent like a banana; its floor falls slowly towards (1, 1)."""
    return (1 - x) ** 2 + 100 * (y - x**2) ** 2


def saddle(x: Float[Tensor, "*#points"], y: Float[Tensor, "*#points"]) -> Float[Tensor, "*#points"]:
    """x² / 2 - y² / 2 + y⁴ / 4: down to a pass at (0, 0) on one axis, and from there down to (0, 1) and (0, -1)."""
    return x**2 / 2 - y**2 / 2 + y**4 / 4


def plateau(x: Float[Tensor, "*#points"], y: Float[Tensor, "*#points"]) -> Float[Tensor, "*#points"]:
    """1 - exp(-(x² + y²) / 2): a bowl around (0, 0) in a plain that is almost flat."""
    return 1 - torch.exp(-(x**2 + y**2) / 2)


@dataclass(frozen=True, kw_only=True)
class Surface:
    """A function, where to begin on it, what part of it to look at, and where it is lowest."""

    fn: HeightFn
    """Takes x and y."""
    start: tuple[float, float]
    """A point from which the way down isn't easy."""
    x_range: tuple[float, float]
    """The part of the plane that a picture shows."""
    y_range: tuple[float, float]
    """Its other side."""
    lowest: tuple[tuple[float, float], ...]
    """Every lowest point."""


SURFACES = {
    "ravine": Surface(
        fn=ravine, start=(-4.0, 1.0), x_range=(-5.0, 2.0), y_range=(-1.6, 1.6), lowest=((0.0, 0.0),)
    ),
    "rosenbrock": Surface(
        fn=rosenbrock, start=(-1.2, 1.0), x_range=(-2.0, 2.0), y_range=(-0.8, 2.6), lowest=((1.0, 1.0),)
    ),
    "saddle": Surface(
        fn=saddle, start=(-2.0, 0.001), x_range=(-2.4, 2.4), y_range=(-1.7, 1.7), lowest=((0.0, 1.0), (0.0, -1.0))
    ),
    "plateau": Surface(fn=plateau, start=(-2.6, 1.4), x_range=(-3.2, 2.0), y_range=(-2.0, 2.0), lowest=((0.0, 0.0),)),
}  # fmt: skip
"""The surfaces by name."""


def heights_on_grid(
    surface: Surface, n_points: int = 80
) -> tuple[Float[Tensor, "n_y n_x"], Float[Tensor, " n_x"], Float[Tensor, " n_y"]]:
    """The heights of the part to look at, a row for each y, and the places along both axes.

    >>> heights, x, y = heights_on_grid(SURFACES["ravine"], 5)
    >>> heights.shape, x[0].item(), y[-1].item()
    (torch.Size([5, 5]), -5.0, 1.600000023841858)
    """
    if n_points < 2:
        raise ConfigError(f"a grid must have at least two points on each side: got n_points={n_points}.")
    x, y = (torch.linspace(*bounds, n_points) for bounds in (surface.x_range, surface.y_range))
    return surface.fn(x[None, :], y[:, None]), x, y
