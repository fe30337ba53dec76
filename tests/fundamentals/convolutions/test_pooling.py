import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from arena_lib.errors import ConfigError, DtypeError, ShapeError
from arena_lib.fundamentals.convolutions import maxpool2d

sizes = st.integers(1, 4)
pairs = st.tuples(sizes, sizes)


@settings(max_examples=60, deadline=None)
@given(st.one_of(sizes, pairs), st.one_of(st.none(), sizes, pairs), sizes, sizes, st.booleans())
def test_pooling_agrees_with_torch(kernel, stride, more_h, more_w, is_padded):
    kernel_h, kernel_w = (kernel, kernel) if isinstance(kernel, int) else kernel
    padding = (kernel_h // 2, kernel_w // 2) if is_padded else 0
    x = torch.randn(2, 3, kernel_w + more_w - 1, kernel_h + more_h - 1).mT - 2
    expected = F.max_pool2d(x, kernel, stride, padding)
    torch.testing.assert_close(maxpool2d(x, kernel, stride, padding), expected, rtol=0, atol=0)


def test_padding_never_wins_and_takes_no_gradient():
    x = (-torch.rand(1, 1, 3, 3) - 1).requires_grad_()
    output = maxpool2d(x, 2, stride=2, padding=1)
    output.sum().backward()
    assert (output < 0).all()
    assert x.grad.sum() == output.numel()


def test_whole_numbers_are_padded_with_the_smallest():
    x = torch.full((1, 1, 2, 2), -128, dtype=torch.int8)
    assert maxpool2d(x, 2, 1, 1).eq(-128).all()


def test_what_torch_refuses_is_refused_by_name():
    x = torch.zeros(1, 1, 6, 6)
    with pytest.raises(ConfigError, match=r"padding must be at most half of kernel_size: got the padding \(0, 2\) for"):
        maxpool2d(x, 3, padding=(0, 2))
    with pytest.raises(ConfigError, match="stride along the height must be a whole number, at least 1: got 0"):
        maxpool2d(x, 2, stride=(0, 1))
    with pytest.raises(ShapeError, match="a kernel of 7 along the height, and 6 numbers"):
        maxpool2d(x, 7)


@pytest.mark.usefixtures("without_types")
def test_other_axes_and_dtypes_are_refused_by_name():
    with pytest.raises(ShapeError, match='x must have the axes "batch channels height width"'):
        maxpool2d(torch.zeros(3, 4, 4), 2)
    for dtype in (torch.bool, torch.complex64):
        with pytest.raises(DtypeError, match="x must hold numbers that can be compared"):
            maxpool2d(torch.zeros(1, 1, 4, 4, dtype=dtype), 2)
