import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from arena_lib.errors import ConfigError, ShapeError
from arena_lib.fundamentals.generative import transposed

SIZES = st.integers(1, 5)


@settings(max_examples=60, deadline=None)
@given(SIZES, SIZES, SIZES, SIZES, SIZES, st.integers(1, 4), st.integers(0, 3), st.sampled_from(["float32", "float64"]))
def test_agrees_with_torch_for_every_option(batch, in_channels, width, out_channels, kernel, stride, padding, dtype):
    dtype = getattr(torch, dtype)
    x = torch.randn(batch, in_channels, width, dtype=dtype, requires_grad=True)
    weights = torch.randn(in_channels, out_channels, kernel, dtype=dtype, requires_grad=True)
    if stride * (width - 1) + kernel - 2 * padding < 1:
        with pytest.raises(ConfigError, match="must leave at least one entry"):
            transposed.conv_transpose1d(x, weights, stride, padding)
        return
    out = transposed.conv_transpose1d(x, weights, stride, padding)
    expected = F.conv_transpose1d(x, weights, stride=stride, padding=padding)
    assert out.dtype == dtype
    torch.testing.assert_close(out, expected, rtol=1e-4, atol=1e-5)
    grad = torch.randn_like(out)
    ours, theirs = (torch.autograd.grad(y, (x, weights), grad) for y in (out, expected))
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_minimal_is_the_general_one_with_nothing_set():
    x, weights = torch.randn(2, 3, 5), torch.randn(3, 4, 2)
    torch.testing.assert_close(transposed.conv_transpose1d_minimal(x, weights), transposed.conv_transpose1d(x, weights))


@settings(max_examples=30, deadline=None)
@given(SIZES, SIZES, st.integers(1, 6))
def test_stamps_are_a_transposed_convolution_of_one_channel(width, kernel_width, stride):
    x, kernel = torch.randn(width), torch.randn(kernel_width)
    expected = F.conv_transpose1d(x[None, None], kernel[None, None], stride=stride)[0, 0]
    torch.testing.assert_close(transposed.stamp_kernel(x, kernel, stride), expected)


def test_its_matrix_is_that_of_the_convolution_transposed():
    kernel = torch.randn(3, dtype=torch.float64)
    stamped = torch.stack([transposed.stamp_kernel(row, kernel, 2) for row in torch.eye(4, dtype=torch.float64)])
    gathered = F.conv1d(torch.eye(9, dtype=torch.float64)[:, None], kernel[None, None], stride=2)[:, 0]
    torch.testing.assert_close(stamped, gathered.T)


def test_zeros_come_between_neighbours_alone():
    assert transposed.fractional_stride_1d(torch.ones(1, 1, 3), 3).tolist() == [[[1, 0, 0, 1, 0, 0, 1]]]


@pytest.mark.usefixtures("without_types")
def test_what_cannot_work_is_refused_in_words():
    x, weights = torch.zeros(2, 3, 5), torch.zeros(3, 4, 2)
    with pytest.raises(ShapeError, match='must have the axes "batch in_channels width"'):
        transposed.conv_transpose1d(x[0], weights)
    with pytest.raises(ShapeError, match="The input's channels come first here"):
        transposed.conv_transpose1d_minimal(x, weights.transpose(0, 1))
    for options in ((0, 0), (1, -1)):
        with pytest.raises(ConfigError, match="stride must be at least 1 and the padding at least 0"):
            transposed.conv_transpose1d(x, weights, *options)
    with pytest.raises(ConfigError, match="stride must be at least 1"):
        transposed.fractional_stride_1d(x, 0)
    with pytest.raises(ShapeError, match="kernel must be a row with at least one entry"):
        transposed.stamp_kernel(x[0, 0], torch.zeros(0))
