import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from arena_lib.fundamentals.puzzles import products

sizes = st.integers(1, 6)


@settings(max_examples=25, deadline=None)
@given(sizes, sizes, sizes)
def test_products_of_matrices_and_vectors_agree_with_numpy(n_rows, n_inner, n_columns):
    rng = np.random.default_rng(n_rows)
    left, right, vec = (
        rng.normal(size=(n_rows, n_inner)),
        rng.normal(size=(n_inner, n_columns)),
        rng.normal(size=n_inner),
    )
    np.testing.assert_allclose(products.einsum_mm(left, right), left @ right)
    np.testing.assert_allclose(products.einsum_mv(left, vec), left @ vec)
    np.testing.assert_allclose(products.einsum_inner(vec, right[:, 0]), vec @ right[:, 0])
    np.testing.assert_allclose(products.einsum_outer(left[:, 0], vec), np.outer(left[:, 0], vec))
    np.testing.assert_allclose(products.einsum_trace(left @ left.T), np.trace(left @ left.T))


@settings(max_examples=25, deadline=None)
@given(sizes, sizes, sizes, sizes)
def test_batches_agree_with_torch(batch, n_rows, n_inner, n_columns):
    first, second = torch.randn(batch, n_rows, n_inner), torch.randn(batch, n_inner, n_columns)
    torch.testing.assert_close(products.batched_product(first, second), torch.bmm(first, second))


@settings(max_examples=25, deadline=None)
@given(sizes, sizes, sizes, sizes, sizes)
def test_scores_are_dot_products_by_text_and_head(batch, seq_q, seq_k, n_heads, d_head):
    q, k = torch.randn(batch, seq_q, n_heads, d_head), torch.randn(batch, seq_k, n_heads, d_head)
    scores = q.transpose(1, 2) @ k.transpose(1, 2).mT
    torch.testing.assert_close(products.attention_scores(q, k), scores)


@pytest.mark.usefixtures("without_types")
def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="operand"):
        products.einsum_mm(np.ones((2, 3)), np.ones((4, 2)))
    with pytest.raises(ValueError, match="more dimensions"):
        products.einsum_mv(np.ones((2, 3, 4)), np.ones(3))
