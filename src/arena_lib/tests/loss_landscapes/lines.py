"""Judge of the loss along a straight line between two vectors of parameters."""

from collections.abc import Callable

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.checking.mistakes import changes_an_argument
from arena_lib.fundamentals.landscapes import slices
from arena_lib.tests.loss_landscapes.watching import draw, keeps_a_history, measured

__test__ = False


def bumps(theta: Tensor) -> Tensor:
    """Curved, and no two parameters alike."""
    return (theta.sin() * torch.arange(1, len(theta) + 1)).sum()


def line_cases(generator: torch.Generator) -> list[Case]:
    """The ends alone, more points, float32."""

    def case(label: str, n_params: int, n_points: int, dtype: torch.dtype = torch.float64) -> Case:
        ends = [draw(generator, n_params, dtype=dtype) for _ in range(2)]
        return Case(label=label, args=(bumps, *ends, n_points), call="loss_fn, theta_a, theta_b, " + str(n_points))

    return [
        case("five points", 3, 5),
        case("the ends alone", 4, 2),
        case("many points", 6, 21),
        case("float32", 5, 7, torch.float32),
    ]


def line_by_steps(loss_fn: Callable[[Tensor], Tensor], theta_a: Tensor, theta_b: Tensor, n_points: int) -> Tensor:
    """Steps of one length."""
    step = (theta_b - theta_a).detach() / (n_points - 1)
    losses = [loss_fn(theta_a.detach() + i * step).item() for i in range(n_points)]
    return torch.tensor(losses, dtype=theta_a.dtype)


def line_that_walks_off(loss_fn: Callable[[Tensor], Tensor], theta_a: Tensor, theta_b: Tensor, n_points: int) -> Tensor:
    """Takes theta_a along."""
    with torch.no_grad():
        step = (theta_b - theta_a) / (n_points - 1)
        theta_a -= step
        losses = [loss_fn(theta_a.add_(step)) for _ in range(n_points)]
    return torch.stack(losses)


def line_with_a_history(loss_fn: Callable[[Tensor], Tensor], theta_a: Tensor, theta_b: Tensor, n_points: int) -> Tensor:
    """Remembers how the losses were made."""
    shares = torch.linspace(0, 1, n_points, dtype=theta_a.dtype)
    return torch.stack([loss_fn((1 - t) * theta_a + t * theta_b) for t in shares])


LINE = "torch.stack([loss_fn((1 - t) * theta_a + t * theta_b) for t in shares])"
test_losses_along_line = exercise(
    reference=slices.losses_along_line,
    cases=line_cases,
    observe=measured,
    accepts=[line_by_steps],
    mistakes=[
        *instead_of(
            "loss_fn((1 - t) * theta_a + t * theta_b)",
            {
                "loss_fn(t * theta_a + (1 - t) * theta_b)": (
                    "goes from b to a",
                    "the first point is theta_a, the last theta_b",
                ),
                "loss_fn(theta_a + t * theta_b)": ("goes away from a along b", "at the end of the line lies theta_b"),
                "(1 - t) * loss_fn(theta_a) + t * loss_fn(theta_b)": (
                    "mixes the losses",
                    "the parameters are mixed, and the loss is taken there",
                ),
            },
        ),
        *instead_of(
            "torch.linspace(0, 1, n_points,",
            {
                "torch.linspace(0, 1 - 1 / n_points, n_points,": ("leaves the end out", "both ends are included"),
                "torch.linspace(0, 1, n_points + 1,": ("counts gaps for points", "there are n_points places in all"),
            },
        ),
        Mistake(
            "takes the shares of the way in float32",
            "dtype=theta_a.dtype, ",
            "",
            why="torch.linspace gives float32 unless told otherwise: dtype=theta_a.dtype",
        ),
        *instead_of(
            LINE,
            {
                "torch.tensor([loss_fn((1 - t) * theta_a + t * theta_b).item() for t in shares])": (
                    "makes float32 of the losses",
                    "they keep the dtype of theta_a: torch.tensor(numbers, dtype=theta_a.dtype)",
                )
            },
        ),
        Mistake(
            "keeps a history",
            function=line_with_a_history,
            why="the losses have no history: torch.no_grad()",
            shows=keeps_a_history,
        ),
        Mistake(
            "takes theta_a along",
            function=line_that_walks_off,
            why="both ends stay as they are: theta_a + t * step makes a new place, += moves theta_a itself",
            shows=changes_an_argument,
        ),
    ],
)
