import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from arena_lib.fundamentals.puzzles import indexing

sizes = st.integers(1, 6)


@settings(max_examples=25, deadline=None)
@given(sizes, sizes, sizes)
def test_rows_columns_and_gather_agree_with_torch(n_rows, n_columns, n_taken):
    matrix = torch.randn(n_rows, n_columns)
    rows, columns = torch.randint(n_rows, (n_taken,)), torch.randint(n_columns, (n_taken,))
    assert torch.equal(indexing.collect_rows(matrix, rows), matrix.index_select(0, rows))
    assert torch.equal(indexing.collect_columns(matrix, columns), matrix.index_select(1, columns))
    indexes = torch.randint(n_columns, (n_rows, n_taken))
    assert torch.equal(indexing.gather_2d(matrix, indexes), torch.take_along_dim(matrix, indexes, dim=1))


@settings(max_examples=25, deadline=None)
@given(sizes, sizes)
def test_a_checkerboard_has_no_equal_neighbours(height, width):
    board = indexing.checkerboard(height, width)
    assert board[0, 0] == 1
    assert (board[1:] + board[:-1] == 1).all()
    assert (board[:, 1:] + board[:, :-1] == 1).all()


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(-5, 5, width=32)), st.floats(0, 4, width=32))
def test_outliers_become_zero_in_a_copy(numbers, limit):
    x = torch.tensor(numbers, dtype=torch.float32)
    before = x.clone()
    kept = indexing.zero_outliers(x, limit)
    assert kept.tolist() == [number if abs(number) <= limit else 0.0 for number in x.tolist()]
    assert torch.equal(x, before)


def test_accuracy_is_the_share_of_largest_scores():
    scores = torch.tensor([[0.1, 0.9, 0.0], [0.8, 0.2, 0.1], [0.3, 0.2, 0.7], [5.0, 1.0, 2.0]])
    assert indexing.classifier_accuracy(scores, torch.tensor([1, 0, 0, 0])) == 0.75


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 3)))
def test_both_totals_are_the_sum_of_the_prices(items):
    prices = torch.tensor([0.5, 2.0, 10.0, 0.25])
    total = sum(prices[item].item() for item in items)
    bought = torch.tensor(items, dtype=torch.int64)
    assert indexing.total_price_indexing(prices, bought) == total
    assert indexing.total_price_gather(prices, bought) == total


@settings(max_examples=25, deadline=None)
@given(st.lists(sizes, min_size=1, max_size=4), sizes)
def test_coordinates_pick_single_entries(shape, n_places):
    tensor = torch.randn(shape)
    coords = torch.stack([torch.randint(size, (n_places,)) for size in shape], dim=1)
    picked = indexing.integer_array_indexing(tensor, coords)
    assert picked.tolist() == [tensor[tuple(place)].item() for place in coords.tolist()]


@settings(max_examples=25, deadline=None)
@given(sizes, sizes, sizes)
def test_last_vectors_are_those_before_the_padding(batch, seq, d_model):
    vectors, lengths = torch.randn(batch, seq, d_model), torch.randint(1, seq + 1, (batch,))
    last = [text[:length][-1] for text, length in zip(vectors, lengths, strict=True)]
    assert torch.equal(indexing.last_vectors(vectors, lengths), torch.stack(last))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 4)), st.integers(5, 8))
def test_counts_agree_with_torch(values, n_values):
    tensor = torch.tensor(values, dtype=torch.int64)
    assert torch.equal(indexing.count_values(tensor, n_values), torch.bincount(tensor, minlength=n_values))


def test_an_index_that_is_not_there_is_refused():
    with pytest.raises(IndexError):
        indexing.collect_rows(torch.rand(2, 3), torch.tensor([2]))
    with pytest.raises(RuntimeError, match="out of bounds"):
        indexing.gather_2d(torch.rand(2, 3), torch.tensor([[3], [0]]))
