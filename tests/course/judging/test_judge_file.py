"""Judging files in fresh processes: whatever a learner's code does costs its own exercise only."""

import json
import sys
import time
from pathlib import Path

import pytest

from arena_lib.course.content.catalog_types import Cell, ExerciseEntry, Section
from arena_lib.course.judging.judge_file import judge_file
from arena_lib.errors import WorkspaceError

HERE = Path(__file__).parents[1]
GOOD = "def times(a, b):\n    return a * b\n"


def entry(name, reference):
    return ExerciseEntry(
        id=f"7.3/{name}", name=name, title=name, difficulty=1, importance=1, minutes=1,
        reference=f"judged_course:{reference}", test=f"judged_course:test_{name}",
    )  # fmt: skip


EXERCISES = (entry("plus", "plus"), entry("times", "times"), entry("more", "plus"))
SECTION = Section(
    id="7.3", slug="judged", title="Judged", hours=1.0, path=Path("7_x/7.3_judged.py"),
    cells=tuple(Cell(kind="exercise", source="", line=1, exercise=e) for e in EXERCISES),
)  # fmt: skip


@pytest.fixture
def judge(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(HERE)

    def judge(*cells, limit=20.0, **options):
        path = tmp_path / "7.3_judged.ipynb"
        records = [{"cell_type": "code", "source": source} for source in cells]
        path.write_text(json.dumps({"cells": records, "metadata": {}}))
        verdict = judge_file(path, SECTION, limit=limit, **options)
        return verdict, {result.exercise.removeprefix("7.3/"): result for result in verdict.results}

    return judge


def test_each_exercise_gets_its_verdict_in_the_order_of_the_section(judge):
    verdict, found = judge("def plus(a, b):\n    return a - b", GOOD)
    assert [r.exercise for r in verdict.results] == ["7.3/plus", "7.3/times", "7.3/more"]
    assert found["plus"].status == "failed"
    assert found["plus"].diagnosis.mistake == "subtracts"
    assert found["times"].passed
    assert found["more"].status == "failed"
    assert all(r.source_hash and r.test_hash for r in verdict.results)


def test_a_stub_and_what_is_only_imported_are_not_started(judge):
    _, found = judge("def plus(a, b):\n    raise NotImplementedError", "from judged_course import times")
    assert found["plus"].status == "not_started"
    assert (found["times"].status, found["times"].is_reference) == ("not_started", False)


@pytest.mark.parametrize("needed", ["@absent\ndef half(:\n    return 1", "def half(a):\n    return 1 / 0"])
def test_a_stub_is_not_started_although_what_it_needs_fails(judge, needed):
    times = "@half\ndef times(a, b):\n    raise NotImplementedError"
    _, found = judge(needed, times, only=["7.3/times"])
    assert found["times"].status == "not_started"
    assert "times is not started" in found["times"].message
    _, found = judge(needed, times.replace("raise", "1; raise"), only=["7.3/times"])
    assert found["times"].status == "error"


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        ("while True: pass", "timeout", "within its time limit (4 s)"),
        ("import os; os._exit(3)", "error", "exit code 3"),
        ("import os; os._exit(0)", "error", "exit code 0"),
        ("import sys; sys.exit(5)", "error", "SystemExit: 5"),
        ("import ctypes; ctypes.string_at(0)", "error", "SIGSEGV"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "error", "SIGKILL"),
        ("raise KeyboardInterrupt", "error", "KeyboardInterrupt"),
        ("raise RuntimeError('no')", "error", "RuntimeError: no"),
        ("input()", "error", "EOFError"),
        ("return plus(a, b)", "error", "RecursionError"),
        ("import os; os.kill(os.getppid(), 9); return a + b", "error", "it killed the process that started it"),
        ("import os; os.kill(0, 9)", "error", "SIGKILL"),
        ("held = bytearray(2**40); return a + b", "error", "no more memory than this"),
        ("import torch; torch.ones(2**38); return a + b", "error", "no more memory than this"),
        ("held = []\n    while True: held.append('x' * 10**8)", "error", "no more memory than this"),
        ("print('x' * 10**8); import sys; sys.stderr.write('y' * 10**7); return a + b", "passed", ""),
        ("import subprocess; subprocess.Popen(['sleep', '600']); return a + b", "passed", ""),
    ],
)
def test_what_a_learners_code_does_costs_its_own_exercise_only(judge, body, status, told):
    started = time.monotonic()
    limit = 4.0 if status == "timeout" else 20.0  # a busy machine may take its time
    _, found = judge(f"def plus(a, b):\n    {body}", GOOD, limit=limit, memory=0.5, only=["7.3/plus", "7.3/times"])
    assert found["plus"].status == status
    assert told in found["plus"].message
    assert found["times"].passed
    assert time.monotonic() - started < 30


