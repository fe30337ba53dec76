"""Judges of composition scores: of two matrices, of random ones, and of batches by their factors.

Shapes:  W_A "in_A out_A", W_B "out_A out_B"; batches "*A_idx ..." and "*B_idx ..." -> "*A_idx *B_idx".
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, Tolerance, exercise, instead_of
from arena_lib.checking.observing import CHANGED, Observations, outputs
from arena_lib.interp.weights import composition
from arena_lib.interp.weights.factored import FactoredMatrix
from arena_lib.tests.intro_to_mech_interp.factored import BUILT, LargestTensor, builds_nothing_large
from arena_lib.tests.transformer_from_scratch.draws import draws_of_a_generator

__test__ = False

N_DRAWS = 500
"""Random scores whose mean and spread are taken. For d_model 8 and rank one a score spreads by 0.21, so the
first statistic differs between two correct solutions by 0.013 and the second by 0.008 (standard deviations):
the tolerances are six times that."""
MEAN, SPREAD = Tolerance(rtol=0.0, atol=0.08), Tolerance(rtol=0.0, atol=0.05)


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
                "torch.linalg.matrix_norm(W_A)": ("divides by the norm of W_A alone", "both sizes must drop out"),
                "torch.linalg.matrix_norm(W_B)": ("divides by the norm of W_B alone", "both sizes must drop out"),
                "(torch.linalg.matrix_norm(W_A) + torch.linalg.matrix_norm(W_B))": (
                    "divides by the sum of the norms",
                    "the norm of a product scales with the product of the norms",
                ),
                "(torch.linalg.matrix_norm(W_A, ord=2) * torch.linalg.matrix_norm(W_B, ord=2))": (
                    "divides by spectral norms",
                    FROBENIUS,
                ),
                "1.0": ("does not divide", "a large product may just come from large matrices"),
            },
        ),
        *instead_of(
            "torch.linalg.matrix_norm(W_A @ W_B)",
            {
                "torch.linalg.matrix_norm(W_A @ W_B, ord=2)": ("takes the spectral norm of the product", FROBENIUS),
                "(W_A @ W_B).abs().sum()": ("sums the sizes of the entries", FROBENIUS),
            },
        ),
        Mistake("takes spectral norms all through", function=partial(_score_by, kind=2), why=FROBENIUS),
        Mistake("takes nuclear norms all through", function=partial(_score_by, kind="nuc"), why=FROBENIUS),
        Mistake(
            "squares every norm",
            function=lambda W_A, W_B: comp_score_by_entries(W_A, W_B) ** 2,
            why="the Frobenius norm is the root of the sum of squares",
        ),
    ],
)


def generate_single_random_comp_score_cases(generator: torch.Generator) -> list[Case]:
    """Ranks from one up: the lower the rank, the more the scores differ from each other."""
    return [
        Case(label=f"d_model {d_model}, d_head {d_head}", given={"sizes": (d_model, d_head)})
        for d_model, d_head in ((8, 1), (12, 5))
    ]


def random_score_statistics(function: Any, case: Case) -> Observations:
    """Mean and spread of many scores, and whether a generator alone decides them."""
    sizes = case.given["sizes"]
    generator = torch.Generator().manual_seed(3)
    drawn = [as_number(function(*sizes, generator)) for _ in range(N_DRAWS)]
    if not all(isinstance(score, float) for score in drawn):
        return {"output": drawn[0]}
    scores = torch.tensor(drawn, dtype=torch.float64)
    d_model = sizes[0]
    return {
        "a third of the mean times root of d_model": float(scores.mean() * d_model**0.5 / 3),
        "spread": float(scores.std()),
        "all in one place": bool(scores.std() < 1e-9),
        "all between 0 and 1": bool(((scores >= 0) & (scores <= 1 + 1e-9)).all()),
    } | draws_of_a_generator(function, lambda generator: as_number(function(*sizes, generator)), n_draws=2)


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
    tolerance={"a third of the mean times root of d_model": MEAN, "spread": SPREAD},
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
                    "draws matrices of full rank",
                    "a head's matrices have rank d_head: the mean would be about the same, but the scores spread far less",
                ),
                "get_comp_score(left_A @ right_A.mT, right_A @ left_A.mT)": (
                    "composes a matrix with its transpose",
                    "a reader that fits the writer is what is to be found, not what chance gives",
                ),
                "get_comp_score(left_A @ right_A.mT, left_B @ right_B.mT) ** 2": (
                    "gives the squared score",
                    "the baseline must be the same kind of number as the scores",
                ),
                "torch.linalg.matrix_norm(left_A @ right_A.mT @ left_B @ right_B.mT).item()": (
                    "gives the norm of the product",
                    "the score divides by both norms: call get_comp_score",
                ),
            },
        ),
        *instead_of(
            "torch.randn(4, d_model, d_head, generator=generator)",
            {
                "torch.rand(4, d_model, d_head, generator=generator)": (
                    "draws positive numbers alone",
                    "entries must be as often negative as positive: positive matrices all share one direction",
                ),
                "torch.randn(4, d_model, d_head)": (
                    "ignores the generator",
                    "draws from a generator of the same seed must be the same draws",
                ),
                "torch.randn(4, d_model, d_head, generator=torch.manual_seed(0))": (
                    "sets a seed of its own",
                    "each call must draw anew: use the generator as it comes",
                ),
            },
        ),
    ],
)


def get_batched_comp_scores_cases(generator: torch.Generator) -> list[Case]:
    """As many of each, different numbers, axes of several kinds, and single matrices."""

    def case(label: str, A_idx: tuple[int, ...], B_idx: tuple[int, ...], n: int = 30) -> Case:
        def draw(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=generator, dtype=torch.float64)

        sizes = torch.arange(1, 1 + torch.Size(B_idx).numel(), dtype=torch.float64).reshape(*B_idx, 1, 1)
        return Case(
            label=label,
            given={
                "A": (2 * draw(*A_idx, n + 1, 3), draw(*A_idx, 3, n)),
                "B": (sizes * draw(*B_idx, n, 2), draw(*B_idx, 2, n + 3)),
                "too many": n * n,
            },
        )

    return [
        case("three W_A and three W_B", (3,), (3,)),
        case("two W_A and five W_B", (2,), (5,)),
        case("W_As by layer and head, 2 x 3 of them, and four W_B", (2, 3), (4,), n=60),
        case("a single W_A and a single W_B, without a batch axis", (), ()),
    ]


def batched_scores(function: Any, case: Case) -> Observations:
    """The scores, and whether a matrix was multiplied out."""
    A, B = case.given["A"], case.given["B"]
    W_As, W_Bs = FactoredMatrix(A[0].clone(), A[1].clone()), FactoredMatrix(B[0].clone(), B[1].clone())
    with LargestTensor() as largest:
        output = function(W_As, W_Bs)
    now = (W_As.A, W_As.B, W_Bs.A, W_Bs.B)
    return {
        "output": output,
        CHANGED: [] if all(map(torch.equal, now, (*A, *B))) else ["W_As or W_Bs"],
        BUILT: largest.in_words(_too_many(case)),
    }


def _too_many(case: Case) -> int:
    """As many entries as all W_A, or all W_B, would have multiplied out, or all products if those are more."""
    n_A, n_B = case.given["A"][0].shape[:-2].numel(), case.given["B"][0].shape[:-2].numel()
    return max(1, min(n_A, n_B)) * int(case.given["too many"])


def scores_pair_by_pair(W_As: Any, W_Bs: Any) -> Tensor:
    """Goes through all pairs."""
    flat_A = [FactoredMatrix(a, b) for a, b in zip(_flat(W_As.A), _flat(W_As.B), strict=True)]
    flat_B = [FactoredMatrix(a, b) for a, b in zip(_flat(W_Bs.A), _flat(W_Bs.B), strict=True)]
    scores = [torch.stack([(A @ B).norm() / (A.norm() * B.norm()) for B in flat_B]) for A in flat_A]
    return torch.stack(scores).reshape(W_As.shape[:-2] + W_Bs.shape[:-2])


def scores_by_traces(W_As: Any, W_Bs: Any) -> Tensor:
    """Uses ||W_A W_B||^2 = trace of small products."""
    left, right = _flat(W_As.A).mT @ _flat(W_As.A), _flat(W_Bs.B) @ _flat(W_Bs.B).mT
    middle = torch.einsum("aij,bjk->abik", _flat(W_As.B), _flat(W_Bs.A))
    squared = torch.einsum("aij,abjl,blm,abim->ab", left, middle, right, middle)
    norm_A, norm_B = W_As.S.square().sum(-1).sqrt(), W_Bs.S.square().sum(-1).sqrt()
    scores = squared.sqrt() / torch.outer(norm_A.flatten(), norm_B.flatten())
    return scores.reshape(W_As.shape[:-2] + W_Bs.shape[:-2])


def _flat(factors: Tensor) -> Tensor:
    return factors.reshape(-1, *factors.shape[-2:])


def scores_multiplied_out(W_As: Any, W_Bs: Any) -> Tensor:
    """The mistake of multiplying out."""
    A, B = _flat(W_As.AB), _flat(W_Bs.AB)
    norms = (A[:, None] @ B[None]).norm(dim=(-2, -1))
    scores = norms / (A.norm(dim=(-2, -1))[:, None] * B.norm(dim=(-2, -1)))
    return scores.reshape(W_As.shape[:-2] + W_Bs.shape[:-2])


def _as_one_axis(matrices: Any) -> FactoredMatrix:
    return FactoredMatrix(_flat(matrices.A), _flat(matrices.B))


def scores_by_broadcasting(W_As: Any, W_Bs: Any) -> Tensor:
    """Makes one batch axis of each side's, and lets factored matrices broadcast over all pairs."""
    A, B = _as_one_axis(W_As), _as_one_axis(W_Bs)
    scores = (A.unsqueeze(1) @ B.unsqueeze(0)).norm() / (A.norm()[:, None] * B.norm()[None])
    return scores.reshape(W_As.shape[:-2] + W_Bs.shape[:-2])


