"""A matrix of low rank kept as its two factors, A @ B, and never multiplied out unless asked.

A head's OV circuit from tokens to tokens is d_vocab x d_vocab, yet everything in it passes through
d_head numbers. Its norm, its eigenvalues and its singular vectors follow from the two thin factors.

    >>> circuit = FactoredMatrix(torch.ones(5, 2), torch.ones(2, 7))
    >>> circuit.shape, circuit.rank, float(circuit[3, 4].AB)
    (torch.Size([5, 7]), 2, 2.0)

Shapes:  A "*batch rows rank", B "*batch rank columns"; the matrix is "*batch rows columns".
Raises:  ShapeError for factors or products that do not fit, and for an index that picks no matrix: of too many
         axes, past an axis's end, or with several lists (torch pairs their entries).
Source:  Elhage et al. 2021, "A mathematical framework for transformer circuits", section "Working
         with low-rank matrices"; the interface is that of TransformerLens's FactoredMatrix.
Differs: `Vh` is what `torch.linalg.svd` gives; a product of two factored matrices is joined at the
         smaller rank; a single row or column stays as an axis of length 1.
"""

from collections.abc import Sequence
from types import EllipsisType
from typing import Union

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from arena_lib.errors import ShapeError
from arena_lib.wording import counted

AxisIndex = int | slice | list[int] | Tensor | EllipsisType | None
Factor = Float[Tensor, "..."]


def factored_norm(
    A: Float[Tensor, "*batch rows rank"], B: Float[Tensor, "*batch rank columns"]
) -> Float[Tensor, "*batch"]:
    """The Frobenius norm of A @ B, the root of the sum of its squared entries, without making A @ B.

    Let A = Q R with orthonormal columns in Q. Q changes no length, so ||A B|| = ||R B||, and R B is
    as small as B. (Equally: the squared norm is the trace of (A^T A)(B B^T), a product of two small
    matrices.) Never build A @ B, which may have billions of entries where the factors, of a rank far below
    rows and columns, have few. Leading axes are a batch: each matrix has a norm of its own.
    """
    R = torch.linalg.qr(A).R
    return torch.linalg.matrix_norm(R @ B)


def factored_eigenvalues(
    A: Float[Tensor, "*batch size rank"], B: Float[Tensor, "*batch rank size"]
) -> Complex[Tensor, "*batch rank"]:
    """The eigenvalues of the square matrix A @ B that may differ from zero, without making A @ B.

    If B A x = lambda x, then A B (A x) = A (B A x) = lambda (A x): A x is an eigenvector of A B with
    the same eigenvalue. So they are the `rank` eigenvalues of the small matrix B @ A (rank is at most size),
    complex and in any order. The other eigenvalues of A @ B are zero. Leading axes are a batch.
    """
    return torch.linalg.eigvals(B @ A)


def factored_svd(
    A: Float[Tensor, "*batch rows rank"], B: Float[Tensor, "*batch rank columns"]
) -> tuple[Float[Tensor, "*batch rows k"], Float[Tensor, "*batch k"], Float[Tensor, "*batch k columns"]]:
    """(U, S, Vh) with A @ B = U diag(S) Vh, without making A @ B.

    The columns of U and the rows of Vh are orthonormal, and S has the largest first. With A = Q_A R_A and
    B^T = Q_B R_B, A B is Q_A (R_A R_B^T) Q_B^T: decompose the small matrix in the middle, then turn
    its singular vectors with Q_A and Q_B. The rank is at most rows and columns, and there are k = rank
    singular values. The signs of a pair of vectors are free. Leading axes are a batch.
    """
    Q_A, R_A = torch.linalg.qr(A)
    Q_B, R_B = torch.linalg.qr(B.mT)
    U, S, Vh = torch.linalg.svd(R_A @ R_B.mT, full_matrices=False)
    return Q_A @ U, S, Vh @ Q_B.mT


