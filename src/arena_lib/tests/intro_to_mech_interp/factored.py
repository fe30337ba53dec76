"""Judges of what follows from the factors of a matrix alone.

Shapes:  A "*batch rows rank", B "*batch rank columns".
"""

from collections.abc import Callable, Mapping
from typing import Any

import einops
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from arena_lib.checking import Case, Mistake, exercise, instead_of, outputs
from arena_lib.checking.cases import tensors_in
from arena_lib.checking.observing import CHANGED, Observations
from arena_lib.interp.weights import factored

__test__ = False

BUILT = "size of the largest tensor"
THIN, WHOLE = "less than the whole matrix", "the whole matrix or more"


class LargestTensor(TorchDispatchMode):
    """Notes how many entries the largest tensor has that is made while it is active."""

    def __init__(self) -> None:
        super().__init__()
        self.n_entries = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Runs the operation, and looks at what came out."""
        result = func(*args, **(kwargs or {}))
        for tensor in tensors_in(result):
            held = tensor.untyped_storage().nbytes() // tensor.element_size()
            self.n_entries = max(self.n_entries, min(tensor.numel(), held))
        return result

    def in_words(self, too_many: int) -> str:
        """Whether it is as large as a matrix that should never have been multiplied out."""
        return WHOLE if self.n_entries >= too_many else THIN


def watched(function: Callable[..., Any], case: Case) -> Observations:
    """What the call returns, and whether it built a tensor of as many entries as `case.given["too many"]`."""
    with LargestTensor() as largest:
        seen = outputs(function, case)
    return seen | {BUILT: largest.in_words(case.given["too many"])}


def builds_nothing_large(seen: Observations, case: Case) -> str | None:
    """Never multiplies the factors out."""
    if seen.get(BUILT) != WHOLE:
        return None
    return (
        "It must work with the factors alone: it built a tensor with as many entries as the whole matrix, or more. "
        "Multiply the small sides first, so that the long axes never meet."
    )


def factors(generator: torch.Generator, A: tuple[int, ...], B: tuple[int, ...]) -> dict[str, Any]:
    """Random factors of these shapes in double precision, from large to small, and how many entries are too many."""
    left, right = (torch.randn(*shape, generator=generator, dtype=torch.float64) for shape in (A, B))
    n_batch = left.shape[:-2].numel()
    sizes = 10 ** torch.linspace(1, -2, A[-1], dtype=torch.float64)
    return {"args": (left * sizes, right), "given": {"too many": n_batch * min(A[-2], B[-1]) ** 2}}


def factored_norm_cases(generator: torch.Generator) -> list[Case]:
    """A tall and wide matrix, a batch, and rank one."""
    return [
        Case(label="one matrix", **factors(generator, (40, 3), (3, 30))),
        Case(label="a batch of matrices", **factors(generator, (2, 5, 30, 4), (2, 5, 4, 40)), axes={"output": "a b"}),
        Case(label="rank one", **factors(generator, (30, 1), (1, 40))),
    ]


def norm_by_small_products(A: Tensor, B: Tensor) -> Tensor:
    """The root of the trace of (A^T A)(B B^T)."""
    return einops.einsum(A.mT @ A, B @ B.mT, "... i j, ... j i -> ...").sqrt()


def norm_by_singular_values(A: Tensor, B: Tensor) -> Tensor:
    """The root of the sum of the squared singular values."""
    return factored.factored_svd(A, B)[1].square().sum(dim=-1).sqrt()


def norm_head_by_head(A: Tensor, B: Tensor) -> Tensor:
    """Small products, one matrix of the batch at a time, and the trace by its diagonal."""
    flat_A, flat_B = A.reshape(-1, *A.shape[-2:]), B.reshape(-1, *B.shape[-2:])
    norms = [torch.trace((a.T @ a) @ (b @ b.T)) ** 0.5 for a, b in zip(flat_A, flat_B, strict=True)]
    return torch.stack(norms).reshape(A.shape[:-2])


test_factored_norm = exercise(
    reference=factored.factored_norm,
    cases=factored_norm_cases,
    observe=watched,
    properties=[builds_nothing_large],
    accepts=[norm_by_small_products, norm_by_singular_values, norm_head_by_head],
    mistakes=[
        Mistake(
            "multiplies the factors out",
            "R = torch.linalg.qr(A).R",
            "R = A",
            why="the result is right, but A @ B may have billions of entries where its factors have few",
        ),
        *instead_of(
            "torch.linalg.matrix_norm(R @ B)",
            {
                "torch.linalg.matrix_norm(R) * torch.linalg.matrix_norm(B)": (
                    "multiplies the norms of the factors",
                    "the product of the norms is only an upper bound of the norm of the product",
                ),
                "torch.linalg.matrix_norm(A)": (
                    "returns the norm of the first factor",
                    "with A = Q R, ||A B|| = ||R B||: both factors are needed",
                ),
                "torch.linalg.matrix_norm(B)": (
                    "returns the norm of the second factor",
                    "with A = Q R (torch.linalg.qr), ||A B|| = ||R B||: Q changes no length, but R does",
                ),
                "torch.linalg.matrix_norm(R @ B) ** 2": (
                    "forgets the root",
                    "the norm is the root of the sum of squares",
                ),
                "(R @ B).norm()": (
                    "returns one number for the whole batch",
                    "leading axes are a batch: each matrix has a norm of its own",
                ),
                "torch.linalg.matrix_norm(R @ B, ord=2)": (
                    "returns the largest singular value",
                    "the Frobenius norm counts every singular value: it is the root of the sum of their squares",
                ),
                'torch.linalg.matrix_norm(R @ B, ord="nuc")': (
                    "sums the singular values",
                    "the Frobenius norm is the root of the sum of their squares",
                ),
            },
        ),
    ],
)


def factored_eigenvalues_cases(generator: torch.Generator) -> list[Case]:
    """A square matrix, a batch, and rank one."""
    return [
        Case(label="one matrix", **factors(generator, (30, 3), (3, 30))),
        Case(label="a batch of matrices", **factors(generator, (2, 3, 20, 4), (2, 3, 4, 20))),
        Case(label="rank one", **factors(generator, (20, 1), (1, 20))),
    ]


def unordered_eigenvalues(function: Callable[..., Any], case: Case) -> Observations:
    """Eigenvalues in an order of their own: real and imaginary parts sorted, and the sum of their squares."""
    seen = watched(function, case)
    values = seen["output"]
    if not isinstance(values, Tensor) or not values.ndim:
        return seen
    values = values.detach().to(torch.complex128)
    parts = torch.stack([values.real.sort(dim=-1).values, values.imag.sort(dim=-1).values])
    return {
        "the eigenvalues' real and imaginary parts, sorted": parts,
        "the sum of the squared eigenvalues": torch.view_as_real(values.square().sum(dim=-1)),
        CHANGED: seen[CHANGED],
        BUILT: seen[BUILT],
    }


def eigenvalues_one_by_one(A: Tensor, B: Tensor) -> Tensor:
    """Each matrix of the batch for itself, with its eigenvectors, which nobody asked for."""
    small = einops.einsum(B, A, "... i s, ... s j -> ... i j")
    flat = small.reshape(-1, *small.shape[-2:])
    return torch.stack([torch.linalg.eig(m).eigenvalues.flip(0) for m in flat]).reshape(small.shape[:-1])


test_factored_eigenvalues = exercise(
    reference=factored.factored_eigenvalues,
    cases=factored_eigenvalues_cases,
    observe=unordered_eigenvalues,
    properties=[builds_nothing_large],
    accepts=[eigenvalues_one_by_one, lambda A, B: torch.linalg.eigvals((B @ A).mT)],
    mistakes=instead_of(
        "torch.linalg.eigvals(B @ A)",
        {
            "torch.linalg.eigvals(A @ B)": (
                "multiplies the factors out",
                "B @ A is small and has the same eigenvalues, zeros aside",
            ),
            "torch.linalg.svdvals(B @ A)": (
                "returns singular values",
                "singular values of B @ A are neither its eigenvalues nor the singular values of A @ B",
            ),
            "torch.linalg.eigvalsh(B @ A)": (
                "uses a function for symmetric matrices",
                "B @ A is not symmetric, so its eigenvalues may be complex; eigvalsh reads only one triangle",
            ),
            "torch.linalg.eigvals(B @ A + (B @ A).mT) / 2": (
                "makes the matrix symmetric",
                "B @ A is not symmetric, and the mean with its transpose has other eigenvalues",
            ),
            "torch.linalg.eigvals(torch.linalg.qr(A).R @ torch.linalg.qr(B.mT).R.mT)": (
                "uses the small matrix of the singular value decomposition",
                "R_A R_B^T has the singular values of A B, not its eigenvalues: those are of B @ A",
            ),
            "torch.linalg.eigvals(B @ A).real": (
                "drops the imaginary parts",
                "a matrix that isn't symmetric may have complex eigenvalues, so keep both parts",
            ),
            "torch.linalg.eigvals(B @ A).abs()": (
                "returns the eigenvalues' absolute values",
                "the signs of the eigenvalues matter: positive ones mean copying, negative ones the opposite",
            ),
            "torch.linalg.eigvals(B @ A).square()": (
                "returns the eigenvalues' squares",
                "if B A x = lambda x, then A B (A x) = lambda (A x): the same lambda",
            ),
            "torch.linalg.eigvals(A.mT @ A)": (
                "uses only the first factor",
                "the eigenvalues are those of B @ A, with both factors",
            ),
            "torch.diagonal(B @ A, dim1=-2, dim2=-1)": (
                "returns the diagonal instead of the eigenvalues",
                "only a triangular matrix has its eigenvalues on the diagonal",
            ),
        },
    ),
)


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
    return found | {"S": S} | seen


def svd_by_three_svds(A: Tensor, B: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Takes the singular vectors of both factors in place of their QR."""
    U_A, S_A, Vh_A = torch.linalg.svd(A, full_matrices=False)
    U_B, S_B, Vh_B = torch.linalg.svd(B, full_matrices=False)
    U, S, Vh = torch.linalg.svd((S_A[..., None] * Vh_A) @ (U_B * S_B[..., None, :]), full_matrices=False)
    return U_A @ U, S, Vh @ Vh_B


