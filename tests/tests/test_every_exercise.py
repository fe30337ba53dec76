"""Every judge of every section has its exercise and its name, covers cases that are there, and prints its verdict alone.

That it accepts what is right, and rejects and names every mistake, `arena verify` proves, with each of two hash seeds.
"""

import importlib
import inspect

import pytest

from arena_lib.checking import outputs_and_gradients, run
from arena_lib.checking.evidence.expectations import RAISED, cases_of, expectations_of
from arena_lib.checking.exercises import Exercise
from arena_lib.checking.isolation import isolated
from arena_lib.course.content.catalog import load_catalog
from arena_lib.errors import CheckFailed

SECTIONS = {section.slug: section for section in load_catalog(strict=True).sections}


def judges_of(section):
    tests = vars(importlib.import_module(section.tests_module))
    return {name: judge for name, judge in tests.items() if isinstance(judge, Exercise)}


ALL = {(slug, name): judge for slug, section in SECTIONS.items() for name, judge in judges_of(section).items()}
WHOLE = {place: judge for place, judge in ALL.items() if judge.only is None}
PARTS = {place: judge for place, judge in ALL.items() if judge.only is not None}


@pytest.mark.parametrize("slug", SECTIONS)
def test_every_judge_has_an_exercise_in_the_chapter_and_the_other_way_round(slug):
    in_chapter = {entry.test_name for entry in SECTIONS[slug].exercises if entry.reference}
    assert in_chapter == {name for section, name in WHOLE if section == slug}


@pytest.mark.parametrize(("slug", "name"), WHOLE)
def test_a_judge_is_called_as_its_exercise(slug, name):
    assert (slug, name) == (WHOLE[slug, name].slug, f"test_{WHOLE[slug, name].name}")


@pytest.mark.parametrize(("slug", "name"), PARTS)
def test_a_part_covers_cases_that_are_there(slug, name):
    part = PARTS[slug, name]
    assert 0 < len(cases_of(part)) < len(cases_of(WHOLE[slug, f"test_{part.name}"]))


@pytest.mark.parametrize(("slug", "name"), WHOLE)
def test_a_judge_prints_nothing_but_its_verdict(slug, name, capfd):
    judge = WHOLE[slug, name]
    verdicts = [run(judge, obj) for obj in (judge.reference, judge.mistakes[0].build(judge.reference))]
    assert [verdict.passed for verdict in verdicts] == [True, False]
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("slug", "name"), WHOLE)
def test_the_reference_runs_in_every_case(slug, name):
    """Where it raises, a solution has to raise too: so the case says that it asks for that."""
    judge = WHOLE[slug, name]
    with isolated(judge.seed):  # as when a learner is judged: what is observed here is kept for the process
        cases, shown = cases_of(judge), expectations_of(judge).reference
    raising = [case.label for case, seen in zip(cases, shown, strict=True) if RAISED in seen]
    assert raising == [case.label for case in cases if case.raises]


def test_where_gradients_are_judged_the_docstring_says_that_they_flow():
    """A right solution may leave tensors for plain numbers, unless it's told that gradients must come through."""
    judged = [judge.reference for judge in WHOLE.values() if judge.observe is outputs_and_gradients]
    assert len(judged) > 40
    assert not [obj.__qualname__ for obj in judged if "radient" not in (inspect.getdoc(obj) or "")]


def test_a_verdict_is_one_line_of_a_pass_and_the_text_of_a_failure(capfd):
    judge, known_as = WHOLE["transformer_from_scratch", "test_causal_mask"], "1.1/causal_mask"
    judge(judge.accepts[0])
    assert capfd.readouterr() == (run(judge, judge.accepts[0], exercise_id=known_as).message + "\n", "")
    wrong = judge.mistakes[0].build(judge.reference)
    with pytest.raises(CheckFailed) as failure:
        judge(wrong)
    assert str(failure.value) == run(judge, wrong, exercise_id=known_as).message
    assert capfd.readouterr() == ("", "")
