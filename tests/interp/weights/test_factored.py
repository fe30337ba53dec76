import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformer_lens import FactoredMatrix as PeersFactoredMatrix

from arena_lib.errors import ShapeError
from arena_lib.interp.weights import FactoredMatrix


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed + sum(shape)), dtype=torch.float64)


def make(batch: tuple[int, ...] = (2, 5), rows: int = 7, rank: int = 3, columns: int = 8) -> FactoredMatrix:
    return FactoredMatrix(draw(*batch, rows, rank), draw(*batch, rank, columns, seed=1))


def assert_same(actual: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(actual, expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("batch", [(), (4,), (2, 5)])
def test_shape_and_product_are_those_of_the_whole_matrix(batch):
    matrix = make(batch)
    assert matrix.shape == matrix.AB.shape == (*batch, 7, 8)
    assert (matrix.ndim, matrix.rank) == (len(batch) + 2, 3)
    assert repr(matrix) == f"FactoredMatrix({' '.join(map(str, [*batch, 7, 8]))}, rank 3)"


def test_factors_broadcast_over_leading_axes():
    matrix = FactoredMatrix(draw(5, 7, 3), draw(3, 8))
    assert matrix.B.shape == (5, 3, 8)
    assert_same(matrix.AB, draw(5, 7, 3) @ draw(3, 8))


@pytest.mark.parametrize("rank", [1, 3, 7, 9])
def test_norm_svd_and_trace_are_those_of_the_whole_matrix(rank):
    matrix = make((2,), rows=7, rank=rank, columns=8)
    whole = matrix.AB
    assert_same(matrix.norm(), torch.linalg.matrix_norm(whole))
    U, S, Vh = matrix.svd()
    k = min(7, rank)
    assert (U.shape, S.shape, Vh.shape) == ((2, 7, k), (2, k), (2, k, 8))
    assert_same((U * S[:, None]) @ Vh, whole)
    assert_same(U.mT @ U, torch.eye(k, dtype=torch.float64).expand(2, k, k))
    assert_same(Vh @ Vh.mT, torch.eye(k, dtype=torch.float64).expand(2, k, k))
    assert_same(S, torch.linalg.svdvals(whole)[:, :k])
    assert_same(matrix.S, S)
    assert_same(matrix.U @ matrix.S.diag_embed() @ matrix.Vh, whole)


def test_eigenvalues_and_trace_of_square_matrices():
    matrix = make((2,), rows=7, rank=3, columns=7)
    nonzero = torch.linalg.eigvals(matrix.AB)
    largest = torch.gather(nonzero, 1, nonzero.abs().argsort(dim=1, descending=True))[:, :3]
    for power in (1, 2, 3):
        assert_same((matrix.eigenvalues**power).sum(dim=1), (largest**power).sum(dim=1))
    assert_same(matrix.trace(), matrix.AB.diagonal(dim1=-2, dim2=-1).sum(dim=-1))
    assert_same(matrix.trace(), matrix.eigenvalues.sum(dim=1).real)
    assert_same(matrix.BA, matrix.B @ matrix.A)


def test_agrees_with_transformer_lens():
    ours = make((4,), rows=6, rank=3, columns=6)
    peer = PeersFactoredMatrix(ours.A, ours.B)
    assert_same(ours.norm(), peer.norm())
    assert_same(ours.S, peer.S)
    assert_same(ours.Vh.abs(), peer.V.mT.abs())
    assert_same(ours.eigenvalues.abs().sort().values, peer.eigenvalues.abs().sort().values)
    assert_same(ours[1:3, :2].AB, peer[1:3, :2].AB)
    right = draw(6, 5)
    assert_same((ours @ right).AB, (peer @ right).AB)
    assert_same((ours @ ours).AB, (peer @ peer).AB)
    assert_same((right.mT @ ours).AB, (right.mT @ peer).AB)
    assert_same(ours.T.AB, peer.T.AB)


@pytest.mark.parametrize("ranks", [(2, 4), (4, 2)])
def test_products_stay_factored_at_the_smaller_rank(ranks):
    left, right = make((3,), 7, ranks[0], 6), make((3,), 6, ranks[1], 9)
    product = left @ right
    assert isinstance(product, FactoredMatrix)
    assert product.rank == 2
    assert_same(product.AB, left.AB @ right.AB)


def test_products_with_matrices_and_vectors_from_both_sides():
    matrix = make((3,))
    on_right, on_left = draw(8, 6), draw(5, 7)
    for product, expected in ((matrix @ on_right, matrix.AB @ on_right), (on_left @ matrix, on_left @ matrix.AB)):
        assert isinstance(product, FactoredMatrix)
        assert product.rank == 3
        assert_same(product.AB, expected)
    assert_same(matrix @ draw(8), matrix.AB @ draw(8))
    assert_same(draw(7) @ matrix, draw(7) @ matrix.AB)
    assert_same((2.0 * matrix).AB, 2 * matrix.AB)
    assert_same((matrix * torch.tensor(-3.0)).AB, -3 * matrix.AB)
    assert_same(matrix.unsqueeze(1).AB, matrix.AB[:, None])


INDICES = [
    (1,),
    (slice(0, 2),),
    (torch.tensor([1, 0, 1]),),
    (slice(None), 2),
    (..., slice(2, 5)),
    (..., slice(1, 3), slice(4, None)),
    (0, 3, slice(None), slice(0, 4)),
    (slice(None), slice(None), [6, 0], slice(None, None, 2)),
    (..., torch.arange(7) > 3, slice(None)),
    (None,),
    (None, 1, slice(1, 3)),
    (slice(None), None, ..., slice(3, 5)),
    (torch.tensor(1), slice(1, 3)),
    (..., [3, 0, 3]),
]


@pytest.mark.parametrize("index", INDICES, ids=str)
def test_an_index_picks_what_it_picks_of_the_whole_matrix(index):
    matrix = make()
    assert_same(matrix[index].AB, matrix.AB[index])


@settings(max_examples=60, deadline=None)
@given(st.integers(-7, 6), st.integers(-8, 7))
def test_a_single_row_or_column_keeps_its_axis(row, column):
    matrix = make(())
    assert_same(matrix[row].AB, matrix.AB[row][None])
    assert_same(matrix[:, column].AB, matrix.AB[:, column][:, None])
    assert_same(matrix[row, column].AB, matrix.AB[row, column].reshape(1, 1))


def test_gradients_flow_through_norm_and_products():
    A, B = draw(7, 3).requires_grad_(), draw(3, 8).requires_grad_()
    FactoredMatrix(A, B).norm().backward()
    expected = torch.autograd.grad(torch.linalg.matrix_norm(A @ B), [A, B])
    assert_same(A.grad, expected[0])
    assert_same(B.grad, expected[1])


@pytest.mark.parametrize(
    ("act", "says"),
    [
        (lambda: FactoredMatrix(draw(4, 3), draw(2, 5)), r"got A \(4, 3\) and B \(2, 5\)"),
        (lambda: FactoredMatrix(draw(3), draw(3, 5)), r"got A \(3,\)"),
        (lambda: FactoredMatrix(draw(2, 4, 3), draw(5, 3, 5)), "leading axes of A and B must broadcast"),
        (lambda: make(()) @ draw(7, 2), r"got \(7, 8\) and \(7, 2\)\. Transpose the right one"),
        (lambda: draw(2, 8) @ make(()), r"got \(2, 8\) and \(7, 8\)\. Transpose the left one"),
        (lambda: make(()) @ draw(7), r"got \(7, 8\) and \(7,\)"),
        (lambda: make(()).eigenvalues, "eigenvalues needs as many rows as columns"),
        (lambda: make(()).trace(), "trace needs as many rows"),
        (lambda: make(()).BA, "BA needs as many rows"),
        (lambda: make(())[7], r"between -7 and 6 here: got 7\. The matrix has shape \(7, 8\)"),
        (lambda: make(())[:, -9], "between -8 and 7 here: got -9"),
        (lambda: make(())[[0, 1], [2, 3]], "one list or tensor: got 2 items with several"),
        (lambda: make((3,))[[0, 1], [2, 3]], "one list or tensor"),
        (lambda: make(())[:, None], "a new axis must come before rows and columns"),
        (lambda: make(())[..., None], "a new axis must come before rows and columns"),
        (lambda: make(())[True], "lists of one axis: got True"),
        (lambda: make(())[torch.zeros(7, 8, dtype=torch.bool)], "lists of one axis"),
        (lambda: make(())[0, 0, 0], "at most 2 axes"),
        (lambda: make(())[..., 0, ...], "one ellipsis"),
        (lambda: make(()) * draw(7, 8), "Use @ for a product"),
        (lambda: make((2,)).unsqueeze(2), "at 0 to 1: got 2"),
    ],
)
def test_what_does_not_fit_is_refused(act, says):
    with pytest.raises(ShapeError, match=says):
        act()


def test_sizes_and_collapsed_forms_are_transformer_lenss():
    from transformer_lens import FactoredMatrix as Theirs

    generator = torch.Generator().manual_seed(0)
    A, B = torch.randn(3, 7, 2, generator=generator), torch.randn(3, 2, 5, generator=generator)
    ours, theirs = FactoredMatrix(A, B), Theirs(A, B)
    assert (ours.ldim, ours.mdim, ours.rdim) == (theirs.ldim, theirs.mdim, theirs.rdim) == (7, 2, 5)
    assert torch.equal(ours.pair[0], A)
    assert torch.equal(ours.pair[1], B)
    AB = A @ B
    torch.testing.assert_close(ours.collapse_l().mT @ ours.collapse_l(), AB.mT @ AB)
    torch.testing.assert_close(ours.collapse_r() @ ours.collapse_r().mT, AB @ AB.mT)
    for collapsed, expected in ((ours.collapse_l(), theirs.collapse_l()), (ours.collapse_r(), theirs.collapse_r())):
        torch.testing.assert_close(collapsed.abs(), expected.abs())  # each singular vector's sign is free
    even = ours.make_even()
    torch.testing.assert_close(even.AB, AB)
    torch.testing.assert_close(even.A.norm(dim=-2), even.B.norm(dim=-1))
