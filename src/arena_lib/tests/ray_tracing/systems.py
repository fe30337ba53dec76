"""Judges of singular matrices, and of a batch of systems some of which have no solution."""

from collections.abc import Sequence

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of, outputs
from arena_lib.checking.mistakes import changes_an_argument
from arena_lib.checking.observing import Observations
from arena_lib.fundamentals.ray_tracing import systems

__test__ = False


def regular(generator: torch.Generator, *shape: int) -> Tensor:
    """Matrices whose columns are far from one line or plane."""
    n = shape[-1]
    return torch.randn(*shape, generator=generator) / 4 + 2 * torch.eye(n)


def by_rounding(generator: torch.Generator) -> Tensor:
    """Matrices whose third column is made of the others, with float32's rounding."""
    matrices = regular(generator, 5, 3, 3)
    matrices[..., 2] = 0.3 * matrices[..., 0] - 0.7 * matrices[..., 1]
    return matrices


def singular_cases(generator: torch.Generator) -> list[Case]:
    """Exactly singular, singular up to rounding, in other units, with columns of very different lengths."""
    two = torch.tensor([[[1.0, 2.0], [2.0, 4.0]], [[3.0, 1.0], [0.0, 2.0]], [[0.0, 1.0], [0.0, 2.0]]])
    near = torch.tensor([[1.0, 1.0], [0.0, 1.0]]).repeat(5, 1, 1)
    near[:, 1, 1] = torch.tensor([5e-7, 4e-6, -5e-7, -4e-6, 1.7e-6])
    uneven = torch.tensor([[[1e3, 1e3], [0.0, 1e-4]], [[100.0, 0.0], [0.0, 1e-7]]])
    small = 1e-3 * torch.cat([regular(generator, 3, 3, 3), by_rounding(generator)])
    axes = {"output": "batch"}
    return [
        Case(label="two by two: parallel columns, none, a column of zeros", args=(two,), axes=axes),
        Case(label="singular up to rounding", args=(by_rounding(generator),), axes=axes),
        Case(label="just on either side of the limit", args=(near,), axes=axes),
        Case(label="columns of very different lengths", args=(uneven,), axes=axes),
        Case(label="in a small unit", args=(small,), axes=axes),
        Case(label="a batch with two axes", args=(regular(generator, 2, 3, 3, 3),), axes={"output": "batch_1 batch_2"}),
        Case(label="a single matrix", args=(torch.tensor([[1.0, 0.5], [2.0, 1.0]]),)),
    ]


def singular_by_directions(matrices: Tensor) -> Tensor:
    """Makes the columns as long as 1 first."""
    return torch.linalg.det(torch.nn.functional.normalize(matrices, dim=-2, eps=1e-30)).abs() <= 1e-6


def singular_one_by_one(matrices: Tensor) -> Tensor:
    """Flattens the batch, and loops."""
    n = matrices.shape[-1]
    answers = []
    for matrix in matrices.reshape(-1, n, n):
        largest = torch.stack([column.square().sum().sqrt() for column in matrix.T]).prod()
        answers.append(bool(abs(torch.det(matrix)) <= 1e-6 * largest))
    return torch.tensor(answers).reshape(matrices.shape[:-2])


RELATIVE = "a determinant is small beside the product of the columns' lengths, not by itself: units mustn't matter"

