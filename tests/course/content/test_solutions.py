import re
import sys

import pytest

from arena_lib.course.content.catalog import load_catalog
from arena_lib.course.content.solutions import helpers_text, run_exploratory, solution_diff, solution_text
from arena_lib.errors import AuthoringError


@pytest.fixture
def section(course):
    # The engine needs cases; the chapter's own run doesn't need the engine.
    (course.chapters.parent / "tests" / "little" / "__init__.py").write_text("test_plus = test_scaler = print\n")
    return load_catalog([course], strict=True).section("7.2")


def test_solution_is_the_references_text(section):
    plus, _, find_largest = section.exercises
    assert solution_text(section, plus).startswith("@functools.cache\ndef plus(")
    assert solution_text(section, plus).endswith("    return a + b\n")
    assert solution_text(section, find_largest).splitlines()[:2] == ["numbers = [3, 9, 4]", "largest = max(numbers)"]


def test_a_solution_of_one_call_comes_with_what_it_calls(section):
    catalog = load_catalog()
    detector = catalog.exercise("1.2/current_attn_detector")
    text = helpers_text(catalog.section_of(detector), detector)
    assert "# arena_lib.interp.heads.detectors.heads_above, which it uses:\ndef heads_above(" in text
    brought = re.findall(r"^# [\w.]+\.(\w+), which it uses:\ndef \1\(", text, re.M)
    assert brought == ["heads_above", "current_attn_scores", "scores_by_layer", "_over_batch"]
    assert [helpers_text(section, entry) for entry in section.exercises] == ["", "", ""]


def test_diff_shows_what_would_change(section):
    plus = section.exercises[0]
    learners = solution_text(section, plus).replace("a + b", "a - b").replace("= 0,", "= 0,   ")
    lines = solution_diff(section, plus, learners).splitlines()
    assert lines[:2] == ["--- yours/plus", "+++ solution/plus"]
    assert [line for line in lines[2:] if line.startswith(("-", "+"))] == ["-    return a - b", "+    return a + b"]
    assert " def plus(" in lines
    assert solution_diff(section, plus, "\n" + solution_text(section, plus) + "\n\n") == ""


def test_exploratory_exercises_are_run_with_their_assertion(section):
    ((entry, error),) = run_exploratory(section)
    assert entry.name == "find_largest"
    assert error is None
    assert "solutions_of_little" not in sys.modules


def test_wrong_exploratory_solution_is_given_back(course, section):
    section.path.write_text(section.path.read_text().replace("max(numbers)", "min(numbers)"))
    ((_, error),) = run_exploratory(load_catalog([course]).section("7.2"))
    assert isinstance(error, AssertionError)
    assert str(error) == "the largest of 3, 9 and 4 is 9"


def test_chapter_that_does_not_run_says_which_cell(course, section):
    section.path.write_text(section.path.read_text().replace("shown = plus(3, 4)", "shown = plus(3, none)"))
    with pytest.raises(
        AuthoringError, match="must run with its solutions: got NameError: name 'none' is not defined in cell"
    ):
        list(run_exploratory(load_catalog([course]).section("7.2")))


def test_scale_reaches_the_chapter(course, section):
    text = section.path.read_text().replace("largest == 9, ", 'largest == 9 and N_RUNS == 50, SCALE + " " + ')
    section.path.write_text(text)
    section = load_catalog([course]).section("7.2")
    assert [str(error)[:5] for _, error in run_exploratory(section)] == ["tiny "]
    assert [error for _, error in run_exploratory(section, scale="full")] == [None]


def test_nothing_runs_where_nothing_is_exploratory(course, section):
    text = section.path.read_text()
    section.path.write_text(text[: text.index('# %% exercise="find_largest"')] + "raise SystemExit")
    assert list(run_exploratory(load_catalog([course]).section("7.2"))) == []
