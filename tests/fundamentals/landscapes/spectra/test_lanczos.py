import numpy as np
import pytest
import torch

from arena_lib.errors import ShapeError
from arena_lib.fundamentals.landscapes import lanczos, lanczos_quadrature, ritz_pairs, top_eigenpairs

eigsh = pytest.importorskip("scipy.sparse.linalg").eigsh


def draw(size, seed):
    generator = torch.Generator().manual_seed(seed)
    square = torch.randn(size, size, generator=generator, dtype=torch.float64)
    return square + square.T, torch.randn(size, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize(("size", "n_steps"), [(1, 1), (4, 2), (9, 9), (30, 17)])
def test_the_basis_is_orthonormal_and_makes_the_matrix_tridiagonal(size, n_steps):
    matrix, start = draw(size, size)
    alphas, betas, basis = lanczos(lambda v: matrix @ v, start, n_steps)
    torch.testing.assert_close(basis @ basis.T, torch.eye(n_steps, dtype=torch.float64))
    small = torch.diag(alphas) + torch.diag(betas, 1) + torch.diag(betas, -1)
    torch.testing.assert_close(basis @ matrix @ basis.T, small)
    assert (betas > 0).all()


@pytest.mark.parametrize("seed", range(3))
def test_the_top_eigenpairs_are_scipys_and_those_of_eigh(seed):
    matrix, start = draw(60, seed)
    values, vectors = top_eigenpairs(lambda v: matrix @ v, start, k=4, n_steps=60)
    torch.testing.assert_close(values, torch.linalg.eigvalsh(matrix).flip(0)[:4])
    theirs = np.sort(eigsh(matrix.numpy(), k=4, which="LA", return_eigenvectors=False))[::-1]
    np.testing.assert_allclose(values.numpy(), theirs, rtol=1e-8)
    torch.testing.assert_close(vectors @ matrix, values[:, None] * vectors, atol=1e-7, rtol=1e-7)


def test_without_re_orthogonalisation_the_largest_eigenvalue_comes_back_as_a_ghost():
    diagonal = torch.cat([torch.linspace(0, 1, 98, dtype=torch.float64), torch.tensor([10.0, 100.0]).double()])
    start = draw(100, 0)[1]
    counts = []
    for is_reorthogonalised in (True, False):
        parts = lanczos(lambda v: diagonal * v, start, 90, is_reorthogonalised=is_reorthogonalised)
        values, _ = ritz_pairs(*parts)
        counts.append(int(((values - 100).abs() < 1e-6).sum()))
    assert counts[0] == 1
    assert counts[1] > 1


def test_a_start_along_two_eigenvectors_ends_after_two_steps():
    diagonal = torch.arange(1.0, 7.0).double()
    start = torch.zeros(6).double()
    start[1], start[4] = 1.0, 2.0
    alphas, betas, basis = lanczos(lambda v: diagonal * v, start, 6)
    assert (len(alphas), len(betas), len(basis)) == (2, 1, 2)
    torch.testing.assert_close(ritz_pairs(alphas, betas, basis)[0], torch.tensor([5.0, 2.0]).double())


@pytest.mark.parametrize("n_steps", [1, 3, 6])
def test_a_quadrature_gives_the_first_moments_of_the_spectrum(n_steps):
    matrix, start = draw(8, 5)
    start = start / start.norm()
    places, weights = lanczos_quadrature(*lanczos(lambda v: matrix @ v, start, n_steps)[:2])
    for power in range(2 * n_steps):
        moment = start @ torch.linalg.matrix_power(matrix, power) @ start
        torch.testing.assert_close((weights * places**power).sum(), moment)


def test_numbers_that_do_not_belong_together_are_refused():
    with pytest.raises(ShapeError, match="one fewer than alphas: got 3 for 3"):
        lanczos_quadrature(torch.ones(3), torch.ones(3))
