import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from arena_lib.errors import ConfigError, ShapeError
from arena_lib.fundamentals.convolutions import contiguous_strides, memory_position

shapes = st.lists(st.integers(1, 5), max_size=4)


@settings(max_examples=40, deadline=None)
@given(shapes)
def test_strides_are_those_of_a_new_tensor(shape):
    assert contiguous_strides(shape) == torch.empty(shape).stride()


@settings(max_examples=40, deadline=None)
@given(shapes.filter(bool), st.randoms(use_true_random=False))
def test_a_position_is_where_the_number_lies(shape, random):
    tensor = (
        torch.arange(100, 100 + torch.Size(shape).numel())
        .reshape(shape)
        .permute(*random.sample(range(len(shape)), len(shape)))[
            tuple(slice(random.randrange(n), None) for n in (1,) * len(shape))
        ]
    )
    index = tuple(random.randrange(n) for n in tensor.shape)
    position = memory_position(index, tensor.stride(), tensor.storage_offset())
    assert tensor[index] == 100 + position


def test_a_slice_begins_at_its_offset():
    part = torch.arange(20).reshape(4, 5)[2:, 1:]
    assert memory_position((0, 0), part.stride(), part.storage_offset()) == part[0, 0] == 11


def test_bad_input_is_refused():
    with pytest.raises(ShapeError, match="numbers in index and numbers in stride must be equally many: got 2 and 1"):
        memory_position((1, 2), (3,))
    with pytest.raises(ConfigError, match="the length of axis 1 must be a whole number, at least 1: got 0"):
        contiguous_strides((3, 0))