class FactoredMatrix:
    """The matrix A @ B by its factors."""

    def __init__(self, A: Factor, B: Factor) -> None:
        if A.ndim < 2 or B.ndim < 2 or A.shape[-1] != B.shape[-2]:
            raise ShapeError(
                f"the last axis of A must be as long as the last but one of B: got A {tuple(A.shape)} and "
                f"B {tuple(B.shape)}. Give the factors in the order in which they are multiplied."
            )
        try:
            batch = torch.broadcast_shapes(A.shape[:-2], B.shape[:-2])
        except RuntimeError as error:
            raise ShapeError(
                f"the leading axes of A and B must broadcast: got A {tuple(A.shape)} and B {tuple(B.shape)}. "
                "Give both the same batch, or one of them none."
            ) from error
        self.A = A.expand(*batch, *A.shape[-2:])
        self.B = B.expand(*batch, *B.shape[-2:])

    def __repr__(self) -> str:
        return f"FactoredMatrix({' '.join(map(str, self.shape))}, rank {self.rank})"

    # -- sizes --------------------------------------------------------------------------------

    @property
    def shape(self) -> torch.Size:
        """The shape that A @ B would have."""
        return torch.Size([*self.A.shape[:-1], self.B.shape[-1]])

    @property
    def ndim(self) -> int:
        """How many axes A @ B would have."""
        return self.A.ndim

    @property
    def rank(self) -> int:
        """Length of the axis in which the factors meet: the matrix's rank is this at most."""
        return self.A.shape[-1]

    @property
    def ldim(self) -> int:
        """How many rows A @ B would have."""
        return self.A.shape[-2]

    @property
    def mdim(self) -> int:
        """TransformerLens's name for `rank`."""
        return self.rank

    @property
    def rdim(self) -> int:
        """How many columns A @ B would have."""
        return self.B.shape[-1]

    @property
    def pair(self) -> tuple[Factor, Factor]:
        """The two factors."""
        return self.A, self.B

    # -- products -----------------------------------------------------------------------------

    @property
    def AB(self) -> Factor:
        """The matrix itself, multiplied out: rows x columns entries."""
        return self.A @ self.B

    @property
    def BA(self) -> Float[Tensor, "*batch rank rank"]:
        """The small product of the factors in the other order; for square matrices only."""
        self._check_square("BA")
        return self.B @ self.A

    @property
    def T(self) -> "FactoredMatrix":
        """The transpose."""
        return FactoredMatrix(self.B.mT, self.A.mT)

    def __matmul__(self, other: Union["FactoredMatrix", Tensor]) -> Union["FactoredMatrix", Tensor]:
        """A factored matrix for a matrix or a factored one on the right, a vector for a vector."""
        self._check_meets(self.shape, other.shape, left_is_self=True)
        if isinstance(other, FactoredMatrix):
            return self._joined(other)
        if other.ndim == 1:
            return (self.A @ (self.B @ other[:, None]))[..., 0]
        return FactoredMatrix(self.A, self.B @ other)

    def __rmatmul__(self, other: Tensor) -> Union["FactoredMatrix", Tensor]:
        """A factored matrix for a matrix on the left, a vector for a vector."""
        self._check_meets(other.shape, self.shape, left_is_self=False)
        if other.ndim == 1:
            return ((other @ self.A)[..., None, :] @ self.B)[..., 0, :]
        return FactoredMatrix(other @ self.A, self.B)

    def _joined(self, other: "FactoredMatrix") -> "FactoredMatrix":
        """The product of two, whose four factors meet in a small matrix that goes to the larger rank's side."""
        middle = self.B @ other.A
        if self.rank <= other.rank:
            return FactoredMatrix(self.A, middle @ other.B)
        return FactoredMatrix(self.A @ middle, other.B)

    def __mul__(self, scalar: float | Tensor) -> "FactoredMatrix":
        """Every entry times one number."""
        if isinstance(scalar, Tensor) and scalar.numel() != 1:
            raise ShapeError(
                f"* takes one number: got a tensor of shape {tuple(scalar.shape)}. Use @ for a product of matrices."
            )
        return FactoredMatrix(self.A * scalar, self.B)

    __rmul__ = __mul__

    # -- parts --------------------------------------------------------------------------------

    def __getitem__(self, index: AxisIndex | tuple[AxisIndex, ...]) -> "FactoredMatrix":
        """What an index picks of the whole matrix; a single row or column stays as an axis of length 1."""
        items = [self._checked(item) for item in (index if isinstance(index, tuple) else (index,))]
        if sum(not isinstance(item, int | slice | None | EllipsisType) for item in items) > 1:
            raise ShapeError(
                f"an index may hold one list or tensor: got {counted(len(items), 'item')} with several, whose entries "
                "torch would pair. Index one axis after the other, or use .AB for pairs."
            )
        *batch, rows, columns = self._axes(items)
        A, B = (factor[tuple(batch)] if batch else factor for factor in (self.A, self.B))
        return FactoredMatrix(A[..., self._kept(rows, -2), :], B[..., :, self._kept(columns, -1)])

    def _checked(self, item: AxisIndex) -> AxisIndex:
        """A part of an index: whole numbers as ints, lists and tensors as tensors of one axis."""
        if item is None or isinstance(item, slice | EllipsisType):
            return item
        tensor = torch.as_tensor(item)
        if tensor.ndim == 0 and tensor.dtype != torch.bool and not tensor.is_floating_point():
            return int(tensor)
        if tensor.ndim != 1:
            raise ShapeError(
                f"an index must be made of whole numbers, slices, None and lists of one axis: got {item!r}. "
                "Use .AB for another."
            )
        return tensor.to(self.A.device)

    def _kept(self, index: AxisIndex, axis: int) -> AxisIndex:
        """An index that keeps its axis: one row becomes a slice of length 1."""
        if not isinstance(index, int):
            return index
        length = self.shape[axis]
        if not -length <= index < length:
            raise ShapeError(
                f"an index must be between {-length} and {length - 1} here: got {index}. "
                f"The matrix has shape {tuple(self.shape)}."
            )
        return slice(index, index + 1 or None)

    def _axes(self, index: Sequence[AxisIndex]) -> list[AxisIndex]:
        """One index for each axis of the matrix; new axes (None) stand among those of the batch."""
        at = next((i for i, item in enumerate(index) if item is ...), len(index))
        before, after = list(index[:at]), list(index[at + 1 :])
        n_missing = self.ndim - sum(item is not None for item in before + after)
        if n_missing < 0 or any(item is ... for item in after):
            raise ShapeError(
                f"an index must have at most {counted(self.ndim, 'axis', 'axes')} and one ellipsis: got {len(index)}. "
                f"The matrix has shape {tuple(self.shape)}."
            )
        axes = [*before, *[slice(None)] * n_missing, *after]
        if any(item is None for item in axes[-2:]):
            raise ShapeError(
                f"a new axis must come before rows and columns: got {tuple(index)} for a matrix of shape "
                f"{tuple(self.shape)}. Use .AB for another place."
            )
        return axes

    def unsqueeze(self, axis: int) -> "FactoredMatrix":
        """A new batch axis at this place, counted from the front."""
        if not 0 <= axis <= self.ndim - 2:
            raise ShapeError(
                f"a new axis must come before rows and columns, at 0 to {self.ndim - 2}: got {axis}. "
                "Use .AB.unsqueeze for another place."
            )
        return FactoredMatrix(self.A.unsqueeze(axis), self.B.unsqueeze(axis))

    # -- what follows from the factors ----------------------------------------------------------

    def norm(self) -> Float[Tensor, "*batch"]:
        """The Frobenius norm."""
        return factored_norm(self.A, self.B)

    @property
    def eigenvalues(self) -> Complex[Tensor, "*batch rank"]:
        """The eigenvalues that may differ from zero; for square matrices only."""
        self._check_square("eigenvalues")
        return factored_eigenvalues(self.A, self.B)

    def trace(self) -> Float[Tensor, "*batch"]:
        """The sum of the diagonal; for square matrices only."""
        self._check_square("trace")
        return (self.A * self.B.mT).sum(dim=(-2, -1))

    def svd(
        self,
    ) -> tuple[Float[Tensor, "*batch rows k"], Float[Tensor, "*batch k"], Float[Tensor, "*batch k columns"]]:
        """(U, S, Vh) as `torch.linalg.svd` gives them, the singular values that may differ from zero."""
        return factored_svd(self.A, self.B)

    @property
    def U(self) -> Float[Tensor, "*batch rows k"]:
        """Left singular vectors, as columns."""
        return self.svd()[0]

    @property
    def S(self) -> Float[Tensor, "*batch k"]:
        """Singular values, falling."""
        return self.svd()[1]

    @property
    def Vh(self) -> Float[Tensor, "*batch k columns"]:
        """Right singular vectors, as rows."""
        return self.svd()[2]

    def collapse_l(self) -> Float[Tensor, "*batch k columns"]:
        """The matrix without what its left singular vectors do, S Vh: the same lengths and angles between columns."""
        _, S, Vh = self.svd()
        return S[..., :, None] * Vh

    def collapse_r(self) -> Float[Tensor, "*batch rows k"]:
        """The matrix without what its right singular vectors do, U S: the same lengths and angles between rows."""
        U, S, _ = self.svd()
        return U * S[..., None, :]

    def make_even(self) -> "FactoredMatrix":
        """The same matrix with the singular values shared evenly: U sqrt(S) times sqrt(S) Vh."""
        U, S, Vh = self.svd()
        return FactoredMatrix(U * S.sqrt()[..., None, :], S.sqrt()[..., :, None] * Vh)

    # -- checks -------------------------------------------------------------------------------

    def _check_square(self, what: str) -> None:
        if self.shape[-2] != self.shape[-1]:
            raise ShapeError(
                f"{what} needs as many rows as columns: got {tuple(self.shape)}. Singular values (.S) exist for any."
            )

    def _check_meets(self, left: torch.Size, right: torch.Size, *, left_is_self: bool) -> None:
        inner = right[0] if len(right) == 1 else right[-2]
        if left[-1] != inner:
            which = "right" if left_is_self else "left"
            raise ShapeError(
                f"the columns on the left of @ must be as many as the rows on its right: got {tuple(left)} and "
                f"{tuple(right)}. Transpose the {which} one with .T or .mT if that was meant."
            )
