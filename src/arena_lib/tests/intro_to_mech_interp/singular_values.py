"""Judge of a matrix's singular values and vectors from its factors alone.

Shapes:  A "*batch rows rank", B "*batch rank columns" -> U "*batch rows k", S "*batch k", Vh "*batch k columns".
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.interp.weights import factored
from arena_lib.tests.intro_to_mech_interp.factored import SAME_DTYPE, builds_nothing_large, factors, watched

__test__ = False

FITS = "U @ diag(S) @ Vh is A @ B, but for the signs of vectors"


def factored_svd_cases(generator: torch.Generator) -> list[Case]:
    """A wide and a tall matrix, and a batch."""
    return [
        Case(label="a wide matrix", **factors(generator, (30, 3), (3, 40))),
        Case(label="a batch of matrices", **factors(generator, (2, 3, 30, 4), (2, 3, 4, 20))),
        Case(label="rank one", **factors(generator, (25, 1), (1, 20))),
    ]


def svd_parts(function: Callable[..., Any], case: Case) -> Observations:
    """What does not depend on the signs of singular vectors: S, the product, and whether they are orthonormal."""
    seen = watched(function, case)
    parts = seen.pop("output")
    if not (isinstance(parts, tuple | list) and len(parts) == 3 and all(isinstance(part, Tensor) for part in parts)):
        return {"output": parts} | seen
    U, S, Vh = (part.detach() for part in parts)
    found: Observations = {"U": torch.zeros_like(U), "Vh": torch.zeros_like(Vh)}  # for their shapes
    if U.ndim == Vh.ndim >= 2 and S.ndim == U.ndim - 1 and U.shape[-1] == S.shape[-1] == Vh.shape[-2]:
        found |= {"U.T @ U": U.mT @ U, "Vh @ Vh.T": Vh @ Vh.mT, "U @ diag(S) @ Vh": (U * S[..., None, :]) @ Vh}
        found[FITS] = _fits(U, S, Vh, case.args[0] @ case.args[1])
    return found | {"S": S} | seen


def _fits(U: Tensor, S: Tensor, Vh: Tensor, matrix: Tensor) -> bool:
    """Whether U diag(S) Vh is the matrix once the pairs of vectors have the right signs."""
    signs = torch.einsum("...ik,...ij,...kj->...k", U, matrix.to(U), Vh).sign()
    return torch.allclose((U * (signs * S)[..., None, :]) @ Vh, matrix.to(U), atol=1e-6 * float(matrix.abs().max()))


def _fits_but_for_signs(seen: Sequence[Observations]) -> bool:
    """Whether only the signs of some pairs are wrong, in every case."""
    return all(case[FITS] and _is_identity(case["U.T @ U"]) and _is_identity(case["Vh @ Vh.T"]) for case in seen)


def _is_identity(products: Tensor) -> bool:
    return torch.allclose(products, torch.eye(products.shape[-1]).to(products).expand_as(products), atol=1e-4)


def _by_two_eigh(A: Tensor, B: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The mistake of taking U and V from two decompositions; here the second vector of a pair always points away."""
    U, S, Vh = factored.factored_svd(A, B)
    return U, S, -Vh


