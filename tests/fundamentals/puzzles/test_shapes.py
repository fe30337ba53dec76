import einops
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from arena_lib.fundamentals.puzzles import shapes

sizes = st.integers(1, 5)


@settings(max_examples=25, deadline=None)
@given(sizes, sizes)
def test_counting_goes_along_the_rows(n_rows, n_columns):
    table = shapes.count_up(n_rows, n_columns)
    assert table.tolist() == [[r * n_columns + c for c in range(n_columns)] for r in range(n_rows)]


def test_both_small_tables():
    assert shapes.rearrange_1().tolist() == [[3, 4], [5, 6], [7, 8]]
    assert shapes.rearrange_2().tolist() == [[1, 2, 3], [4, 5, 6]]


@settings(max_examples=25, deadline=None)
@given(sizes, sizes, sizes, sizes)
def test_axes_are_added_and_merged_as_torch_does(batch, channel, height, width):
    images = torch.rand(batch, channel, height, width)
    assert torch.equal(shapes.flatten_images(images), images.flatten(1))
    assert torch.equal(shapes.add_axes(images[0, 0]), images[0, 0][None, None])


@settings(max_examples=25, deadline=None)
@given(sizes, sizes, sizes, sizes)
def test_heads_are_neighbouring_pieces(batch, seq, n_heads, d_head):
    vectors = torch.rand(batch, seq, n_heads * d_head)
    heads = shapes.split_heads(vectors, n_heads)
    assert torch.equal(heads, vectors.unflatten(-1, (n_heads, d_head)).transpose(1, 2))


def test_a_vector_that_cannot_be_cut_evenly_is_refused():
    with pytest.raises(einops.EinopsError, match="divide"):
        shapes.split_heads(torch.rand(2, 3, 7), 2)
