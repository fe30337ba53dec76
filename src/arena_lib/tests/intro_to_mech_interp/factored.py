"""Judges of what follows from the factors of a matrix alone, and of a norm folded into a weight.

Shapes:  A "*batch rows rank", B "*batch rank columns"; a weight "*heads d_model d_out".
"""

from collections.abc import Callable, Mapping
from typing import Any

import einops
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from arena_lib.checking import Case, Mistake, exercise, outputs
from arena_lib.checking.cases import tensors_in
from arena_lib.checking.observing import CHANGED, Observations
from arena_lib.interp.weights import factored, folding

__test__ = False

BUILT = "the largest tensor that was built"
THIN, WHOLE = "a thin one", "a whole matrix"


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
    """Random factors of these shapes in double precision, and how many entries are too many."""
    n_batch = 1
    for size in A[:-2]:
        n_batch *= size
    args = tuple(torch.randn(*shape, generator=generator, dtype=torch.float64) for shape in (A, B))
    return {"args": args, "given": {"too many": n_batch * min(A[-2], B[-1]) ** 2}}


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
        Mistake(
            "multiplies the norms of the factors",
            "torch.linalg.matrix_norm(R @ B)",
            "torch.linalg.matrix_norm(R) * torch.linalg.matrix_norm(B)",
            why="the product of the norms only bounds the norm of the product: the factors may miss each other",
        ),
        Mistake(
            "forgets the root",
            "torch.linalg.matrix_norm(R @ B)",
            "torch.linalg.matrix_norm(R @ B) ** 2",
            why="the norm is the root of the sum of squares",
        ),
        Mistake(
            "gives one number for the whole batch",
            "torch.linalg.matrix_norm(R @ B)",
            "(R @ B).norm()",
            why="leading axes are a batch: each matrix has a norm of its own",
        ),
        Mistake(
            "takes the largest singular value",
            "torch.linalg.matrix_norm(R @ B)",
            "torch.linalg.matrix_norm(R @ B, ord=2)",
            why="the Frobenius norm counts every singular value: it is the root of the sum of their squares",
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
    mistakes=[
        Mistake(
            "multiplies the factors out",
            "B @ A",
            "A @ B",
            why="B @ A is small and has the same eigenvalues, zeros aside",
        ),
        Mistake(
            "gives singular values",
            "torch.linalg.eigvals(B @ A)",
            "torch.linalg.svdvals(B @ A)",
            why="singular values of B @ A are neither its eigenvalues nor the singular values of A @ B",
        ),
        Mistake(
            "takes the matrix for a symmetric one",
            "torch.linalg.eigvals(B @ A)",
            "torch.linalg.eigvalsh(B @ A)",
            why="eigvalsh reads one triangle alone: B @ A is not symmetric, and its eigenvalues may be complex",
        ),
        Mistake(
            "drops the imaginary parts",
            "torch.linalg.eigvals(B @ A)",
            "torch.linalg.eigvals(B @ A).real",
            why="a matrix that turns has complex eigenvalues",
        ),
        Mistake(
            "gives the eigenvalues' sizes",
            "torch.linalg.eigvals(B @ A)",
            "torch.linalg.eigvals(B @ A).abs()",
            why="their signs matter: positive ones mean copying, negative ones the contrary",
        ),
    ],
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
    found: Observations = {"shapes of U, S, Vh": [list(part.shape) for part in (U, S, Vh)], "S": S}
    if U.ndim == Vh.ndim >= 2 and S.ndim == U.ndim - 1 and U.shape[-1] == S.shape[-1] == Vh.shape[-2]:
        found |= {"U @ diag(S) @ Vh": (U * S[..., None, :]) @ Vh, "U.T @ U": U.mT @ U, "Vh @ Vh.T": Vh @ Vh.mT}
    return found | seen


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
    mistakes=[
        Mistake(
            "multiplies the factors out",
            function=lambda A, B: tuple(
                part[..., : A.shape[-1]] if i < 2 else part[..., : A.shape[-1], :]
                for i, part in enumerate(torch.linalg.svd(A @ B, full_matrices=False))
            ),
            why="only the small matrix between the two orthonormal parts has to be decomposed",
        ),
        Mistake(
            "returns V in place of Vh",
            "Vh @ Q_B.mT",
            "(Vh @ Q_B.mT).mT",
            why="the third part has the right singular vectors as rows, as torch.linalg.svd gives it",
        ),
        Mistake(
            "transposes the small matrix",
            "R_A @ R_B.mT",
            "R_B @ R_A.mT",
            why="A B = Q_A R_A R_B^T Q_B^T: the transpose would belong to (A B)^T",
        ),
        Mistake(
            "forgets the transpose of the second R",
            "R_A @ R_B.mT",
            "R_A @ R_B",
            why="B^T = Q_B R_B, so B = R_B^T Q_B^T",
        ),
        Mistake(
            "decomposes the first factor alone",
            function=lambda A, B: (lambda U, S, Vh: (U, S, Vh @ B))(*torch.linalg.svd(A, full_matrices=False)),
            why="the rows of Vh @ B are not orthonormal, and S belongs to A alone",
        ),
    ],
)