def _factor_by_factor(A: Tensor, B: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The mistake of joining the decompositions of both factors."""
    U, S_A, _ = torch.linalg.svd(A, full_matrices=False)
    _, S_B, Vh = torch.linalg.svd(B, full_matrices=False)
    return U, S_A * S_B, Vh


def svd_by_three_svds(A: Tensor, B: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Takes the singular vectors of both factors in place of their QR."""
    U_A, S_A, Vh_A = torch.linalg.svd(A, full_matrices=False)
    U_B, S_B, Vh_B = torch.linalg.svd(B, full_matrices=False)
    U, S, Vh = torch.linalg.svd((S_A[..., None] * Vh_A) @ (U_B * S_B[..., None, :]), full_matrices=False)
    return U_A @ U, S, Vh @ Vh_B


def svd_with_other_signs(A: Tensor, B: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Both vectors of each pair point the other way."""
    U, S, Vh = factored.factored_svd(A, B)
    return -U, S, -Vh


BACK = "multiply the small matrix's singular vectors by Q_A and Q_B: then they have as many entries as the whole matrix has rows and columns"
LARGEST_FIRST = "S has the largest first, as torch.linalg.svd gives it"

test_factored_svd = exercise(
    reference=factored.factored_svd,
    cases=factored_svd_cases,
    observe=svd_parts,
    properties=[builds_nothing_large],
    accepts=[svd_by_three_svds, svd_with_other_signs],
    equivalent={"torch.linalg.svd(R_A @ R_B.mT, full_matrices=False)": "the small matrix is square"},
    mistakes=[
        Mistake(
            "multiplies the factors out, and keeps singular values of zero",
            function=lambda A, B: torch.linalg.svd(A @ B, full_matrices=False),
            why="only k = rank singular values may differ from zero, and the small matrix has them all",
        ),
        Mistake(
            "multiplies the factors out, and keeps all their vectors",
            function=lambda A, B: torch.linalg.svd(A @ B),
            why="there are k = rank singular values that may differ from zero, and as many vectors on each side",
        ),
        Mistake(
            "multiplies the factors out",
            function=lambda A, B: tuple(
                part[..., : A.shape[-1]] if i < 2 else part[..., : A.shape[-1], :]
                for i, part in enumerate(torch.linalg.svd(A @ B, full_matrices=False))
            ),
            why="only the small matrix between the two orthonormal parts has to be decomposed",
        ),
        *instead_of(
            "return Q_A @ U, S, Vh @ Q_B.mT",
            {
                "return Q_A @ U, S, (Vh @ Q_B.mT).mT": (
                    "returns V instead of Vh",
                    "the third part has the right singular vectors as rows, as torch.linalg.svd gives it",
                ),
                "return U, S, Vh": ("returns the singular vectors of the small matrix", BACK),
                "return Vh @ Q_B.mT, S, Q_A @ U": ("returns Vh before U", "the order is (U, S, Vh)"),
                "return Q_A @ U, torch.diag_embed(S), Vh @ Q_B.mT": (
                    "returns S as a matrix",
                    "S is a vector of the k singular values",
                ),
                "return (Q_A @ U) * S[..., None, :], S, Vh @ Q_B.mT": (
                    "multiplies U by S",
                    "the columns of U are orthonormal, and S is returned separately",
                ),
                "return Q_A @ U, S.square(), Vh @ Q_B.mT": (
                    "squares the singular values",
                    "U diag(S) Vh is the matrix itself",
                ),
                "return Q_A @ U, S.sqrt(), Vh @ Q_B.mT": (
                    "takes the roots of the singular values",
                    "U diag(S) Vh is the matrix itself",
                ),
                "return Q_A @ U, S / S[..., :1], Vh @ Q_B.mT": (
                    "divides by the largest singular value",
                    "U diag(S) Vh is the matrix itself",
                ),
                "return Q_A @ U, S, S[..., None] * (Vh @ Q_B.mT)": (
                    "multiplies Vh by S",
                    "the rows of Vh are orthonormal; S stands for itself",
                ),
                "return Q_A @ U, S, Vh": ("leaves Vh in the small space", BACK),
                "return U, S, Vh @ Q_B.mT": ("leaves U in the small space", BACK),
                "return U, torch.diag_embed(S), Vh": (
                    "leaves the vectors in the small space, and returns S as a matrix",
                    BACK + "; S holds the singular values alone",
                ),
                "return Q_A @ U, S, (Q_B @ Vh).mT": (
                    "multiplies Q_B by Vh, not by V",
                    "B = R_B^T Q_B^T: Vh is followed by Q_B^T",
                ),
                "return Q_A @ U.mT, S, Vh @ Q_B.mT": (
                    "transposes the small U",
                    "the columns of U are the vectors: Q_A @ U",
                ),
                "return Q_A @ U, Vh @ Q_B.mT, S": ("returns Vh before S", "the order is (U, S, Vh)"),
                "return (Q_A @ U).float(), S.float(), (Vh @ Q_B.mT).float()": ("returns single precision", SAME_DTYPE),
                "return Q_A @ U, S.square(), (Vh @ Q_B.mT).mT": (
                    "squares the singular values, and returns V in place of Vh",
                    "U diag(S) Vh is the matrix itself, with the right singular vectors as rows of Vh",
                ),
            },
        ),
        *instead_of(
            "full_matrices=False)",
            {
                "full_matrices=False)\n    U, S, Vh = U.flip(-1), S.flip(-1), Vh.flip(-2)": (
                    "returns everything from the smallest singular value to the largest",
                    LARGEST_FIRST,
                ),
                "full_matrices=False)\n    S = S.flip(-1)": (
                    "puts the smallest first, and leaves the vectors",
                    LARGEST_FIRST,
                ),
            },
        ),
        Mistake(
            "finds U and Vh apart, with signs that don't match",
            function=_by_two_eigh,
            shows=_fits_but_for_signs,
            why="a singular vector's sign is free, but u and v of a pair belong together: A B v = s u",
        ),
        Mistake(
            "multiplies the singular values of both factors",
            function=_factor_by_factor,
            why="the factors meet at some angle: decompose what stands between Q_A and Q_B^T",
        ),
        *instead_of(
            "R_A @ R_B.mT",
            {
                "R_A": ("leaves the second R out", "A B = Q_A R_A R_B^T Q_B^T: both R stand in the middle"),
                "R_A.mT @ R_B": (
                    "transposes both R",
                    "A B = Q_A R_A R_B^T Q_B^T: R_A as it is, R_B transposed",
                ),
                "R_B @ R_A.mT": (
                    "transposes the small matrix",
                    "A B = Q_A R_A R_B^T Q_B^T: the transpose would belong to (A B)^T",
                ),
                "R_A @ R_B": ("forgets the transpose of the second R", "B^T = Q_B R_B, so B = R_B^T Q_B^T"),
            },
        ),
        Mistake(
            "decomposes only the first factor",
            function=lambda A, B: (lambda U, S, Vh: (U, S, Vh @ B))(*torch.linalg.svd(A, full_matrices=False)),
            why="the rows of Vh @ B are not orthonormal, and S belongs to A alone",
        ),
    ],
)