test_is_singular = exercise(
    reference=systems.is_singular,
    cases=singular_cases,
    observe=outputs,
    accepts=[singular_by_directions, singular_one_by_one],
    mistakes=[
        *instead_of(
            "torch.linalg.det(matrices).abs() <= PARALLEL * lengths.prod(dim=-1)",
            {
                "torch.linalg.det(matrices) == 0": (
                    "asks for a determinant of exactly 0",
                    "rounding makes it some number near 0: compare with PARALLEL times the product of the lengths",
                ),
                "torch.linalg.det(matrices).abs() <= PARALLEL": (
                    "compares the determinant with a fixed number",
                    RELATIVE,
                ),
                "torch.linalg.det(matrices).abs() < 1e-8": (
                    "compares the determinant with a very small number",
                    RELATIVE,
                ),
                "torch.linalg.det(matrices) <= PARALLEL * lengths.prod(dim=-1)": (
                    "takes every negative determinant for 0",
                    "a determinant may have either sign: its size counts",
                ),
                "torch.linalg.det(matrices).abs() < PARALLEL * lengths.prod(dim=-1)": (
                    "takes a matrix with a column of zeros for a regular one",
                    "both sides are 0 there: <=, not <",
                ),
                "torch.linalg.det(matrices).abs() > PARALLEL * lengths.prod(dim=-1)": (
                    "says where a matrix is regular",
                    "True is for the singular ones",
                ),
                "torch.linalg.det(matrices).abs() <= PARALLEL * lengths.sum(dim=-1)": (
                    "adds the lengths up",
                    "the largest value of a determinant is the product of the lengths",
                ),
                "torch.linalg.det(matrices).abs() <= PARALLEL * torch.linalg.matrix_norm(matrices)": (
                    "measures the whole matrix",
                    "each column has a length, and the largest value of a determinant is their product",
                ),
                "(matrices[..., 0, 0] * matrices[..., 1, 1] - matrices[..., 0, 1] * matrices[..., 1, 0]).abs()"
                " <= PARALLEL * lengths.prod(dim=-1)": (
                    "takes every matrix for one of two columns",
                    "a larger determinant has more terms: torch.linalg.det knows them",
                ),
                "torch.linalg.matrix_rank(matrices) < matrices.shape[-1]": (
                    "asks for the rank",
                    "its limit is another one: compare |determinant| with PARALLEL times the product of the lengths",
                ),
                "(torch.linalg.det(matrices).abs() <= PARALLEL * lengths.prod(dim=-1)).any()": (
                    "gives one answer for the whole batch",
                    "each matrix has an answer of its own",
                ),
            },
        ),
        Mistake(
            "measures the rows",
            "norm(dim=-2)",
            "norm(dim=-1)",
            why="a column's entries lie along the axis before the last one: dim=-2",
        ),
        Mistake(
            "measures squared lengths",
            "matrices.norm(dim=-2)",
            "matrices.square().sum(dim=-2)",
            why="a length is the root of the sum of the squares",
        ),
    ],
)


def solve_cases(generator: torch.Generator) -> list[Case]:
    """All regular; some singular, exactly or up to rounding; small units; batches of other shapes."""

    def case(label: str, matrices: Tensor, axes: str = "batch n") -> Case:
        vectors = torch.randn(matrices.shape[:-1], generator=generator)
        return Case(label=label, args=(matrices, vectors), axes={"output": axes})

    mixed = regular(generator, 5, 2, 2)
    mixed[1] = torch.tensor([[1.0, 2.0], [2.0, 4.0]])
    mixed[3] = 0.0
    small = 1e-3 * regular(generator, 4, 3, 3)
    small[2] = 1e-3 * torch.tensor([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0], [0.0, 0.0, 0.0]])
    pairs = torch.cat([regular(generator, 5, 3, 3), by_rounding(generator)]).reshape(2, 5, 3, 3)
    return [
        case("all have a solution", regular(generator, 4, 3, 3)),
        case("some have none", mixed),
        case("none has one", torch.ones(3, 2, 2)),
        case("in a small unit", small),
        case("a batch with two axes, half of it singular up to rounding", pairs, "batch_1 batch_2 n"),
        case("a single matrix", regular(generator, 2, 2), "n"),
    ]


def solve_by_indexing(matrices: Tensor, vectors: Tensor) -> Tensor:
    """Solves what can be solved, and writes that into NaNs."""
    solutions = torch.full_like(vectors, torch.nan)
    is_regular = ~systems.is_singular(matrices)
    solutions[is_regular] = torch.linalg.solve(matrices[is_regular], vectors[is_regular])
    return solutions


