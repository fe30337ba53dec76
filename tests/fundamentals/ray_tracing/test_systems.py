import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from arena_lib.fundamentals.ray_tracing import is_singular, solve_or_nan
from arena_lib.fundamentals.ray_tracing.systems import PARALLEL

SEEDS = st.integers(0, 10_000)


def random_matrices(seed, *shape, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@given(seed=SEEDS, batch=st.integers(0, 7), n=st.integers(2, 3), exponent=st.integers(-6, 6))
@settings(max_examples=40, deadline=None)
def test_it_agrees_with_torch_where_there_is_a_solution(seed, batch, n, exponent):
    matrices, vectors = random_matrices(seed, batch, n, n) * 10.0**exponent, random_matrices(seed + 1, batch, n)
    solutions = solve_or_nan(matrices, vectors)
    assert not solutions.isnan().any()
    torch.testing.assert_close(solutions, torch.linalg.solve(matrices, vectors))


@given(seed=SEEDS, exponent=st.integers(-4, 4), n=st.integers(2, 3))
@settings(max_examples=40, deadline=None)
def test_whether_it_is_singular_doesnt_depend_on_the_unit(seed, exponent, n):
    matrices = random_matrices(seed, 6, n, n, dtype=torch.float32)
    matrices[::2, :, -1] = 0.3 * matrices[::2, :, 0] - (0.6 * matrices[::2, :, 1] if n == 3 else 0.0)
    assert is_singular(matrices * 10.0**exponent).tolist() == [True, False] * 3


def test_singular_ones_leave_the_others_alone():
    matrices = random_matrices(0, 2, 3, 3, 3)
    matrices[0, 1, :, 2] = matrices[0, 1, :, 0]
    matrices[1, 2] = 0
    vectors = random_matrices(1, 2, 3, 3)
    before = matrices.clone()
    solutions = solve_or_nan(matrices, vectors)
    assert solutions.isnan().all(dim=-1).tolist() == [[False, True, False], [False, False, True]]
    assert solutions.isnan().any(dim=-1).tolist() == [[False, True, False], [False, False, True]]
    torch.testing.assert_close(solutions[1, 0], torch.linalg.solve(matrices[1, 0], vectors[1, 0]))
    assert torch.equal(matrices, before)


def test_the_limit_is_a_share_of_the_largest_determinant():
    """Columns of lengths a and b at a small angle have the determinant a * b * sin(angle)."""
    for a, b in ((1.0, 1.0), (1e3, 1e-4), (1e-5, 1e-5)):
        for angle, expected in ((0.9 * PARALLEL, True), (1.1 * PARALLEL, False)):
            columns = torch.tensor([[a, b], [0.0, b * angle]], dtype=torch.float64)
            assert bool(is_singular(columns)) is expected, (a, b, angle)
