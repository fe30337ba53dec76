"""Judges of composition scores: of two matrices, and of random ones.

Shapes:  W_A "in_A out_A", W_B "out_A out_B".
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from arena_lib.checking import Case, Mistake, Tolerance, exercise, instead_of
from arena_lib.checking.observing import Observations, outputs
from arena_lib.interp.weights import composition
from arena_lib.interp.weights.factored import FactoredMatrix
from arena_lib.tests.transformer_from_scratch.draws import draws_of_a_generator, ignores_the_generator

__test__ = False

N_DRAWS = 500
"""Random scores whose mean and spread are taken. For d_model 8 and rank one a score spreads by 0.21, so the
mean times the root differs between two correct solutions by 0.038 and the spread by 0.008 (standard deviations):
the tolerances are six times that."""
ROUNDING = 1e-5
"""How far apart two scores may lie that are the same but for rounding in single precision."""
TOO_FEW = "fewer numbers are drawn than two independent matrices need"
IN_RANGE = "all scores lie between 0 and 1"
MEAN_SCORE, SPREAD = "mean score times the root of d_model", "standard deviation of the scores"
EXTREME = "share of scores below 0.2 or above 0.98"
TOLERANCES = {
    MEAN_SCORE: Tolerance(rtol=0.0, atol=0.24),
    SPREAD: Tolerance(rtol=0.0, atol=0.05),
    EXTREME: Tolerance(rtol=0.0, atol=0.02),
}
N_DRAWS_OF_TWO_DIMENSIONS = 3000
"""A matrix composed with itself has the same mean score, and nearly the same spread. For d_model 2 and d_head 50
it has a share of 0.058 of extreme scores, where two independent matrices have 0.022; with so many draws these
shares have standard deviations of 0.004 and 0.003."""


def as_number(value: Any) -> Any:
    """A number for a tensor of one entry."""
    return value.item() if isinstance(value, Tensor) and value.numel() == 1 else value


def get_comp_score_cases(generator: torch.Generator) -> list[Case]:
    """Matrices of several sizes, square ones, and ones that hardly meet."""

    def matrix(rows: int, columns: int) -> Tensor:
        return torch.randn(rows, columns, generator=generator, dtype=torch.float64)

    left, right = matrix(4, 6), matrix(6, 5)
    left[:, :3] *= 0.01
    right[3:] *= 0.02
    return [
        Case(label="of different sizes", args=(3 * matrix(5, 7), matrix(7, 4))),
        Case(label="square", args=(matrix(6, 6), 0.2 * matrix(6, 6))),
        Case(label="that hardly meet", args=(left, right)),
        Case(label="a single row and column", args=(matrix(1, 8), matrix(8, 1))),
    ]


def score_as_number(function: Callable[..., Any], case: Case) -> Observations:
    """The score as a number, and which arguments changed."""
    seen = outputs(function, case)
    return seen | {"output": as_number(seen["output"])}


def comp_score_by_entries(W_A: Tensor, W_B: Tensor) -> Tensor:
    """Sums squares."""
    norms = [matrix.pow(2).sum().sqrt() for matrix in (W_A @ W_B, W_A, W_B)]
    return norms[0] / norms[1] / norms[2]


def _score_by(W_A: Tensor, W_B: Tensor, kind: Any) -> Tensor:
    """The mistake of another norm."""
    product, size_A, size_B = (torch.linalg.matrix_norm(matrix, ord=kind) for matrix in (W_A @ W_B, W_A, W_B))
    return product / (size_A * size_B)


def _score_of_sizes(W_A: Tensor, W_B: Tensor) -> Tensor:
    return (W_A @ W_B).abs().sum() / (W_A.abs().sum() * W_B.abs().sum())


def _score_of_largest(W_A: Tensor, W_B: Tensor) -> Tensor:
    return (W_A @ W_B).abs().max() / (W_A.abs().max() * W_B.abs().max())


def _score_of_means(W_A: Tensor, W_B: Tensor) -> Tensor:
    product, size_A, size_B = (matrix.square().mean().sqrt() for matrix in (W_A @ W_B, W_A, W_B))
    return product / (size_A * size_B)


def _divides_in_place(W_A: Tensor, W_B: Tensor) -> Tensor:
    W_A /= W_A.norm()
    W_B /= W_B.norm()
    return (W_A @ W_B).norm()


BOTH_SIZES = "both sizes must drop out: divide by the norm of W_A and by that of W_B, once each"
FROBENIUS = "the score uses the Frobenius norm: the root of the sum of all squared entries"

test_get_comp_score = exercise(
    reference=composition.get_comp_score,
    cases=get_comp_score_cases,
    observe=score_as_number,
    accepts=[
        comp_score_by_entries,
        lambda W_A, W_B: (torch.einsum("ij,jk->ik", W_A, W_B).norm() / (W_A.norm() * W_B.norm())).item(),
        lambda W_A, W_B: float(torch.linalg.matrix_norm(W_A / W_A.norm() @ (W_B / W_B.norm()))),
    ],
    mistakes=[
        *instead_of(
            "(torch.linalg.matrix_norm(W_A) * torch.linalg.matrix_norm(W_B))",
            {
                "torch.linalg.matrix_norm(W_A)": (
                    "divides only by the norm of W_A",
                    "the score divides by both norms, so that it doesn't depend on the size of either matrix",
                ),
                "torch.linalg.matrix_norm(W_A) * torch.linalg.matrix_norm(W_B)": (
                    "multiplies by the norm of W_B",
                    "the score divides by both norms, but a / b * c is (a / b) * c: put b * c in brackets",
                ),
                "torch.linalg.matrix_norm(W_B)": (
                    "divides only by the norm of W_B",
                    "the score divides by both norms, so that it doesn't depend on the size of either matrix",
                ),
                "(torch.linalg.matrix_norm(W_A) + torch.linalg.matrix_norm(W_B))": (
                    "divides by the sum of the norms",
                    "the norm of a product scales with the product of the norms",
                ),
                "(torch.linalg.matrix_norm(W_A, ord=2) * torch.linalg.matrix_norm(W_B, ord=2))": (
                    "divides by spectral norms",
                    FROBENIUS,
                ),
                "(torch.linalg.matrix_norm(W_A) * torch.linalg.matrix_norm(W_B)) ** 2": (
                    "squares the norms it divides by",
                    "the Frobenius norm is the root of the sum of squares",
                ),
                "(torch.linalg.matrix_norm(W_A) * torch.linalg.matrix_norm(W_B)) ** 0.5": (
                    "divides by the root of the norms' product",
                    BOTH_SIZES,
                ),
                "torch.linalg.matrix_norm(W_A) ** 2": ("divides by the norm of W_A twice", BOTH_SIZES),
                "1.0": (
                    "does not divide by the norms",
                    "the score divides by both norms, so that it doesn't depend on the size of either matrix",
                ),
            },
        ),
        *instead_of(
            "torch.linalg.matrix_norm(W_A @ W_B)",
            {
                "torch.linalg.matrix_norm(W_A @ W_B, ord=2)": ("uses the spectral norm of the product", FROBENIUS),
                "torch.linalg.matrix_norm(W_A @ W_B) ** 2": (
                    "squares the norm of the product",
                    "the Frobenius norm is the root of the sum of squares",
                ),
                "(W_A @ W_B).abs().sum()": ("sums the absolute values of the entries", FROBENIUS),
                "torch.linalg.matrix_norm(W_A @ W_B.mT)": (
                    "turns W_B around",
                    "what W_A writes, its columns, meets the rows of W_B: W_A @ W_B",
                ),
                "torch.linalg.matrix_norm(W_B @ W_A)": (
                    "multiplies in the other order",
                    "the stream passes W_A first: x @ W_A @ W_B",
                ),
            },
        ),
        *instead_of(
            ".item()",
            {
                ".reciprocal().item()": (
                    "turns the fraction over",
                    "the product's norm stands above the line: the score lies between 0 and 1",
                ),
                ".item() - W_A.shape[1] ** -0.5": (
                    "subtracts what chance gives",
                    "the score is the fraction itself; chance is compared with it later",
                ),
                ".item() * W_A.shape[1] ** 0.5": (
                    "divides by what chance gives",
                    "the score is the fraction itself; chance is compared with it later",
                ),
            },
        ),
        Mistake("sums sizes of entries all through", function=_score_of_sizes, why=FROBENIUS),
        Mistake("uses the largest entries all through", function=_score_of_largest, why=FROBENIUS),
        Mistake("uses the largest column sums all through", function=partial(_score_by, kind=1), why=FROBENIUS),
        Mistake(
            "uses the mean of the squares in place of their sum",
            function=_score_of_means,
            why=FROBENIUS + "; a mean depends on how many entries there are",
        ),
        Mistake(
            "divides the matrices themselves",
            function=_divides_in_place,
            why="later cells use the matrices again: make new ones, W_A / norm",
        ),
        Mistake("uses spectral norms everywhere", function=partial(_score_by, kind=2), why=FROBENIUS),
        Mistake("uses nuclear norms everywhere", function=partial(_score_by, kind="nuc"), why=FROBENIUS),
        Mistake(
            "squares every norm",
            function=lambda W_A, W_B: comp_score_by_entries(W_A, W_B) ** 2,
            why="the Frobenius norm is the root of the sum of squares",
        ),
    ],
)


def generate_single_random_comp_score_cases(generator: torch.Generator) -> list[Case]:
    """Ranks from one up, and two dimensions, where a matrix with itself gives extreme scores more often than two."""
    return [
        Case(label=label, given={"sizes": sizes, "n_draws": n_draws}, call=f"{sizes[0]}, {sizes[1]}, generator")
        for label, sizes, n_draws in [
            ("rank one", (8, 1), N_DRAWS),
            ("a higher rank", (12, 5), N_DRAWS),
            ("a rank close to d_model", (12, 10), N_DRAWS),
            ("two dimensions", (2, 50), N_DRAWS_OF_TWO_DIMENSIONS),
        ]
    ]


class CountedDraws(TorchDispatchMode):
    """Counts the random numbers that torch draws while it is active."""

    DRAWING = ("randn", "rand", "normal", "normal_", "uniform_", "randn_like", "rand_like", "normal_functional")

    def __init__(self) -> None:
        super().__init__()
        self.n_numbers = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """No: torch would load its compiler only to keep it away from here, for which a learner waits a second."""
        return False

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Runs the operation, and counts what it drew."""
        result = func(*args, **(kwargs or {}))
        if func.overloadpacket.__name__ in self.DRAWING:
            self.n_numbers += result.numel()
        return result