def solve_by_inverse(matrices: Tensor, vectors: Tensor) -> Tensor:
    """Overwrites a copy with the identity, and inverts."""
    singular = systems.is_singular(matrices)
    matrices = matrices.clone()
    matrices[singular] = torch.eye(matrices.shape[-1])
    solutions = (torch.linalg.inv(matrices) @ vectors[..., None])[..., 0]
    solutions[singular] = torch.nan
    return solutions


def solve_in_place(matrices: Tensor, vectors: Tensor) -> Tensor:
    """Writes the identity into the argument."""
    singular = systems.is_singular(matrices)
    matrices[singular] = torch.eye(matrices.shape[-1])
    return torch.where(singular[..., None], torch.nan, torch.linalg.solve(matrices, vectors))


def solve_nearly(matrices: Tensor, vectors: Tensor) -> Tensor:
    """What comes nearest to a solution."""
    return (torch.linalg.pinv(matrices) @ vectors[..., None])[..., 0]


def has_no_nan(seen: Sequence[Observations]) -> bool:
    """Whether every call gave numbers throughout."""
    return all(not bool(torch.as_tensor(shown["output"]).isnan().any()) for shown in seen)


test_solve_or_nan = exercise(
    reference=systems.solve_or_nan,
    cases=solve_cases,
    observe=outputs,
    accepts=[solve_by_indexing, solve_by_inverse],
    mistakes=[
        *instead_of(
            "torch.where(singular, torch.nan, solutions)",
            {
                "solutions": (
                    "keeps the solutions of the identity",
                    "they belong to other matrices: where a matrix was singular, write NaN over them",
                ),
                "torch.where(singular, torch.inf, solutions)": (
                    "writes infinity",
                    "infinity is greater than 0 and would count as a hit: NaN compares False with everything",
                ),
                "torch.where(singular, 0, solutions)": (
                    "writes zeros",
                    "0 lies on the segment: NaN compares False with everything",
                ),
                "torch.where(singular.any(), torch.nan, solutions)": (
                    "gives the whole batch up",
                    "only the singular ones get NaN",
                ),
                "torch.where(singular, solutions, torch.nan)": (
                    "writes NaN where there is a solution",
                    "torch.where takes its second argument where the condition is True",
                ),
            },
        ),
        *instead_of(
            "torch.where(singular[..., None], identity, matrices)",
            {
                "matrices": (
                    "hands singular matrices to solve",
                    "one of them stops torch.linalg.solve for the whole batch: put the identity in their place",
                ),
                "torch.where(singular[..., None], identity, matrices.mT)": (
                    "solves with the transposed matrices",
                    "matrix @ x = vector: rows of the matrix are equations",
                ),
                "matrices + 1e-3 * singular[..., None] * identity + 1e-4 * identity": (
                    "moves every matrix a little",
                    "only the singular ones are replaced, so that all other solutions stay exact",
                ),
            },
        ),
        Mistake(
            "looks for a determinant of exactly 0",
            "is_singular(matrices)",
            "(torch.linalg.det(matrices) == 0)",
            why="rounding makes it some number near 0: is_singular takes care of that",
        ),
        Mistake(
            "changes the matrices that were given",
            function=solve_in_place,
            why="the caller's matrices stay as they are: write the identity into a copy, matrices.clone()",
            shows=changes_an_argument,
        ),
        Mistake(
            "gives numbers where there is no solution",
            function=solve_nearly,
            why="where a matrix is singular all of the solution is NaN, whatever comes near to one",
            shows=has_no_nan,
        ),
    ],
    equivalent={
        "matrices.shape[-1] -> matrices.shape[-2]": "matrices are square",
        "torch.eye(matrices.shape[-1], dtype=matrices.dtype, device=matrices.device) -> "
        "torch.eye(matrices.shape[-1], device=matrices.device)": "torch.where takes the larger of two dtypes",
    },
)
