"""Judge of composition scores of batches of matrices, by their factors.

Shapes:  W_As "*A_idx in_A out_A", W_Bs "*B_idx out_A out_B" -> "*A_idx *B_idx".
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.checking.observing import CHANGED, Observations
from arena_lib.interp.weights import composition
from arena_lib.interp.weights.factored import FactoredMatrix
from arena_lib.tests.intro_to_mech_interp.composition import FROBENIUS
from arena_lib.tests.intro_to_mech_interp.factored import BUILT, LargestTensor, builds_nothing_large

__test__ = False


def get_batched_comp_scores_cases(generator: torch.Generator) -> list[Case]:
    """As many of each, different numbers, axes of several kinds, and single matrices."""

    def case(label: str, A_idx: tuple[int, ...], B_idx: tuple[int, ...], n: int = 30) -> Case:
        def draw(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=generator, dtype=torch.float64)

        sizes = torch.arange(1, 1 + torch.Size(B_idx).numel(), dtype=torch.float64).reshape(*B_idx, 1, 1)
        return Case(
            label=label,
            call="W_As, W_Bs",
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


def _pairs_of(W_As: Any, W_Bs: Any) -> tuple[FactoredMatrix, FactoredMatrix]:
    return _as_one_axis(W_As).unsqueeze(1), _as_one_axis(W_Bs).unsqueeze(0)


def _inner_factors(W_As: Any, W_Bs: Any) -> Tensor:
    """The mistake of leaving both outer factors out, above and below the line."""
    A, B = _pairs_of(W_As, W_Bs)
    norms = torch.linalg.matrix_norm(A.B) * torch.linalg.matrix_norm(B.A)
    return (torch.linalg.matrix_norm(A.B @ B.A) / norms).reshape(W_As.shape[:-2] + W_Bs.shape[:-2])


def _by_values(norm: Callable[[Tensor], Tensor]) -> Callable[..., Tensor]:
    """The mistake of another norm, made of the singular values."""

    def scores(W_As: Any, W_Bs: Any) -> Tensor:
        A, B = _pairs_of(W_As, W_Bs)
        products = A @ B
        assert isinstance(products, FactoredMatrix)
        return (norm(products.S) / (norm(A.S) * norm(B.S))).reshape(W_As.shape[:-2] + W_Bs.shape[:-2])

    return scores


AXES_BACK = "the scores have all axes of both sides, (*A_idx, *B_idx): reshape at the end"
PAIRS = "pairs each W_A only with the W_B of the same index"
TURNED = "returns the axes of W_Bs first"
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
            why="every norm can be computed from small matrices: use the R of each factor",
        ),
        Mistake(
            "assumes one batch axis on each side",
            function=scores_of_one_axis,
            why="either side may have none or several: make them one, and give the scores all axes at the end",
        ),
        Mistake(
            PAIRS,
            function=scores_entry_by_entry,
            why="every W_A is paired with every W_B: add an axis after those of W_As, and one before those of W_Bs",
        ),
        Mistake(
            PAIRS,
            function=lambda W_As, W_Bs: scores_entry_by_entry(_as_one_axis(W_As), _as_one_axis(W_Bs)).reshape(
                W_As.shape[:-2] + W_Bs.shape[:-2]
            ),
            why="every W_A is paired with every W_B: add an axis after those of W_As, and one before those of W_Bs",
        ),
        Mistake(TURNED, function=_turned(as_one_axis=True, turns_norms=True, turns_result=True), why=A_FIRST),
        *instead_of(
            "scores.reshape(W_As",
            {
                "scores.float().reshape(W_As": ("returns single precision", "the scores have the factors' dtype"),
                "(scores - W_As.shape[-1] ** -0.5).reshape(W_As": (
                    "subtracts what chance gives",
                    "the score is the fraction itself; chance is compared with it later",
                ),
                "scores.mT.reshape(W_As": (
                    "transposes the result with a reshape",
                    "the first axes belong to W_As, the last to W_Bs; a reshape doesn't swap axes",
                ),
                "scores.square().reshape(W_As": ("squares the scores", FROBENIUS),
            },
        ),
        *instead_of(
            "return scores.reshape(W_As.shape[:-2] + W_Bs.shape[:-2])",
            {
                "return scores": ("leaves all W_A in one axis and all W_B in another", AXES_BACK),
                "return scores.flatten()": ("leaves all pairs in one axis", AXES_BACK),
                "return scores.mean()": ("averages over the pairs", "every pair has a score of its own"),
                "return scores.mT.square().reshape(W_Bs.shape[:-2] + W_As.shape[:-2])": (
                    TURNED + ", and squares the scores",
                    A_FIRST + "; " + FROBENIUS,
                ),
            },
        ),
        Mistake(TURNED, function=_turned(as_one_axis=True, turns_norms=False), why=A_FIRST),
        Mistake(TURNED, function=_turned(as_one_axis=False, turns_norms=True), why=A_FIRST),
        Mistake(TURNED, function=_turned(as_one_axis=False, turns_norms=False), why=A_FIRST),
        *instead_of(
            "(W_As.norm().reshape(-1, 1) * W_Bs.norm().reshape(1, -1))",
            {
                "W_As.norm().reshape(-1, 1) * W_Bs.norm().reshape(1, -1)": (
                    "multiplies by the norm of W_B",
                    "the score divides by both norms, but a / b * c is (a / b) * c: put b * c in brackets",
                ),
                "(W_As.norm().reshape(-1, 1) + W_Bs.norm().reshape(1, -1))": (
                    "divides by the sum of the norms",
                    "the norm of a product scales with the product of the norms",
                ),
                "(W_As.norm().reshape(-1, 1) * W_Bs.norm().reshape(1, -1)) ** 2": (
                    "squares the norms it divides by",
                    FROBENIUS,
                ),
                "(W_As.norm().norm() * W_Bs.norm().norm())": (
                    "divides by one norm for all matrices",
                    "each pair is divided by the norms of its own two matrices",
                ),
                "(W_As.norm().reshape(-1, 1)[:1] * W_Bs.norm().reshape(1, -1))": (
                    "divides by the norm of the first W_A throughout",
                    "each pair is divided by the norms of its own two matrices",
                ),
                "((torch.linalg.matrix_norm(one_batch_axis(W_As.A)) * torch.linalg.matrix_norm(one_batch_axis(W_As.B)))"
                "[:, None] * torch.linalg.matrix_norm(one_batch_axis(W_Bs.A)) "
                "* torch.linalg.matrix_norm(one_batch_axis(W_Bs.B)))": (
                    "multiplies the norms of the factors",
                    "the norm of a product is not the product of the norms: take W_As.norm()",
                ),
                "W_As.norm().reshape(-1, 1)": (
                    "does not divide by the norm of W_B",
                    "the score divides by both norms, so that it doesn't depend on the size of either matrix",
                ),
                "W_Bs.norm().reshape(1, -1)": (
                    "does not divide by the norm of W_A",
                    "the score divides by both norms, so that it doesn't depend on the size of either matrix",
                ),
                "1.0": (
                    "does not divide by the norms",
                    "the score divides by both norms, so that it doesn't depend on the size of either matrix",
                ),
            },
        ),
        *instead_of(
            "torch.linalg.matrix_norm(R_A @ middle @ L_B)",
            {
                "torch.linalg.matrix_norm(middle)": (
                    "uses the norm of only the two inner factors",
                    "the outer factors also change the norm: multiply by the R of each",
                ),
                "torch.linalg.matrix_norm(R_A @ middle)": (
                    "leaves the outer factor of W_B out",
                    "the outer factors stretch what passes between the inner ones: take both R along",
                ),
                "torch.linalg.matrix_norm(middle @ L_B)": (
                    "leaves the outer factor of W_A out",
                    "the outer factors stretch what passes between the inner ones: take both R along",
                ),
                "torch.linalg.matrix_norm(R_A @ middle @ L_B, ord=2)": ("uses the largest singular values", FROBENIUS),
                "torch.linalg.matrix_norm(R_A @ middle @ L_B) ** 2": (
                    "forgets the root of the products",
                    "the Frobenius norm is the root of the sum of squares",
                ),
            },
        ),
        Mistake(
            "uses norms of the inner factors throughout",
            function=_inner_factors,
            why="a matrix is both of its factors: W_As.norm() and the product's norm need the outer ones",
        ),
        Mistake("uses the largest singular values throughout", function=_by_values(lambda S: S[..., 0]), why=FROBENIUS),
        Mistake("sums the singular values throughout", function=_by_values(lambda S: S.sum(dim=-1)), why=FROBENIUS),
        Mistake(
            "forgets to transpose the second R",
            "(one_batch_axis(W_Bs.B).mT).R.mT[None]",
            "(one_batch_axis(W_Bs.B).mT).R[None]",
            why="W_B's second factor is R^T Q^T: its small part is the transpose of R",
        ),
    ],
)