def random_score_statistics(function: Any, case: Case) -> Observations:
    """Mean and spread of many scores, and whether a generator alone decides them."""
    sizes = case.given["sizes"]
    generator = torch.Generator().manual_seed(3)
    drawn = [as_number(function(*sizes, generator)) for _ in range(case.given["n_draws"])]
    if not all(isinstance(score, float) for score in drawn):
        return {"output": drawn[0]}
    scores = torch.tensor(drawn, dtype=torch.float64)
    d_model = sizes[0]
    with CountedDraws() as draws:
        function(*sizes, generator)
    is_known = draws.n_numbers > 0  # numbers that come from elsewhere than torch aren't seen
    share = float(((scores < 0.2) | (scores > 0.98)).double().mean())
    extremes = {EXTREME: share} if len(drawn) == N_DRAWS_OF_TWO_DIMENSIONS else {}
    return (
        extremes
        | {
            MEAN_SCORE: float(scores.mean() * d_model**0.5),
            SPREAD: float(scores.std()),
            "all scores are the same": bool(scores.std() < ROUNDING),
            TOO_FEW: is_known and draws.n_numbers < min(4 * sizes[0] * sizes[1], 2 * sizes[0] ** 2),
            IN_RANGE: bool(((scores >= 0) & (scores <= 1 + ROUNDING)).all()),
        }
        | draws_of_a_generator(function, lambda generator: round(as_number(function(*sizes, generator)), 5), n_draws=4)
    )


