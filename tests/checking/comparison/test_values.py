import numpy as np
import pytest
import torch

from arena_lib.checking.comparison.arrays import Tolerance
from arena_lib.checking.comparison.comparing import compare
from arena_lib.checking.comparison.values import Place, compare_numbers, compare_tensors, compare_values
from arena_lib.errors import AuthoringError

PLACE = Place(axes=("batch", "seq"), tolerance=None, observation="output", explain=True)


@pytest.mark.parametrize("expected", [torch.zeros(2), 1.0, {"a": 1}, [1], "text"])
def test_none_in_place_of_a_result_asks_for_a_return(expected):
    assert compare(None, expected).pattern == "is there a `return` on every path?"


def test_none_inside_a_result_asks_for_nothing():
    assert compare([None], [torch.zeros(2)]).pattern is None


TENSOR = torch.arange(6.0).reshape(2, 3)


def test_a_place_names_the_axes_if_they_are_as_many_and_grows_into_containers():
    assert PLACE.names(2) == ("batch", "seq")
    assert PLACE.names(1) == ()
    assert PLACE.at("[0]").at(".tokens").observation == "output[0].tokens"


def test_types_come_before_ranks_and_these_before_dtypes_and_values():
    wrong = {
        "type": TENSOR.numpy(),
        "rank": TENSOR.int().flatten(),
        "shape": TENSOR.int().T,
        "dtype": TENSOR.int() + 1,
        "nonfinite": torch.full((2, 3), torch.nan),
        "values": TENSOR + 1,
    }
    assert {kind: compare_tensors(actual, TENSOR, PLACE).kind for kind, actual in wrong.items()} == {
        kind: kind for kind in wrong
    }
    assert compare_tensors(TENSOR.clone(), TENSOR, PLACE) is None


def test_a_value_of_another_type_is_shown_beside_what_it_should_be():
    mismatch = compare_tensors(None, TENSOR, PLACE)
    assert (mismatch.expected, mismatch.actual) == ("a float32 tensor of shape (2, 3)", "None")


def test_the_first_number_that_is_not_finite_is_shown_before_earlier_wrong_ones():
    actual = np.array([9.0, 1.0, np.inf])
    mismatch = compare_values(actual, np.array([0.0, 1.0, 2.0]), Tolerance(rtol=0.0, atol=0.1), PLACE)
    assert (mismatch.kind, mismatch.first_index, mismatch.n_wrong) == ("nonfinite", (2,), 2)


def test_a_number_may_be_a_tensor_of_one_entry_without_axes():
    for actual in (2.5, np.float64(2.5), torch.tensor(2.5), torch.tensor(2.5, dtype=torch.float64)):
        assert compare_numbers(actual, 2.5, PLACE) is None
    assert compare_numbers(torch.tensor([2.5]), 2.5, PLACE).kind == "rank"
    assert compare_numbers(2.0, 2, PLACE).kind == "dtype"
    assert compare_numbers(2, 2.0, PLACE) is None
    assert compare_numbers("2", 2, PLACE).kind == "type"


def test_an_expected_tensor_must_have_values():
    with pytest.raises(AuthoringError, match="an expected tensor must have values"):
        compare_tensors(TENSOR, TENSOR.to("meta"), PLACE)
