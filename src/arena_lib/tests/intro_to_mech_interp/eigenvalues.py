"""Judge of a matrix's eigenvalues from its factors alone.

Shapes:  A "*batch size rank", B "*batch rank size" -> "*batch rank", complex.
"""

from collections.abc import Callable
from typing import Any

import einops
import torch
from torch import Tensor

from arena_lib.checking import Case, exercise, instead_of
from arena_lib.checking.observing import CHANGED, Observations
from arena_lib.interp.weights import factored
from arena_lib.tests.intro_to_mech_interp.factored import BUILT, builds_nothing_large, factors, watched

__test__ = False


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


SMALL_HAS_THEM = "B @ A is small and has the same eigenvalues, zeros aside"
NOT_SINGULAR = "singular values are other numbers, real and never negative; they tell nothing of signs"
SYMMETRIC = (
    "uses a function for symmetric matrices",
    "B @ A is not symmetric, so its eigenvalues may be complex; eigvalsh reads only one triangle",
)

test_factored_eigenvalues = exercise(
    reference=factored.factored_eigenvalues,
    cases=factored_eigenvalues_cases,
    observe=unordered_eigenvalues,
    properties=[builds_nothing_large],
    accepts=[eigenvalues_one_by_one, lambda A, B: torch.linalg.eigvals((B @ A).mT)],
    mistakes=instead_of(
        "torch.linalg.eigvals(B @ A)",
        {
            "torch.linalg.eigvals(A @ B)": ("multiplies the factors out", SMALL_HAS_THEM),
            "torch.linalg.eigvals(A @ B)[..., : A.shape[-1]]": ("multiplies the factors out", SMALL_HAS_THEM),
            "torch.nn.functional.pad(torch.linalg.eigvals(B @ A), (0, A.shape[-2] - A.shape[-1]))": (
                "adds the zeros of the large matrix",
                "only the `rank` eigenvalues that may differ from zero are asked for",
            ),
            "torch.linalg.svdvals(B @ A)": (
                "returns singular values",
                NOT_SINGULAR,
            ),
            "torch.linalg.svdvals(B @ A).square()": ("gives squared singular values", NOT_SINGULAR),
            "torch.linalg.svdvals(torch.linalg.qr(A).R @ torch.linalg.qr(B.mT).R.mT)": (
                "gives the singular values of A @ B",
                NOT_SINGULAR,
            ),
            "torch.linalg.eigvals((A.mT @ A) @ (B @ B.mT))": (
                "gives the squared singular values of A @ B",
                NOT_SINGULAR,
            ),
            "torch.linalg.eigvalsh(B @ A)": SYMMETRIC,
            "torch.linalg.eigvalsh(B @ A).to(torch.complex64)": SYMMETRIC,
            "torch.linalg.eigvalsh(B @ A, UPLO='U')": SYMMETRIC,
            "torch.linalg.eigvals(B @ A).to(torch.complex64)": (
                "rounds to single precision",
                "what is computed from the factors has their precision",
            ),
            "torch.linalg.eig(B @ A)": (
                "returns the eigenvectors as well",
                "one tensor is asked for: torch.linalg.eigvals, or the first part of torch.linalg.eig",
            ),
            "torch.linalg.eigvals(B @ A + (B @ A).mT)": (
                "adds the transpose",
                "B @ A is not symmetric, and its sum with its transpose has other eigenvalues",
            ),
            "-torch.linalg.eigvals(B @ A)": (
                "turns the signs round",
                "B A x = lambda x gives A B (A x) = lambda (A x): the same lambda",
            ),
            "torch.linalg.eigvals(B @ A).sqrt()": (
                "takes the roots of the eigenvalues",
                "B A x = lambda x gives A B (A x) = lambda (A x): the same lambda",
            ),
            "torch.linalg.eigvals(B @ A).square().real": (
                "gives the squares, and drops the imaginary parts",
                "A B has the same eigenvalues as B A, and they may be complex",
            ),
            "torch.linalg.eigvals(torch.linalg.qr(A).R @ torch.linalg.qr(B.mT).R.mT).abs()": (
                "uses the small matrix of the singular value decomposition, and the sizes",
                "R_A R_B^T has the singular values of A B, not its eigenvalues: those are of B @ A, signs and all",
            ),
            "(lambda values: values / values.abs().amax(dim=-1, keepdim=True))(torch.linalg.eigvals(B @ A))": (
                "divides by the largest eigenvalue",
                "the eigenvalues are asked for as they are",
            ),
            "torch.linalg.eigvals(B @ A).reshape(-1, A.shape[-1]).mean(dim=0)": (
                "averages over the batch",
                "leading axes are a batch: each matrix has eigenvalues of its own",
            ),
            "torch.linalg.eigvals(B @ B.mT)": (
                "uses the second factor alone",
                "the eigenvalues are those of B @ A, with both factors",
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
