import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from arena_lib.errors import ConfigError, DtypeError, ShapeError
from arena_lib.fundamentals.convolutions import conv1d, conv2d

sizes = st.integers(1, 4)
settings_of = {
    least: st.one_of(st.integers(least, 3), st.tuples(st.integers(least, 3), st.integers(least, 3))) for least in (0, 1)
}


@settings(max_examples=60, deadline=None)
@given(sizes, sizes, sizes, sizes, sizes, sizes, sizes, settings_of[1], settings_of[0])
def test_images_agree_with_torch(batch, n_in, n_out, kernel_h, kernel_w, more_h, more_w, stride, padding):
    x = torch.randn(batch, n_in, kernel_w + more_w - 1, kernel_h + more_h - 1).mT
    weights = torch.randn(n_out, n_in, kernel_h, kernel_w)
    expected = F.conv2d(x, weights, stride=stride, padding=padding)
    torch.testing.assert_close(conv2d(x, weights, stride, padding), expected)


@settings(max_examples=40, deadline=None)
@given(sizes, sizes, sizes, sizes, sizes, st.integers(1, 4), st.integers(0, 3))
def test_signals_agree_with_torch(batch, n_in, n_out, kernel, more, stride, padding):
    x, weights = torch.randn(n_in, batch, kernel + more).transpose(0, 1), torch.randn(n_out, n_in, kernel)
    expected = F.conv1d(x, weights, stride=stride, padding=padding)
    torch.testing.assert_close(conv1d(x, weights, stride, padding), expected)


def test_gradients_are_those_of_torch():
    x = torch.randn(2, 3, 7, 6, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(4, 3, 3, 2, dtype=torch.float64, requires_grad=True)
    pull = torch.randn(2, 4, 4, 3, dtype=torch.float64)
    ours, theirs = (
        torch.autograd.grad((function(x, weights, stride=(2, 3), padding=(1, 2)) * pull).sum(), (x, weights))
        for function in (conv2d, F.conv2d)
    )
    torch.testing.assert_close(ours, theirs)


def test_what_does_not_fit_is_refused_by_name():
    x, weights = torch.zeros(1, 2, 4, 5), torch.zeros(3, 2, 3, 3)
    with pytest.raises(ConfigError, match="stride along the width must be a whole number, at least 1: got -1"):
        conv2d(x, weights, stride=(1, -1))
    with pytest.raises(ConfigError, match="padding along the height must be a whole number, at least 0: got -1"):
        conv2d(x, weights, padding=-1)
    with pytest.raises(ShapeError, match="a kernel of 7 along the height, and 4 numbers with 1 more at either end"):
        conv2d(x, torch.zeros(3, 2, 7, 3), padding=1)
    with pytest.raises(ConfigError, match="stride along the width must be"):
        conv1d(x[:, :, 0], weights[:, :, 0], stride=0)


@pytest.mark.usefixtures("without_types")
def test_bad_input_is_refused_by_name():
    with pytest.raises(
        ShapeError, match="in_channels of x and in_channels of weights must be equally many: got 2 and 3"
    ):
        conv2d(torch.zeros(1, 2, 4, 5), torch.zeros(2, 3, 3, 3))
    with pytest.raises(DtypeError, match=r"x and weights must have one dtype: got torch.float64 and torch.float32"):
        conv2d(torch.zeros(1, 2, 4, 5).double(), torch.zeros(2, 2, 3, 3))
    with pytest.raises(ConfigError, match=r"padding must be a whole number or a pair of them.*got \(1, 1, 1, 1\)"):
        conv2d(torch.zeros(1, 2, 4, 5), torch.zeros(2, 2, 3, 3), padding=(1, 1, 1, 1))
