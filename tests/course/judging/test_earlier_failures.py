"""Why an exercise may fail through no fault of its own: cells that failed first, and helpers that don't pass."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from arena_lib.checking.reports.messages import spoken, with_note
from arena_lib.checking.results import Check, Diagnosis
from arena_lib.course.content.catalog_types import ExerciseEntry
from arena_lib.course.judging.cells import LearnerFile, SourceCell
from arena_lib.course.judging.collect import MODULE_NAME, collect, parse_file
from arena_lib.course.judging.earlier_failures import (
    causes_of_missing,
    explain_missing,
    helpers_of,
    mention_helpers,
    point_to_unwritten,
)


def entry(name):
    return ExerciseEntry(
        id=f"7.2/{name}", name=name, title="", difficulty=1, importance=1, minutes=1,
        reference=f"m:{name}", test=f"t:test_{name}",
    )  # fmt: skip


NORM, MASK, ATTENTION = entry("norm"), entry("mask"), entry("Attention")
FAILING = spoken("7.2/Attention", "failed", "no.")
RAN = replace(FAILING, checks=(Check(name="runs", passed=True), Check(name="values", passed=False)))


def parsed(*sources):
    cells = tuple(
        SourceCell(number=number, source=source, filename=f"<a.ipynb, cell {number}>")
        for number, source in enumerate(sources, start=1)
    )
    return parse_file(LearnerFile(path=Path("a.ipynb"), cells=cells))


@pytest.fixture(autouse=True)
def _forget_module():
    yield
    sys.modules.pop(MODULE_NAME, None)


def causes(*sources, name="plus"):
    cells = parsed(*sources)
    return [(problem.where, problem.message) for problem in causes_of_missing(cells, collect(cells, name), name)]


def test_name_errors_are_followed_back_to_the_cell_that_failed_first():
    found = causes(
        "import math\nimport no_such_module as nn",
        "def unrelated(x=1 / 0):\n    return x",
        "act = nn.GELU()",
        "@act\ndef plus(a, b):\n    return a + b",
    )
    assert found == [
        ("cell 1, line 2", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("cell 3, line 1", "NameError: name 'nn' is not defined"),
        ("cell 4, line 1", "NameError: name 'act' is not defined"),
    ]


@pytest.mark.parametrize("line", ["import torch", "from torch import nn as torch", "import a, torch", "torch = 3"])
def test_a_cell_that_cannot_be_read_is_a_cause_as_well(line):
    found = causes(f"{line}\nimport = 3", "def plus(a, b=torch.ones(1)):\n    return a + b")
    assert found[0] == ("cell 1, line 2", "SyntaxError: invalid syntax")
    assert len(found) == 2


def test_names_that_miss_each_other_come_to_an_end():
    assert len(causes("a = b", "b = a", "def plus(x=a): ...")) == 3


def test_a_name_that_nothing_should_have_bound_has_no_cause():
    assert causes("import = 3", "x = 1", name="y") == []


def missing(name, *sources):
    cells = parsed(*sources)
    return explain_missing(FAILING, NameError(f"no {name}", name=name), cells, collect(cells, name)).notes


def test_a_name_missing_while_the_code_runs_is_explained():
    failed = "import no_such_module as nn"
    told = "nn is missing because `import no_such_module as nn` (cell 1, line 1) failed: ModuleNotFoundError: No module named 'no_such_module'."
    assert missing("nn", failed) == (told,)
    assert missing("nn", failed, "nn = 3") == ()
    assert missing("np", failed) == ()


def test_other_exceptions_are_not_explained():
    cells = parsed("import no_such_module as nn")
    for error in (None, ValueError("nn"), NameError("nn")):
        assert explain_missing(FAILING, error, cells, collect(cells, "nn")) is FAILING


OWN = "def norm(x): ...\ndef mask(x): return norm(x)\n"
USES = "class Attention:\n    def forward(self, x): return mask(x)\n"


def names_of(*sources, of=ATTENTION, earlier=(NORM, MASK)):
    return [helper.name for helper in helpers_of(parsed(*sources), of, earlier)]


def test_helpers_are_the_learners_own_earlier_exercises_that_the_code_uses():
    assert names_of(OWN, USES) == ["norm", "mask"]
    assert names_of(OWN, USES, of=MASK, earlier=[NORM]) == ["norm"]
    assert names_of(OWN, USES, of=NORM, earlier=[]) == []
    assert names_of(OWN, "class Attention:\n    def forward(self, mask): return mask\n") == []


def test_a_helper_that_is_the_librarys_is_none():
    assert names_of(OWN, "from library import norm", USES) == ["mask"]
    assert names_of(OWN, "from library import mask", USES) == []
    assert names_of("from library import norm, mask", OWN, USES) == ["norm", "mask"]


def test_a_method_that_is_an_exercise_of_its_own_is_a_helper_of_its_class():
    assert names_of("class Attention:\n    def mask(self): ...\ntest_mask(Attention.mask)\n") == ["mask"]
    assert names_of("class Attention: ...\ntest_mask(Attention)\n") == []


def test_helpers_that_fail_are_named_as_a_possible_cause():
    cells = parsed(OWN, USES)

    def told(**status):
        results = {f"7.2/{name}": spoken(f"7.2/{name}", one, "x") for name, one in status.items()}
        return mention_helpers(RAN, [NORM, MASK], results, cells).notes

    one = "Your {} is used here and does not pass its own test yet: it may be the cause."
    assert told(norm="failed", mask="passed") == (one.format("norm"),)
    assert told(norm="not_started", mask="timeout") == (one.format("mask"),)
    assert told(norm="error", mask="failed") == (
        "Your norm and mask are used here and do not pass their own tests yet: one of them may be the cause.",
    )
    assert told(norm="passed", mask="not_started") == ()


def test_a_mistake_is_named_only_once_the_helpers_pass():
    named = replace(RAN, diagnosis=Diagnosis(mistake="divides by d_head", why="by its root"))
    for status, mistake in (("failed", None), ("passed", "divides by d_head")):
        result = mention_helpers(named, [NORM], {NORM.id: spoken(NORM.id, status, "x")}, parsed(OWN))
        assert (result.diagnosis.mistake if result.diagnosis else None) == mistake
        assert result.hint_for == (NORM.id if status == "failed" else "")


def test_code_that_waits_for_another_exercise_gets_that_ones_hints():
    waiting = replace(FAILING, status="not_started", needs="norm.forward")
    assert point_to_unwritten(waiting, [MASK, NORM]).hint_for == NORM.id
    assert point_to_unwritten(waiting, [MASK]) is waiting
    assert point_to_unwritten(FAILING, [MASK, NORM]) is FAILING


def test_helpers_are_not_blamed_where_they_never_ran_or_the_cause_is_known():
    error, unfit = replace(FAILING, status="error"), Check(name="takes these arguments", passed=False)
    results = {NORM.id: spoken(NORM.id, "failed", "x")}

    def is_told(result):
        return any("is used here" in note for note in mention_helpers(result, [NORM], results, parsed(OWN)).notes)

    assert is_told(RAN)
    assert is_told(error)
    assert is_told(replace(FAILING, status="timeout"))
    assert not is_told(replace(FAILING, checks=(unfit,)))
    assert not is_told(with_note(error, "nn is missing"))
