"""Judge of a matrix's norm from its factors alone, and what is watched where factors must not be multiplied out.

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
from arena_lib.checking.observing import Observations
from arena_lib.interp.weights import factored

__test__ = False

BUILT = "size of the largest tensor"
THIN, WHOLE = "less than the whole matrix", "the whole matrix or more"


class LargestTensor(TorchDispatchMode):
    """Notes how many entries the largest tensor has that is made while it is active."""

    def __init__(self) -> None:
        super().__init__()
        self.n_entries = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """No: torch would load its compiler only to keep it away from here, for which a learner waits a second."""
        return False

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


SAME_DTYPE = "what is computed from the factors has their dtype"
NO_DIAGONAL = "||A B||^2 is the sum over pairs of directions r, s of (A_r . A_s)(B_r . B_s), not over r = s alone"

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
        Mistake(
            "uses Q in place of R",
            "R = torch.linalg.qr(A).R",
            "R = torch.linalg.qr(A).Q",
            why="Q only turns and is as long as A; the lengths are in R, which is small",
        ),
        *instead_of(
            "torch.linalg.matrix_norm(R @ B)",
            {
                "torch.linalg.matrix_norm(R) * torch.linalg.matrix_norm(B)": (
                    "multiplies the norms of the factors",
                    "the product of the norms is only an upper bound of the norm of the product",
                ),
                "torch.linalg.matrix_norm(R).square() * torch.linalg.matrix_norm(B).square()": (
                    "multiplies the squared norms of the factors",
                    "the product of the norms is only an upper bound of the norm of the product",
                ),
                "torch.linalg.matrix_norm(R) + torch.linalg.matrix_norm(B)": (
                    "adds the norms of the factors",
                    "the factors are multiplied: with A = Q R, ||A B|| = ||R B||",
                ),
                "(A.square().sum(dim=-2) * B.square().sum(dim=-1)).sum(dim=-1).sqrt()": (
                    "leaves out how the directions meet each other",
                    NO_DIAGONAL,
                ),
                "(A.square().sum(dim=-2) * B.square().sum(dim=-1)).sum(dim=-1)": (
                    "leaves out how the directions meet each other, and the root",
                    NO_DIAGONAL + "; and the norm is the root of that",
                ),
                "torch.linalg.matrix_norm(R @ torch.linalg.qr(B.mT).R)": (
                    "forgets the transpose of the second R",
                    "B^T = Q_B R_B, so B = R_B^T Q_B^T",
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
                "torch.linalg.matrix_norm(R @ B).sqrt()": (
                    "takes the root twice",
                    "matrix_norm has taken the root already",
                ),
                "(R @ B).square().mean(dim=(-2, -1)).sqrt()": (
                    "uses the mean of the squares",
                    "the norm is the root of their sum, and R B has fewer entries than A B",
                ),
                "(R @ B).norm(dim=-1)": (
                    "gives a norm for each row",
                    "the norm goes over rows and columns: dim=(-2, -1)",
                ),
                "torch.linalg.matrix_norm(R @ B, keepdim=True)": (
                    "keeps the axes of rows and columns",
                    "each matrix of the batch has one number",
                ),
                "(R @ B).abs().sum(dim=(-2, -1))": (
                    "sums the absolute values of the entries",
                    "the Frobenius norm is the root of the sum of squares",
                ),
                "(R @ B).abs().amax(dim=(-2, -1))": (
                    "uses the largest entry",
                    "the Frobenius norm is the root of the sum of squares",
                ),
                "torch.linalg.matrix_norm(R @ B).mean()": (
                    "averages over the batch",
                    "leading axes are a batch: each matrix has a norm of its own",
                ),
                "torch.linalg.matrix_norm(R @ B).float()": ("returns single precision", SAME_DTYPE),
                "(R @ B).square().sum()": (
                    "gives one number for the whole batch, and forgets the root",
                    "each matrix has a norm of its own, the root of its sum of squares",
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
