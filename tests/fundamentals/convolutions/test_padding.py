import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from arena_lib.errors import ConfigError, ShapeError
from arena_lib.fundamentals.convolutions import pad1d, pad2d

sides = st.integers(0, 3)


@settings(max_examples=40, deadline=None)
@given(sides, sides, sides, sides, st.sampled_from([0.0, -1.5, float("-inf")]))
def test_padding_agrees_with_torch(left, right, top, bottom, value):
    images = torch.randn(2, 3, 5, 4).mT
    expected = F.pad(images, (left, right, top, bottom), value=value)
    torch.testing.assert_close(pad2d(images, left, right, top, bottom, value), expected, rtol=0, atol=0)
    signals = images[:, :, 1]
    torch.testing.assert_close(
        pad1d(signals, left, right, value), F.pad(signals, (left, right), value=value), rtol=0, atol=0
    )


def test_the_result_is_new_and_has_the_dtype_of_x():
    x = torch.ones(1, 1, 3, dtype=torch.float64)
    padded = pad1d(x, 0, 0, 0.0)
    padded[:] = 7
    assert x.eq(1).all()
    assert padded.dtype == torch.float64
    assert pad2d(torch.ones(1, 1, 2, 2, dtype=torch.int32), 1, 1, 0, 0, -3).dtype == torch.int32


def test_bad_input_is_refused_by_name():
    signals, images = torch.zeros(1, 1, 3), torch.zeros(1, 1, 2, 3)
    with pytest.raises(ConfigError, match="right must be a whole number, at least 0: got -1"):
        pad1d(signals, 0, -1, 0.0)
    with pytest.raises(ConfigError, match="top must be a whole number, at least 0: got -2"):
        pad2d(images, 0, 0, -2, 0, 0.0)
    for value in (0.5, float("-inf")):
        with pytest.raises(ConfigError, match=rf"pad_value must be a whole number.*int64: got {value}.*x.float"):
            pad1d(signals.long(), 1, 1, value)


@pytest.mark.usefixtures("without_types")
def test_wrong_axes_are_refused_by_name():
    with pytest.raises(ShapeError, match='x must have the axes "batch in_channels width"'):
        pad1d(torch.zeros(3), 1, 1, 0.0)
    with pytest.raises(ShapeError, match='x must have the axes "batch in_channels height width"'):
        pad2d(torch.zeros(1, 2, 3), 1, 1, 0, 0, 0.0)