def fold_norm_cases(generator: torch.Generator) -> list[Case]:
    """Heads of a layer, one matrix, a square one, and a norm that takes no mean away."""

    def weight(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    def gain(size: int) -> Tensor:
        return 0.3 + torch.rand(size, generator=generator, dtype=torch.float64)

    def case(label: str, *shape: int, is_centred: bool) -> Case:
        return Case(
            label=label,
            args=(weight(*shape), gain(shape[-2]), is_centred),
            axes={"output": " ".join(["n_heads", "d_model", "d_out"][-len(shape) :])},
        )

    return [
        case("a LayerNorm and all heads of a layer", 3, 7, 4, is_centred=True),
        case("a LayerNorm and one matrix", 7, 11, is_centred=True),
        case("a LayerNorm and a square matrix", 5, 5, is_centred=True),
        case("an RMSNorm", 3, 6, 4, is_centred=False),
        Case(label="a LayerNorm unless said otherwise", args=(weight(6, 4), gain(6))),
    ]


def fold_by_matrices(weight: Tensor, gain: Tensor, is_centred: bool = True) -> Tensor:
    """Writes centring and gain as matrices."""
    size = len(gain)
    eye = torch.eye(size, dtype=weight.dtype, device=weight.device)
    centre = eye - 1 / size if is_centred else eye
    return centre @ torch.diag(gain) @ weight


test_fold_norm = exercise(
    reference=folding.fold_norm,
    cases=fold_norm_cases,
    observe=outputs,
    accepts=[
        fold_by_matrices,
        lambda weight, gain, is_centred=True: (
            torch.einsum("...io,i->...io", weight, gain)
            - is_centred * torch.einsum("...io,i->...o", weight, gain)[..., None, :] / len(gain)
        ),
    ],
    mistakes=[
        Mistake(
            "leaves the gain out",
            "weight * gain[:, None]",
            "weight * 1.0",
            why="the norm multiplies entry i by gain[i]",
        ),
        Mistake(
            "never takes the mean away",
            "scaled - scaled.mean(dim=-2, keepdim=True) if is_centred else scaled",
            "scaled",
            why="a LayerNorm subtracts the mean of its input, which is linear too",
        ),
        Mistake(
            "takes the mean away for RMSNorm too",
            "scaled - scaled.mean(dim=-2, keepdim=True) if is_centred else scaled",
            "scaled - scaled.mean(dim=-2, keepdim=True)",
            why="RMSNorm divides by its root mean square and takes no mean away",
        ),
        Mistake(
            "takes the mean over the outputs",
            "scaled.mean(dim=-2, keepdim=True)",
            "scaled.mean(dim=-1, keepdim=True)",
            why="the mean of the stream runs over d_model, the weight's last axis but one",
        ),
        Mistake(
            "takes the mean before the gain",
            "scaled.mean(dim=-2, keepdim=True)",
            "weight.mean(dim=-2, keepdim=True)",
            why="the norm centres first and the gain comes after: in the weight the mean is that of gain times weight",
        ),
        Mistake(
            "multiplies the mean by the gain",
            "scaled - scaled.mean(dim=-2, keepdim=True) if is_centred else scaled",
            "(weight - is_centred * weight.mean(dim=-2, keepdim=True)) * gain[:, None]",
            why="x - mean(x) meets the gain, then the weight: the row mean is taken of the weight that has the gain in it",
        ),
    ],
)