test_factored_svd = exercise(
    reference=factored.factored_svd,
    cases=factored_svd_cases,
    observe=svd_parts,
    properties=[builds_nothing_large],
    accepts=[svd_by_three_svds],
    equivalent={"torch.linalg.svd(R_A @ R_B.mT, full_matrices=False)": "the small matrix is square"},
    mistakes=[
        Mistake(
            "multiplies the factors out, and keeps singular values of zero",
            function=lambda A, B: torch.linalg.svd(A @ B, full_matrices=False),
            why="only k = rank singular values may differ from zero, and the small matrix has them all",
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
                "return U, S, Vh": (
                    "returns the singular vectors of the small matrix",
                    "multiply the small matrix's singular vectors by Q_A and Q_B: then they have as many entries as the whole matrix has rows and columns",
                ),
                "return (Q_A @ U).flip(-1), S.flip(-1), (Vh @ Q_B.mT).flip(-2)": (
                    "returns everything from the smallest singular value to the largest",
                    "S has the largest first, as torch.linalg.svd gives it",
                ),
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
                "return Q_A @ U, S.flip(-1), Vh @ Q_B.mT": (
                    "sorts only S from the smallest to the largest",
                    "S has the largest first, as torch.linalg.svd gives it",
                ),
            },
        ),
        *instead_of(
            "R_A @ R_B.mT",
            {
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