@pytest.mark.parametrize(("ends", "status"), [("while True: pass", "timeout"), ("import os; os._exit(3)", "error")])
def test_a_call_that_never_returns_is_said_with_its_case_and_a_hint(judge, ends, status):
    _, found = judge(f"def plus(a, b):\n    {ends}", limit=4.0 if status == "timeout" else 20.0, only=["7.3/plus"])
    assert found["plus"].status == status
    if status == "timeout":
        assert found["plus"].notes[-1].endswith("7.3_judged.ipynb --timeout 300")
    assert found["plus"].call.startswith("plus(a=tensor(")
    assert found["plus"].case == "two"
    assert "For a hint: arena hint 7.3/plus" in found["plus"].message


def test_what_a_learners_code_prints_is_shown(judge):
    _, found = judge("def plus(a, b):\n    print('seen', len(a))\n    return a - b", only=["7.3/plus"])
    assert "  printed  seen 3\n" in found["plus"].message


def test_a_broken_cell_is_an_error_of_its_exercise_with_cell_and_line(judge):
    verdict, found = judge("x = 1", "def plus(a, b):\n    return a +", GOOD)
    assert found["plus"].status == "error"
    assert "cell 2, line 2" in found["plus"].message
    assert found["times"].passed
    assert [(p.cell, p.line) for p in verdict.problems] == [(2, 2)]


def test_a_definition_that_fails_says_why(judge):
    _, found = judge("raised = 1 / 0\n@raised\ndef plus(a, b):\n    return a + b", only=["7.3/plus"])
    assert found["plus"].status == "error"
    assert (
        "What went wrong: ZeroDivisionError: division by zero in `raised = 1 / 0` (cell 1, line 1), then NameError"
        in found["plus"].message
    )


def test_a_name_that_an_import_should_have_brought_leads_to_its_cell(judge):
    _, found = judge(
        "import no_such_module as nn", "def plus(a, b):\n    return nn.add(a, b)", "class T(nn.Module): ...", GOOD
    )
    told = "nn is missing because `import no_such_module as nn` (cell 1, line 1) failed: ModuleNotFoundError: No module named 'no_such_module'."
    assert found["plus"].status == "error"
    assert found["plus"].notes == (told,)
    message = " ".join(found["plus"].message.split())
    assert told in message
    assert "in plus: return nn.add(a, b) raised NameError: name 'nn' is not defined note" in message
    assert found["times"].passed


@pytest.mark.parametrize("only", [None, ["7.3/times"]])
def test_a_helper_that_fails_its_own_test_is_named_as_a_possible_cause(judge, only):
    uses = "def times(a, b):\n    return plus(a, b) * b"
    told = ("Your plus is used here and does not pass its own test yet: it may be the cause.",)
    _, found = judge("def plus(a, b):\n    return a - b", uses, only=only)
    assert (found["times"].status, found["times"].notes) == ("failed", told)
    assert set(found) == ({"times"} if only else {"plus", "times", "more"})
    _, found = judge("def plus(a, b):\n    return a + b", uses, only=only)
    assert (found["times"].status, found["times"].notes) == ("failed", ())


def test_what_is_handed_to_the_test_is_judged(judge):
    _, found = judge(
        "class Sums:\n    @staticmethod\n    def add(a, b):\n        return a + b",
        "tests.test_plus(Sums.add)",
        only=["7.3/plus"],
    )
    assert found["plus"].passed


def test_a_scripts_neighbours_can_be_imported(judge, tmp_path):
    (tmp_path / "neighbour.py").write_text("OFFSET = 0.0\n")
    _, found = judge("from neighbour import OFFSET\ndef plus(a, b):\n    return a + b + OFFSET", only=["7.3/plus"])
    assert found["plus"].passed


def test_a_learners_code_sees_one_job_each(judge):
    """A global that one exercise changes is as it was for the next."""
    _, found = judge(
        "import torch\ndef plus(a, b):\n    torch.add = None\n    return a + b\ndef times(a, b):\n    return torch.mul(a, b) + 0 * torch.add(a, b)"
    )
    assert found["plus"].passed
    assert found["times"].passed


def test_the_limit_on_memory_can_be_set(judge):
    uses = "import torch\ndef plus(a, b):\n    held = torch.ones(2**28)\n    return a + b"
    assert judge(uses, only=["7.3/plus"])[1]["plus"].passed
    assert judge(uses, only=["7.3/plus"], memory=0.5)[1]["plus"].status == "error"


def test_a_missing_file_is_said(tmp_path):
    with pytest.raises(WorkspaceError, match="There is no file"):
        judge_file(tmp_path / "a.ipynb", SECTION)
