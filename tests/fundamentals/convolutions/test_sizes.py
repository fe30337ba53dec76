import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from arena_lib.errors import ConfigError, ShapeError
from arena_lib.fundamentals.convolutions import as_pair, output_size


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 12), st.integers(1, 6), st.integers(1, 4), st.integers(0, 3))
def test_sizes_are_those_of_torch(size, kernel, stride, padding):
    if size + 2 * padding < kernel:
        with pytest.raises(ShapeError, match="a kernel must fit into the padded input"):
            output_size(size, kernel, stride, padding)
        return
    expected = F.conv1d(torch.zeros(1, 1, size), torch.zeros(1, 1, kernel), stride=stride, padding=padding).shape[-1]
    assert output_size(size, kernel, stride, padding) == expected


def test_a_setting_is_a_number_or_a_pair():
    assert as_pair(2) == (2, 2)
    assert as_pair((1, 3)) == (1, 3)


@pytest.mark.usefixtures("without_types")
@pytest.mark.parametrize("value", [1.5, (1,), (1, 2, 3), (1, 2.0), "12", None])
def test_other_settings_are_refused_by_name(value):
    with pytest.raises(
        ConfigError, match="stride must be a whole number or a pair of them, for the height and the width"
    ):
        as_pair(value, "stride")


def test_sizes_that_cannot_be_are_refused():
    with pytest.raises(ConfigError, match="stride must be a whole number, at least 1: got 0"):
        output_size(5, 3, stride=0)
    with pytest.raises(ConfigError, match="padding must be a whole number, at least 0: got -1"):
        output_size(5, 3, padding=-1)
    with pytest.raises(ConfigError, match="the kernel's size along the axis must be a whole number, at least 1: got 0"):
        output_size(5, 0)
