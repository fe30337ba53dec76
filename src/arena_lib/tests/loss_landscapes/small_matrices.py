"""Judges of what is read off Lanczos's small matrix."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.fundamentals.landscapes.spectra import lanczos
from arena_lib.tests.loss_landscapes.watching import draw, draw_symmetric, pure

__test__ = False


def small_cases(generator: torch.Generator) -> list[Case]:
    """What Lanczos gives for small matrices."""
    cases = []
    for label, size, n_steps in (("three steps of five", 5, 3), ("all of four", 4, 4), ("one step", 3, 1)):
        matrix = draw_symmetric(generator, size)
        parts = lanczos.lanczos(lambda v, matrix=matrix: matrix @ v, draw(generator, size), n_steps)  # type: ignore[misc]
        cases.append(Case(label=label, args=parts, call="alphas, betas, basis"))
    return cases


def pairs_up_to_sign(function: Callable[..., Any], case: Case) -> Observations:
    """Values, and the projector on each vector."""
    values, vectors = function(*case.fresh().args)
    return {
        "values": values,
        "shape of the vectors": tuple(vectors.shape),
        "projectors": [torch.outer(v, v) for v in vectors],
    }


def pairs_by_general_solver(alphas: Tensor, betas: Tensor, basis: Tensor) -> tuple[Tensor, Tensor]:
    """By a solver that knows nothing of symmetry."""
    small = alphas.diag()
    for i, beta in enumerate(betas):
        small[i, i + 1] = small[i + 1, i] = beta
    values, vectors = torch.linalg.eig(small)
    order = values.real.argsort(descending=True)
    return values.real[order], torch.einsum("j i, j n -> i n", vectors.real[:, order], basis)


test_ritz_pairs = exercise(
    reference=lanczos.ritz_pairs,
    cases=small_cases,
    observe=pairs_up_to_sign,
    accepts=[pairs_by_general_solver],
    equivalent={
        "torch.diag(alphas) + torch.diag(betas, 1) -> torch.diag(alphas) - torch.diag(betas, 1)": (
            "eigh reads the lower half alone"
        ),
        "return (values.flip(0), (vectors.T @ basis).flip(0)) -> return (values.flip(-1), (vectors.T @ basis).flip(0))": (
            "the values have one axis"
        ),
    },
    mistakes=[
        *instead_of(
            "values.flip(0), (vectors.T @ basis).flip(0)",
            {
                "values, vectors.T @ basis": (
                    "begins with the smallest",
                    "eigh sorts upwards; here the largest comes first",
                ),
                "values.flip(0), vectors.T @ basis": (
                    "turns the values alone",
                    "vectors keep the order of their values",
                ),
                "values.flip(0), (vectors @ basis).flip(0)": (
                    "reads the small eigenvectors in rows",
                    "torch.linalg.eigh returns eigenvectors in columns",
                ),
                "values[values.abs().argsort().flip(0)], (vectors.T @ basis)[values.abs().argsort().flip(0)]": (
                    "sorts by the absolute value",
                    "the largest first, with its sign: -7 comes after 2",
                ),
                "values.flip(0), (vectors.T @ basis).flip(0).T": (
                    "puts the vectors into columns",
                    "each row of the result is one vector",
                ),
            },
        ),
        *instead_of(
            " + torch.diag(betas, -1)",
            {
                "": ("fills one side alone", "betas stand above and below the diagonal"),
                " - torch.diag(betas, -1)": ("changes the sign below the diagonal", "the matrix is symmetric"),
            },
        ),
        *instead_of(
            "torch.diag(alphas)",
            {"torch.diag(alphas.flip(0))": ("turns the diagonal round", "alphas stand there in their order")},
        ),
    ],
)


def quadrature_cases(generator: torch.Generator) -> list[Case]:
    """The numbers of the same small matrices."""
    return [Case(label=case.label, args=case.args[:2], call="alphas, betas") for case in small_cases(generator)]


def quadrature_by_moments(alphas: Tensor, betas: Tensor) -> tuple[Tensor, Tensor]:
    """Weights that give the first moments of the small matrix, by solving for them."""
    small = torch.diag(alphas) + torch.diag(betas, 1) + torch.diag(betas, -1)
    values = torch.linalg.eigvalsh(small)
    powers = torch.stack([values**k for k in range(len(values))])
    moments = torch.stack([torch.linalg.matrix_power(small, k)[0, 0] for k in range(len(values))])
    return values, torch.linalg.solve(powers, moments)


test_lanczos_quadrature = exercise(
    reference=lanczos.lanczos_quadrature,
    cases=quadrature_cases,
    observe=pure,
    accepts=[quadrature_by_moments],
    equivalent={
        "torch.diag(alphas) + torch.diag(betas, 1) -> torch.diag(alphas) - torch.diag(betas, 1)": (
            "eigh reads the lower half alone"
        ),
        "torch.diag(alphas) + torch.diag(betas, 1) + torch.diag(betas, -1) -> torch.diag(alphas) + torch.diag(betas, 1) - torch.diag(betas, -1)": (
            "the signs of betas are signs of eigenvectors' entries, which are squared"
        ),
    },
    mistakes=[
        *instead_of(
            "values, vectors[0] ** 2",
            {
                "values, vectors[:, 0] ** 2": (
                    "takes the first eigenvector",
                    "eigenvectors are columns: their first entries are the first row",
                ),
                "values, vectors[0].abs()": ("doesn't square", "a weight is a square: they add up to 1"),
                "values, vectors[-1] ** 2": ("takes the last entries", "the start is the first basis vector"),
                "values, torch.full_like(values, 1 / len(values))": (
                    "weighs all alike",
                    "the weight is how much of the start lies there",
                ),
                "values.flip(0), vectors[0].flip(0) ** 2": ("begins with the largest", "here the smallest comes first"),
            },
        ),
        Mistake("fills one side alone", " + torch.diag(betas, -1)", "", why="betas stand above and below the diagonal"),
    ],
)
