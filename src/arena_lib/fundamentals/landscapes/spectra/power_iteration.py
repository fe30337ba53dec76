"""The eigenvalue that is largest in size, with its eigenvector, from products with a matrix alone.

Shapes:  start and the eigenvector "n_params".
Raises:  ConfigError for a start without direction, or no steps.
Source:  own derivation; von Mises and Pollaczek-Geiringer 1929, doi:10.1002/zamm.19290090105.
"""

from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor

from arena_lib.fundamentals.landscapes.inputs import check_counts, check_start

Product = Callable[[Tensor], Tensor]
"""Takes a vector and returns a symmetric matrix times it."""


def power_iteration(
    matvec: Product, start: Float[Tensor, " n_params"], n_steps: int
) -> tuple[float, Float[Tensor, " n_params"]]:
    """The eigenvalue of largest absolute value of a symmetric matrix, and its eigenvector of length 1.

    `start` is divided by its length. Then each of `n_steps` steps multiplies the vector by the matrix and divides it by its
    length. The eigenvalue is the vector's Rayleigh quotient at the end, v · (A v), with its sign. If a product is all
    zeros, the walk ends there: the eigenvalue is 0.0, with the vector before it. `start` stays as it is.

    Args:
        matvec: takes a vector and returns the matrix times it.
        start: any vector but zeros; it shouldn't be orthogonal to the eigenvector, which a random one never is.
        n_steps: how often to multiply.

    >>> import torch
    >>> value, vector = power_iteration(lambda v: torch.tensor([1.0, -3.0]) * v, torch.ones(2), 50)
    >>> round(value, 4), vector.abs().round(decimals=4)
    (-3.0, tensor([0., 1.]))
    """
    check_start(start)
    check_counts(n_steps=n_steps)
    vector = start / start.norm()
    for _ in range(n_steps):
        product = matvec(vector)
        if product.norm() == 0:
            return 0.0, vector
        vector = product / product.norm()
    return (vector @ matvec(vector)).item(), vector
