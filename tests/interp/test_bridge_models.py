"""Every function on a bridge of every family: right, or refused, as docs/interp_by_family.md says."""

import pytest
from tests.interp.families import CHECKS, FAMILIES, judge, read_table


@pytest.mark.parametrize("family", FAMILIES)
def test_every_function_is_right_or_refused_as_the_table_says(family):
    assert judge(family) == read_table()[family]


def test_the_table_lists_the_families_and_functions_that_are_tried():
    table = read_table()
    assert set(table) == set(FAMILIES)
    assert all(list(column) == list(CHECKS) for column in table.values())
