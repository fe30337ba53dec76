import pytest
import torch

from arena_lib.checking.comparison.shapes import find_shape_pattern


def numbers(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


SHAPES = {
    "the axes seq and d_model are swapped": (torch.zeros(2, 5, 3), torch.zeros(2, 3, 5), "batch seq d_model"),
    "the axes are in the order d_model, batch, seq": (torch.zeros(5, 2, 3), torch.zeros(2, 3, 5), "batch seq d_model"),
    "the axes 0 and 1 are swapped": (torch.zeros(3, 2), torch.zeros(2, 3), ""),
    "axis 1 is 2 too long": (torch.zeros(2, 5), torch.zeros(2, 3), ""),
    "the axis d_model is 1 too short": (torch.zeros(2, 2), torch.zeros(2, 3), "seq d_model"),
    "there are 2 heads too few": (torch.zeros(2, 1), torch.zeros(2, 3), "batch n_heads"),
    "the axis seq is missing": (torch.zeros(2, 5), torch.zeros(2, 3, 5), "batch seq d_model"),
    "axis 0 is missing": (torch.zeros(3, 5), torch.zeros(2, 3, 5), ""),
    "there is an axis of length 1 too many": (torch.zeros(2, 3, 1), torch.zeros(2, 3), "batch seq"),
    "there is an axis of length 4 too many": (torch.zeros(2, 4, 3), torch.zeros(2, 3), "batch seq"),
    "there is 1 position too few": (torch.zeros(2, 2), torch.zeros(2, 3), "batch seq"),
    "there are 2 positions too many": (torch.zeros(2, 5), torch.zeros(2, 3), "batch seq"),
    "the axes n_heads and seq_q are swapped": (
        numbers(2, 3, 5, 5).transpose(1, 2),
        numbers(2, 3, 5, 5),
        "batch n_heads seq_q seq_k",
    ),
}


@pytest.mark.parametrize("pattern", SHAPES)
def test_shape_pattern(pattern):
    actual, expected, axes = SHAPES[pattern]
    assert find_shape_pattern(actual, expected, tuple(axes.split())) == pattern


@pytest.mark.parametrize(
    ("shape", "sizes", "pattern"),
    [
        ((2, 4, 5), {"n_heads": 4, "d_head": 6}, "there is an axis of length 4 (n_heads) too many"),
        ((2, 4, 5), {"n_heads": 4, "d_head": 4}, "there is an axis of length 4 too many"),
        ((2, 5, 5), {"n_heads": 4}, "there is an axis of length 5 (seq) too many"),
        ((2, 5, 1), {"n_heads": 1}, "there is an axis of length 1 too many"),
    ],
)
def test_an_axis_too_many_is_called_by_its_word_where_only_one_has_its_length(shape, sizes, pattern):
    assert find_shape_pattern(torch.zeros(shape), torch.zeros(2, 5), ("batch", "seq"), sizes) == pattern


@pytest.mark.parametrize(
    ("actual", "expected"),
    [
        (torch.zeros(4, 6), torch.zeros(2, 3)),
        (torch.zeros(3), torch.zeros(3, 3)),
        (torch.zeros(()), torch.zeros(2, 3)),
        (numbers(5, 3, 5, seed=1), numbers(3, 5, 5)),
        (torch.zeros(5, 3, 5, device="meta"), torch.zeros(3, 5, 5)),
    ],
)
def test_nothing_is_said_of_a_shape_that_could_come_about_in_many_ways(actual, expected):
    assert find_shape_pattern(actual, expected) is None