def scores_of_one_axis(W_As: Any, W_Bs: Any) -> Tensor:
    """The mistake of leaving the batch axes as they are."""
    return (W_As.unsqueeze(1) @ W_Bs.unsqueeze(0)).norm() / (W_As.norm()[:, None] * W_Bs.norm()[None])


def scores_entry_by_entry(W_As: Any, W_Bs: Any) -> Tensor:
    """The mistake of pairing what has the same number."""
    return (W_As @ W_Bs).norm() / (W_As.norm() * W_Bs.norm())


def _turned(*, as_one_axis: bool, turns_norms: bool, turns_result: bool = False) -> Callable[..., Any]:
    """The mistake of giving W_Bs the first axis, in the products and perhaps in the norms and the result."""

    def scores(W_As: Any, W_Bs: Any) -> Tensor:
        A, B = (_as_one_axis(W_As), _as_one_axis(W_Bs)) if as_one_axis else (W_As, W_Bs)
        products = (A.unsqueeze(0) @ B.unsqueeze(1)).norm()
        norms = A.norm()[None] * B.norm()[:, None] if turns_norms else A.norm()[:, None] * B.norm()[None]
        shape = W_Bs.shape[:-2] + W_As.shape[:-2] if turns_result else W_As.shape[:-2] + W_Bs.shape[:-2]
        return (products / norms).reshape(shape) if as_one_axis else products / norms

    return scores


