"""Views and convolutions: other notebooks' names, learners' styles that pass, and what is read of the likeliest slips."""

import einops
import pytest
import torch
import torch.nn.functional as F

from arena_lib.checking import run
from arena_lib.fundamentals import convolutions as conv
from arena_lib.tests import cnns_and_resnets as tests


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("test_trace", conv.as_strided_trace),
        ("test_mv", conv.as_strided_mv),
        ("test_mv2", conv.as_strided_mv),
        ("test_mm", conv.as_strided_mm),
        ("test_mm2", conv.as_strided_mm),
        ("test_pad1d", conv.pad1d),
        ("test_pad1d_multi_channel", conv.pad1d),
        ("test_pad2d", conv.pad2d),
        ("test_pad2d_multi_channel", conv.pad2d),
    ],
)
def test_names_of_other_notebooks_pass_the_right_function(name, function):
    getattr(tests, name)(function)


def conv2d_by_two_loops(x, weights, stride=1, padding=0):
    """Place by place of the output, with the windows as slices."""
    step = (stride, stride) if isinstance(stride, int) else stride
    pad = (padding, padding) if isinstance(padding, int) else padding
    x = F.pad(x, (pad[1], pad[1], pad[0], pad[0]))
    kernel_h, kernel_w = weights.shape[2:]
    rows = []
    for i in range(0, x.shape[2] - kernel_h + 1, step[0]):
        row = []
        for j in range(0, x.shape[3] - kernel_w + 1, step[1]):
            window = x[:, :, i : i + kernel_h, j : j + kernel_w]
            row.append(einops.einsum(window, weights, "b c h w, o c h w -> b o"))
        rows.append(torch.stack(row, dim=-1))
    return torch.stack(rows, dim=-2)


def conv1d_by_copying_first(x, weights, stride=1, padding=0):
    """Makes x contiguous, after which strides may be worked out from the shape."""
    x = F.pad(x, (padding, padding)).contiguous()
    batch, channels, width = x.shape
    n = (width - weights.shape[2]) // stride + 1
    windows = torch.as_strided(x, (batch, channels, n, weights.shape[2]), (channels * width, width, stride, 1))
    return torch.einsum("bcnk,ock->bon", windows, weights)


def conv2d_as_a_product(x, weights, stride=1, padding=0):
    """Each window as a column of a matrix."""
    if not x.is_floating_point():
        return conv2d_by_two_loops(x, weights, stride, padding)
    columns = F.unfold(x, weights.shape[2:], stride=stride, padding=padding)
    height = (x.shape[2] + 2 * conv.as_pair(padding)[0] - weights.shape[2]) // conv.as_pair(stride)[0] + 1
    return (weights.flatten(1) @ columns).unflatten(-1, (height, -1))


@pytest.mark.parametrize(
    ("test", "solution"),
    [
        (tests.test_conv2d, conv2d_by_two_loops),
        (tests.test_conv2d, conv2d_as_a_product),
        (tests.test_conv1d, conv1d_by_copying_first),
        (tests.test_as_strided_mm, lambda matA, matB: torch.einsum("ij,jk->ik", matA, matB)),
        (tests.test_take_column, lambda grid, column: grid.T[column]),
        (tests.test_contiguous_strides, lambda shape: list(torch.empty(*shape).stride()) if shape else []),
    ],
)
def test_styles_of_learners_pass(test, solution):
    result = run(test, solution)
    assert result.status == "passed", result.message


def mv_by_constants(mat, vec):
    """As most people write it first."""
    return (mat * vec.as_strided(mat.shape, (0, 1))).sum(1)


def conv1d_minimal_by_constants(x, weights):
    batch, channels, width = x.shape
    n = width - weights.shape[2] + 1
    windows = x.as_strided((batch, channels, n, weights.shape[2]), (channels * width, width, 1, 1))
    return einops.einsum(windows, weights, "b c n k, o c k -> b o n")


def conv2d_flipped(x, weights, stride=1, padding=0):
    return F.conv2d(x, weights.flip(2, 3), stride=stride, padding=padding)


def conv2d_with_swapped_strides(x, weights, stride=1, padding=0):
    return F.conv2d(x, weights, stride=conv.as_pair(stride)[::-1], padding=padding)


def maxpool2d_with_zeros(x, kernel_size, stride=None, padding=0):
    pad_h, pad_w = conv.as_pair(padding)
    return conv.maxpool2d(F.pad(x, (pad_w, pad_w, pad_h, pad_h)), kernel_size, stride)


def maxpool2d_with_stride_1(x, kernel_size, stride=None, padding=0):
    return conv.maxpool2d(x, kernel_size, 1 if stride is None else stride, padding)


def pad1d_with_zeros(x, left, right, pad_value):
    return F.pad(x, (left, right))


def windows_copied(x, window):
    return torch.stack([x[i : i + window] for i in range(len(x) - window + 1)])


def column_from_the_start(grid, column):
    return grid.as_strided((len(grid),), (grid.stride(0),), column * grid.stride(1))


@pytest.mark.parametrize(
    ("test", "wrong", "read"),
    [
        (tests.test_as_strided_mv, mv_by_constants, "takes vec's stride for 1"),
        (tests.test_mv2, mv_by_constants, "takes vec's stride for 1"),
        (tests.test_conv1d_minimal, conv1d_minimal_by_constants, "works strides out from the shape"),
        (tests.test_conv2d, conv2d_flipped, "flips the kernel"),
        (tests.test_conv2d, conv2d_with_swapped_strides, "swaps the strides of height and width"),
        (tests.test_maxpool2d, maxpool2d_with_zeros, "pads with zeros"),
        (tests.test_maxpool2d, maxpool2d_with_stride_1, "has the default stride 1"),
        (tests.test_pad1d, pad1d_with_zeros, "pads with zeros"),
        (tests.test_sliding_windows, windows_copied, "must share the memory of the argument"),
        (tests.test_take_column, column_from_the_start, "begins where memory begins"),
    ],
)
def test_the_likeliest_slips_are_named(test, wrong, read):
    result = run(test, wrong)
    assert result.status == "failed"
    assert read in result.message


def test_the_layout_that_fails_is_named():
    message = run(
        tests.test_as_strided_mm, lambda A, B: conv.as_strided_mm(A.contiguous(), B) if A.is_contiguous() else A @ B + 1
    )
    assert message.status == "failed"
    assert "transposed in memory" in message.message
