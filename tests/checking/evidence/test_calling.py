"""The call of a case under the name that a learner wrote."""

import pytest

from arena_lib.checking import Case
from arena_lib.checking.evidence.calling import call_of
from arena_lib.checking.evidence.expectations import cases_of


def test_a_function_is_called_by_its_name_and_what_is_special_stands_beside(toy):
    case = cases_of(toy.test_half_norm)[0]
    call, label = call_of(toy.test_half_norm, case)
    assert call.startswith("half_norm(")
    assert label == case.label


@pytest.mark.parametrize(
    ("written", "shown"), [("half_norm(x)", "half_norm(x)"), ("x of one row", "half_norm(x of one row)")]
)
def test_a_call_that_an_author_wrote_whole_stays_as_it_is(written, shown, toy):
    assert call_of(toy.test_half_norm, Case(label="one", call=written)) == (shown, "one")