PAIRS = "pairs each W_A with the W_B of the same number alone"
TURNED = "puts the axes of W_Bs first"
A_FIRST = "the first axes belong to W_As, the last to W_Bs, in the products and in the norms: entry [a, b]"

test_get_batched_comp_scores = exercise(
    reference=composition.get_batched_comp_scores,
    cases=get_batched_comp_scores_cases,
    observe=batched_scores,
    properties=[builds_nothing_large],
    accepts=[scores_pair_by_pair, scores_by_traces, scores_by_broadcasting],
    mistakes=[
        Mistake(
            "multiplies the matrices out",
            function=scores_multiplied_out,
            why="every norm can be had from the small sides of the factors",
        ),
        Mistake(
            "takes one batch axis on each side for granted",
            function=scores_of_one_axis,
            why="either side may have none or several: make them one, and give the scores all axes at the end",
        ),
        Mistake(
            PAIRS,
            function=scores_entry_by_entry,
            why="every W_A meets every W_B: give W_As an axis after its own, and W_Bs one before",
        ),
        Mistake(
            PAIRS,
            function=lambda W_As, W_Bs: scores_entry_by_entry(_as_one_axis(W_As), _as_one_axis(W_Bs)).reshape(
                W_As.shape[:-2] + W_Bs.shape[:-2]
            ),
            why="every W_A meets every W_B: give W_As an axis after its own, and W_Bs one before",
        ),
        Mistake(TURNED, function=_turned(as_one_axis=True, turns_norms=True, turns_result=True), why=A_FIRST),
        Mistake(
            "turns the table of pairs around",
            "scores.reshape(W_As",
            "scores.mT.reshape(W_As",
            why="the first axes belong to W_As, the last to W_Bs: a reshape changes no order",
        ),
        Mistake(TURNED, function=_turned(as_one_axis=True, turns_norms=False), why=A_FIRST),
        Mistake(TURNED, function=_turned(as_one_axis=False, turns_norms=True), why=A_FIRST),
        Mistake(TURNED, function=_turned(as_one_axis=False, turns_norms=False), why=A_FIRST),
        *instead_of(
            "(W_As.norm().reshape(-1, 1) * W_Bs.norm().reshape(1, -1))",
            {
                "W_As.norm().reshape(-1, 1)": ("does not divide by the norm of W_B", "both sizes must drop out"),
                "W_Bs.norm().reshape(1, -1)": ("does not divide by the norm of W_A", "both sizes must drop out"),
                "1.0": ("does not divide", "large products may just come from large matrices"),
            },
        ),
        *instead_of(
            "torch.linalg.matrix_norm(R_A @ middle @ L_B)",
            {
                "torch.linalg.matrix_norm(middle)": (
                    "takes the norm of the middle alone",
                    "the outer factors stretch what passes between the inner ones: take their R along",
                ),
                "torch.linalg.matrix_norm(R_A @ middle @ L_B, ord=2)": ("takes the largest singular values", FROBENIUS),
                "torch.linalg.matrix_norm(R_A @ middle @ L_B) ** 2": (
                    "forgets the root of the products",
                    "the Frobenius norm is the root of the sum of squares",
                ),
            },
        ),
        Mistake(
            "forgets to turn the second R around",
            "(one_batch_axis(W_Bs.B).mT).R.mT[None]",
            "(one_batch_axis(W_Bs.B).mT).R[None]",
            why="W_B's second factor is R^T Q^T: its small part is the transpose of R",
        ),
    ],
)
