import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from arena_lib.errors import ConfigError, ShapeError
from arena_lib.fundamentals.generative import transposed_2d

PAIR = st.one_of(st.integers(1, 3), st.tuples(st.integers(1, 3), st.integers(1, 3)))
PADDING = st.one_of(st.integers(0, 2), st.tuples(st.integers(0, 2), st.integers(0, 2)))


@settings(max_examples=60, deadline=None)
@given(st.tuples(*[st.integers(1, 4)] * 4), st.tuples(*[st.integers(1, 4)] * 3), PAIR, PADDING)
def test_agrees_with_torch_for_every_option(shape, kernels, stride, padding):
    x = torch.randn(shape, requires_grad=True)
    weights = torch.randn(shape[1], *kernels, requires_grad=True)
    strides, paddings = transposed_2d.as_pair(stride), transposed_2d.as_pair(padding)
    sizes = [s * (n - 1) + k - 2 * p for s, n, k, p in zip(strides, shape[2:], kernels[1:], paddings, strict=True)]
    if min(sizes) < 1:
        with pytest.raises(ConfigError, match="must leave at least one entry"):
            transposed_2d.conv_transpose2d(x, weights, stride, padding)
        return
    out = transposed_2d.conv_transpose2d(x, weights, stride, padding)
    expected = F.conv_transpose2d(x, weights, stride=stride, padding=padding)
    torch.testing.assert_close(out, expected, rtol=1e-4, atol=1e-5)
    grad = torch.randn_like(out)
    ours, theirs = (torch.autograd.grad(y, (x, weights), grad) for y in (out, expected))
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("kernel", "stride", "padding"), [(4, 2, 1), ((2, 5), (3, 1), (0, 2)), (3, 1, 0)])
def test_the_layer_is_torchs_without_a_bias(kernel, stride, padding):
    ours = transposed_2d.ConvTranspose2d(3, 5, kernel, stride, padding)
    theirs = nn.ConvTranspose2d(3, 5, kernel, stride, padding, bias=False)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(2, 3, 6, 7)
    torch.testing.assert_close(ours(x), theirs(x), rtol=1e-4, atol=1e-5)


def test_first_weights_are_spread_as_torchs_are():
    ours = transposed_2d.ConvTranspose2d(20, 30, 4).weight
    theirs = nn.ConvTranspose2d(20, 30, 4).weight
    for statistic in (torch.std, torch.max, torch.min):
        torch.testing.assert_close(statistic(ours), statistic(theirs), rtol=0.03, atol=0.0)


@pytest.mark.usefixtures("without_types")
def test_what_cannot_work_is_refused_in_words():
    x, weights = torch.zeros(2, 3, 5, 4), torch.zeros(3, 4, 2, 2)
    with pytest.raises(ShapeError, match="in_channels as x has"):
        transposed_2d.conv_transpose2d(x, weights.transpose(0, 1))
    with pytest.raises(ShapeError, match="Give one example a batch axis"):
        transposed_2d.fractional_stride_2d(x[0], 1, 2)
    with pytest.raises(ConfigError, match="one number or a pair"):
        transposed_2d.conv_transpose2d(x, weights, (1, 2, 3))
    with pytest.raises(ConfigError, match="must be at least 1: got 3, 0 and 4"):
        transposed_2d.ConvTranspose2d(3, 0, 4)
