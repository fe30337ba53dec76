import pytest

from arena_lib.cli.support.exploring import more_to_explore
from arena_lib.course.content.catalog import load_catalog


@pytest.mark.parametrize("section", load_catalog().sections, ids=lambda section: section.id)
def test_judged_exercises_and_those_to_explore_are_all_of_the_section(section):
    n_tested = sum(entry.test is not None for entry in section.exercises)
    n_more = len(section.exercises) - n_tested
    text = more_to_explore(section, n_tested)
    assert text == more_to_explore(section)
    assert text.split()[:1] == ([f"({n_more}"] if n_more else [])


def test_of_some_exercises_nothing_is_said_of_the_others():
    assert more_to_explore(load_catalog().section("1.1"), 3) == ""
