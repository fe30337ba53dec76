"""Small systems of linear equations, many at once, some of which have no solution.

Shapes:  matrices "*batch n n", vectors "*batch n".
Source:  Hadamard 1893 (a determinant is at most the product of its columns' lengths); the rest is our own.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

PARALLEL = 1e-6
"""A determinant that is at most this share of its largest possible value counts as 0; float32 has about seven digits."""


def is_singular(matrices: Float[Tensor, "*batch n n"]) -> Bool[Tensor, "*batch"]:
    """Whether the columns of each matrix lie in one line (in space: in one plane), up to rounding.

    A determinant is at most the product of the columns' lengths in size, and that much only where they are perpendicular.
    So a matrix counts as singular where |determinant| <= PARALLEL * (product of the lengths of its columns), with
    PARALLEL = 1e-6. That doesn't depend on the unit in which lengths are measured. A column of zeros makes it
    singular, too.

    >>> is_singular(torch.tensor([[[1.0, 2.0], [2.0, 4.0]], [[0.001, 0.0], [0.0, 0.001]]]))
    tensor([ True, False])
    """
    lengths = matrices.norm(dim=-2)
    return torch.linalg.det(matrices).abs() <= PARALLEL * lengths.prod(dim=-1)


def solve_or_nan(
    matrices: Float[Tensor, "*batch n n"], vectors: Float[Tensor, "*batch n"]
) -> Float[Tensor, "*batch n"]:
    """The solution x of matrix @ x = vector for each matrix of a batch; NaN throughout where it is singular.

    `is_singular` says which matrices these are. One of them would stop torch.linalg.solve for the whole batch, so solve
    with the identity in its place, and then write NaN over that solution. NaN suits us well: every comparison with it
    is False, so that what can't be solved is never a hit.

    >>> matrices = torch.tensor([[[2.0, 0.0], [0.0, 4.0]], [[1.0, 2.0], [2.0, 4.0]]])
    >>> solve_or_nan(matrices, torch.tensor([[2.0, 2.0], [1.0, 1.0]]))
    tensor([[1.0000, 0.5000],
            [   nan,    nan]])
    """
    singular = is_singular(matrices)[..., None]
    identity = torch.eye(matrices.shape[-1], dtype=matrices.dtype, device=matrices.device)
    solutions = torch.linalg.solve(torch.where(singular[..., None], identity, matrices), vectors)
    return torch.where(singular, torch.nan, solutions)
