import numpy as np
import pytest
import torch

from arena_lib.errors import ShapeError
from arena_lib.fundamentals.backprop.arrays import matmul2d, put_array, sum_array, take_array


@pytest.mark.parametrize(("x", "y"), [((3,), (3, 2)), ((2, 3), (3,)), ((1, 2, 3), (3, 2)), ((), ())])
def test_a_product_is_of_two_matrices(x, y):
    with pytest.raises(ShapeError, match="two matrices"):
        matmul2d(np.zeros(x), np.zeros(y))


def test_matrices_that_do_not_fit_are_refused_with_both_shapes():
    with pytest.raises(ShapeError, match=r"\(2, 3\) and \(2, 4\)"):
        matmul2d(np.zeros((2, 3)), np.zeros((2, 4)))


@pytest.mark.parametrize("keepdim", [False, True])
@pytest.mark.parametrize("dim", [0, -1, (0, 2), (2, -2)])
def test_sums_are_torchs(dim, keepdim):
    x = np.random.default_rng(0).normal(size=(2, 3, 4))
    expected = torch.tensor(x).sum(dim=dim, keepdim=keepdim).numpy()
    np.testing.assert_allclose(sum_array(x, dim, keepdim), expected)


def test_what_was_taken_twice_is_put_back_twice():
    x, index = np.zeros((3, 2)), (np.array([0, 2, 2]), np.array([1, 0, 0]))
    assert put_array(np.array([1.0, 10.0, 100.0]), x.shape, index).tolist() == [[0, 1], [0, 0], [110, 0]]
    assert take_array(np.arange(6).reshape(3, 2), index).tolist() == [1, 4, 4]