def _draws_too_few(seen: Sequence[Observations]) -> bool:
    return any(case[TOO_FEW] for case in seen)


def uniform_random_score(d_model: int, d_head: int, generator: Any = None) -> float:
    """Draws from a uniform distribution, and lets factored matrices do the rest."""

    def draw() -> FactoredMatrix:
        left, right = (torch.rand(d_model, d_head, generator=generator) - 0.5 for _ in range(2))
        return FactoredMatrix(left, right.T)

    return float(composition.get_batched_comp_scores(draw(), draw()))


def random_score_step_by_step(d_model: int, d_head: int, generator: Any = None) -> float:
    """Draws one factor after the other."""
    W_A = torch.randn(d_model, d_head, generator=generator) @ torch.randn(d_head, d_model, generator=generator)
    W_B = torch.randn(d_model, d_head, generator=generator) @ torch.randn(d_head, d_model, generator=generator)
    return composition.get_comp_score(W_A, W_B)


test_generate_single_random_comp_score = exercise(
    reference=composition.generate_single_random_comp_score,
    cases=generate_single_random_comp_score_cases,
    observe=random_score_statistics,
    tolerance=TOLERANCES,
    accepts=[uniform_random_score, random_score_step_by_step],
    equivalent={
        "get_comp_score(left_A @ right_A.mT, left_B @ right_B.mT) -> "
        "get_comp_score(left_B @ right_B.mT, left_A @ right_A.mT)": "both matrices are drawn alike"
    },
    mistakes=[
        *instead_of(
            "get_comp_score(left_A @ right_A.mT, left_B @ right_B.mT)",
            {
                "get_comp_score(*torch.randn(2, d_model, d_model, generator=generator))": (
                    "returns scores that hardly differ",
                    "one score of two matrices of rank d_head is asked for: those of matrices of full rank, and "
                    "means of many scores, spread far less",
                ),
                "get_comp_score(left_A @ right_A.mT, right_A @ left_B.mT)": (
                    "uses three factors for the two matrices",
                    "W_B's first factor is W_A's second one turned around, so that they fit too well: draw four",
                ),
                "get_comp_score(left_A, right_A.mT)": (
                    "draws matrices that aren't d_model x d_model",
                    "each of the two matrices is d_model x d_model, a product of two thin ones",
                ),
                "get_comp_score(left_A.mT @ right_A, left_B.mT @ right_B)": (
                    "draws matrices that aren't d_model x d_model",
                    "each of the two matrices is d_model x d_model, a product of two thin ones",
                ),
                "d_model**-0.5": (
                    "gives what is expected, without drawing",
                    "the spread of random scores counts as well: draw four matrices",
                ),
                "get_comp_score(left_A @ right_A.mT, left_B @ right_B.mT) - d_model**-0.5": (
                    "subtracts what is expected",
                    "the baseline must be the same kind of number as the scores",
                ),
                "get_comp_score(left_A @ right_A.mT, left_A @ right_A.mT)": (
                    "composes a matrix with itself",
                    "the baseline needs two independent matrices, because it shows which scores come by chance",
                ),
                "get_comp_score(left_A @ right_A.mT, right_A @ left_A.mT)": (
                    "composes a matrix with its own transpose",
                    "the baseline needs two independent matrices, because it shows which scores come by chance",
                ),
                "get_comp_score(left_A @ right_A.mT, left_B @ right_B.mT) ** 2": (
                    "returns the squared score",
                    "the baseline must be the composition score itself, so that scores can be compared with it",
                ),
            },
        ),
        Mistake(
            "draws fewer than four factors",
            "torch.randn(4, d_model, d_head, generator=generator)",
            "torch.randn(2, d_model, d_head, generator=generator).repeat(2, 1, 1)",
            shows=_draws_too_few,
            why="all four are independent: a factor that is used twice ties the two matrices together",
        ),
        Mistake(
            "doesn't take all its draws from the generator",
            "torch.randn(4, d_model, d_head, generator=generator)",
            "torch.randn(4, d_model, d_head)",
            shows=ignores_the_generator,
            why="with a generator of the same seed the same scores must come: hand it to each of the four draws",
        ),
        Mistake(
            "returns the norm of the product",
            "get_comp_score(left_A @ right_A.mT, left_B @ right_B.mT)",
            "torch.linalg.matrix_norm(left_A @ right_A.mT @ left_B @ right_B.mT).item()",
            shows=lambda seen: not any(observed[IN_RANGE] for observed in seen),
            why="the score divides by both norms: call get_comp_score",
        ),
        *instead_of(
            "torch.randn(4, d_model, d_head, generator=generator)",
            {
                "torch.rand(4, d_model, d_head, generator=generator)": (
                    "draws only positive numbers",
                    "entries come from a standard normal, so half of them are negative; positive matrices have a direction in common",
                ),
                "torch.randn(4, d_model, d_head, generator=torch.manual_seed(0))": (
                    "sets a fixed seed at each call",
                    "each call must draw new tokens: use the generator without seeding it",
                ),
            },
        ),
    ],
)
