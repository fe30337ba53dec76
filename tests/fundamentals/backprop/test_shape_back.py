import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from arena_lib.fundamentals.backprop import Tensor
from arena_lib.fundamentals.backprop import shape_back as back
from arena_lib.fundamentals.backprop.arrays import broadcast_array, put_array
from arena_lib.fundamentals.backprop.finite_differences import check_back_func


def compare(torch_func, back_func, x, *args, **kwargs):
    """A backward function beside torch's gradient."""
    tensor = torch.tensor(x, requires_grad=True)
    out = torch_func(tensor)
    grad_out = np.random.default_rng(9).normal(size=tuple(out.shape))
    out.backward(torch.tensor(grad_out))
    result = back_func(grad_out, out.detach().numpy(), x, *args, **kwargs)
    assert result.shape == x.shape
    np.testing.assert_allclose(result, tensor.grad.numpy())


@settings(max_examples=40, deadline=None)
@given(data=st.data(), shape=st.lists(st.integers(1, 4), min_size=1, max_size=4), keepdim=st.booleans())
def test_sums_over_any_axes_agree_with_torch(data, shape, keepdim):
    axis = st.integers(-len(shape), len(shape) - 1)
    dim = data.draw(st.none() | axis | st.lists(axis, min_size=1, unique_by=lambda a: a % len(shape)).map(tuple))
    x = np.random.default_rng(0).normal(size=shape)
    compare(lambda t: t.sum(dim=dim, keepdim=keepdim), back.sum_back, x, dim=dim, keepdim=keepdim)


@settings(max_examples=30, deadline=None)
@given(axes=st.permutations(range(4)))
def test_permutations_agree_with_torch(axes):
    compare(
        lambda t: t.permute(*axes), back.permute_back, np.random.default_rng(0).normal(size=(2, 3, 4, 5)), tuple(axes)
    )


@pytest.mark.parametrize("new_shape", [(12,), (3, -1), (4, 1, 3), (1, 12)])
def test_reshapes_agree_with_torch(new_shape):
    x = np.random.default_rng(0).normal(size=(2, 6))
    compare(lambda t: t.reshape(new_shape), back.reshape_back, x, new_shape)


@settings(max_examples=20, deadline=None)
@given(sizes=st.tuples(*[st.integers(1, 5)] * 3))
def test_products_of_matrices_agree_with_torch(sizes):
    n, d, m = sizes
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(n, d)), rng.normal(size=(d, m))
    compare(lambda t: t @ torch.tensor(y), lambda g, out, x: back.matmul2d_back0(g, out, x, y), x)
    compare(lambda t: torch.tensor(x) @ t, lambda g, out, y: back.matmul2d_back1(g, out, x, y), y)


def test_an_entry_that_was_taken_twice_gets_both():
    index = np.array([2, 0, 2])
    gradient = back.take_back(np.array([1.0, 10.0, 100.0]), np.zeros(3), np.zeros(4), index)
    assert gradient.tolist() == [10, 0, 101, 0]
    as_tensor = back.take_back(Tensor([1.0, 10.0, 100.0]), np.zeros(3), np.zeros(4), index)
    assert isinstance(as_tensor, Tensor)
    assert as_tensor.array.tolist() == gradient.tolist()


def test_broadcasting_and_putting_agree_with_trying():
    x = np.random.default_rng(0).normal(size=(2, 1))
    check_back_func(broadcast_array, back.broadcast_back, 0, x, (3, 2, 4))
    check_back_func(put_array, back.put_back, 0, x[:, 0], (5,), np.array([3, 3]))
