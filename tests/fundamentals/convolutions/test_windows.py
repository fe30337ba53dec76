import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from arena_lib.errors import DtypeError, ShapeError
from arena_lib.fundamentals.convolutions import conv1d_minimal, conv1d_minimal_simple, conv2d_minimal

sizes = st.integers(1, 4)


@settings(max_examples=40, deadline=None)
@given(sizes, sizes, sizes, sizes, sizes, sizes, sizes)
def test_minimal_convolutions_agree_with_torch(batch, n_in, n_out, kernel_h, kernel_w, more_h, more_w):
    images = torch.randn(batch, n_in, kernel_w + more_w - 1, kernel_h + more_h - 1).mT
    weights = torch.randn(n_out, n_in, kernel_h, kernel_w)
    torch.testing.assert_close(conv2d_minimal(images, weights), F.conv2d(images, weights))
    signals, kernels = images[:, :, -1], weights[:, :, -1]
    torch.testing.assert_close(conv1d_minimal(signals, kernels), F.conv1d(signals, kernels))
    one = conv1d_minimal_simple(signals[0, 0], kernels[0, 0])
    torch.testing.assert_close(one, F.conv1d(signals[:1, :1], kernels[:1, :1])[0, 0])


def test_whole_numbers_stay_whole():
    x, weights = torch.arange(24).reshape(1, 2, 3, 4), torch.arange(8).reshape(1, 2, 2, 2)
    output = conv2d_minimal(x, weights)
    assert output.dtype == torch.int64
    assert output.equal(F.conv2d(x.double(), weights.double()).long())


def test_a_kernel_without_room_and_channels_that_differ_are_refused():
    with pytest.raises(ShapeError, match="a kernel of 4 along the width, and 3 numbers with 0 more at either end"):
        conv1d_minimal_simple(torch.zeros(3), torch.zeros(4))
    with pytest.raises(ShapeError, match="a kernel of 3 along the height, and 2 numbers"):
        conv2d_minimal(torch.zeros(1, 1, 2, 5), torch.zeros(1, 1, 3, 3))


@pytest.mark.usefixtures("without_types")
def test_bad_input_is_refused_by_name():
    with pytest.raises(
        ShapeError, match="in_channels of x and in_channels of weights must be equally many: got 2 and 3"
    ):
        conv1d_minimal(torch.zeros(1, 2, 5), torch.zeros(1, 3, 2))
    with pytest.raises(ShapeError, match=r'x must have the axes "batch in_channels height width".*x\[None\]'):
        conv2d_minimal(torch.zeros(2, 5, 5), torch.zeros(1, 2, 2, 2))
    with pytest.raises(ShapeError, match='weights must have the axes "out_channels in_channels kernel_width"'):
        conv1d_minimal(torch.zeros(1, 2, 5), torch.zeros(2, 2))
    with pytest.raises(DtypeError, match=r"x and weights must have one dtype.*weights.to\(x.dtype\)"):
        conv1d_minimal_simple(torch.zeros(5), torch.arange(2))
