"""Many eigenvalues at once: Lanczos's method, which makes a small tridiagonal matrix out of a large one.

Shapes:  start "n_params", alphas "n_steps", betas "n_steps-1", basis "n_steps n_params" with a vector in each row.
Raises:  ConfigError for a start without direction, for more steps than dimensions, for more pairs than steps.
Source:  Lanczos 1950, doi:10.6028/jres.045.026; Golub and Van Loan 2013, Matrix Computations, section 10.1.
Differs: re-orthogonalised in full, twice, at every step: the cost, steps squared times n_params, is small beside that of
         products with a Hessian.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from arena_lib.errors import ShapeError
from arena_lib.fundamentals.landscapes.inputs import check_start, check_steps
from arena_lib.fundamentals.landscapes.spectra.power_iteration import Product

ROUNDING = 10.0
"""A new direction shorter than this many roundings of the matrix's size is none; own choice."""


def lanczos(
    matvec: Product, start: Float[Tensor, " n_params"], n_steps: int, *, is_reorthogonalised: bool = True
) -> tuple[Float[Tensor, " n_steps"], Float[Tensor, " n_between"], Float[Tensor, "n_steps n_params"]]:
    """A basis in which a symmetric matrix is tridiagonal: `alphas` on its diagonal, `betas` beside it.

    The first basis vector q is `start` divided by its length. Every step makes one product, w = A q. Then:

    1. alpha = w · q is written down.
    2. What w has along the last two basis vectors is taken off: w - alpha * q - beta * (the vector before q).
    3. With `is_reorthogonalised`, what w still has along *all* basis vectors so far is taken off: w - basis.T @ (basis @ w),
       twice, for the first time leaves a rounding error.
    4. beta = |w| is written down, and w / beta is the next basis vector.

    The last step ends with 1. If beta is as good as 0, at most `ROUNDING * eps` times the largest absolute alpha or beta so
    far (eps = torch.finfo(dtype).eps), there is no new direction, and fewer than `n_steps` vectors are returned. `start`
    stays as it is.

    Args:
        matvec: takes a vector and returns the matrix times it.
        start: any vector but zeros.
        n_steps: basis vectors, and products; at most one for each dimension.
        is_reorthogonalised: whether to take off what rounding errors brought back.

    Returns:
        `alphas`, `betas` (one fewer), and `basis` with one vector in each row.

    >>> alphas, betas, basis = lanczos(lambda v: torch.tensor([1.0, 2.0, 5.0]) * v, torch.ones(3), 2)
    >>> alphas.shape, betas.shape, basis.shape
    (torch.Size([2]), torch.Size([1]), torch.Size([2, 3]))
    """
    check_start(start)
    check_steps(n_steps, len(start))
    basis = [start / start.norm()]
    alphas: list[Tensor] = []
    betas: list[Tensor] = []
    while True:
        w = matvec(basis[-1])
        alphas.append(w @ basis[-1])
        if len(basis) == n_steps:
            break
        w = w - alphas[-1] * basis[-1]
        if betas:
            w = w - betas[-1] * basis[-2]
        if is_reorthogonalised:
            w = take_off(take_off(w, torch.stack(basis)), torch.stack(basis))
        beta = w.norm()
        if beta <= ROUNDING * torch.finfo(w.dtype).eps * torch.stack([*alphas, *betas]).abs().max():
            break
        betas.append(beta)
        basis.append(w / beta)
    return torch.stack(alphas), torch.stack(betas) if betas else start.new_zeros(0), torch.stack(basis)


def take_off(w: Tensor, basis: Tensor) -> Tensor:
    """What is left of a vector without its shadows on a basis."""
    return w - basis.T @ (basis @ w)


def ritz_pairs(
    alphas: Float[Tensor, " n_steps"], betas: Float[Tensor, " n_between"], basis: Float[Tensor, "n_steps n_params"]
) -> tuple[Float[Tensor, " n_steps"], Float[Tensor, "n_steps n_params"]]:
    """Approximate eigenvalues of the large matrix, the largest first, and their eigenvectors of length 1, in rows.

    They're those of the small tridiagonal matrix: `alphas` on the diagonal, `betas` above *and* below it. An eigenvector of
    the small matrix says how much of each basis vector goes into one of the large matrix.

    >>> values, vectors = ritz_pairs(*lanczos(lambda v: torch.tensor([1.0, 2.0, 5.0]) * v, torch.ones(3), 3))
    >>> values.round(decimals=4)
    tensor([5., 2., 1.])
    """
    check_tridiagonal(alphas, betas)
    small = torch.diag(alphas) + torch.diag(betas, 1) + torch.diag(betas, -1)
    values, vectors = torch.linalg.eigh(small)
    return values.flip(0), (vectors.T @ basis).flip(0)


def top_eigenpairs(
    matvec: Product, start: Float[Tensor, " n_params"], k: int, n_steps: int | None = None
) -> tuple[Float[Tensor, " k"], Float[Tensor, "k n_params"]]:
    """The k largest eigenvalues and their eigenvectors in rows, by `n_steps` of Lanczos (default: 2 k + 20).

    >>> top_eigenpairs(lambda v: torch.tensor([1.0, 2.0, 5.0]) * v, torch.ones(3), 2)[0].round(decimals=4)
    tensor([5., 2.])
    """
    check_start(start)
    check_steps(k, len(start), "k")
    n_steps = min(2 * k + 20, len(start)) if n_steps is None else n_steps
    check_steps(k, n_steps, "k")
    values, vectors = ritz_pairs(*lanczos(matvec, start, n_steps))
    return values[:k], vectors[:k]


def lanczos_quadrature(
    alphas: Float[Tensor, " n_steps"], betas: Float[Tensor, " n_between"]
) -> tuple[Float[Tensor, " n_steps"], Float[Tensor, " n_steps"]]:
    """A spectrum in a few numbers: places on the axis of eigenvalues, the smallest first, and how much lies near each.

    The places are the eigenvalues of the tridiagonal matrix. The weight of each is the square of the *first* entry of its
    eigenvector of length 1: how much of the start vector lies along it. The weights add up to 1.

    >>> places, weights = lanczos_quadrature(torch.tensor([2.0, 2.0]), torch.tensor([1.0]))
    >>> places.round(decimals=4), weights.round(decimals=4)
    (tensor([1., 3.]), tensor([0.5000, 0.5000]))
    """
    check_tridiagonal(alphas, betas)
    values, vectors = torch.linalg.eigh(torch.diag(alphas) + torch.diag(betas, 1) + torch.diag(betas, -1))
    return values, vectors[0] ** 2


def check_tridiagonal(alphas: Tensor, betas: Tensor) -> None:
    """Refuse other than one beta fewer than alphas."""
    if len(betas) != len(alphas) - 1:
        raise ShapeError(
            f"betas must be one fewer than alphas: got {len(betas)} for {len(alphas)}. Take both from one call of lanczos."
        )
