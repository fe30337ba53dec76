"""The authors' gate over a section: what it says of exercises that hold and of those that don't."""

import importlib
import json
from pathlib import Path

import pytest

from arena_lib.course.authoring import verify_sections
from arena_lib.course.content.catalog import Catalog, load_catalog
from arena_lib.course.content.catalog_types import Cell, ExerciseEntry, Section
from arena_lib.course.judging.processes import Ending

HERE = Path(__file__).parents[1]

SLIPS = """\
from arena_lib.checking import Case, Mistake, exercise
from littlecourse import library

def no_cases(generator):
    return [1 / 0]

def cases(generator):
    return [Case(label="one", args=(1, 2))]

TWICE = [Mistake("adds twice", "a", "b", why="once is enough")]
test_plus = exercise(reference=library.plus, cases=cases, mistakes=TWICE)
test_scaler = exercise(reference=library.Scaler, cases=no_cases)
"""


def entry(name):
    return ExerciseEntry(
        id=f"7.3/{name}", name=name, title=name, difficulty=1, importance=1, minutes=1,
        reference="judged_course:plus", test=f"judged_course:test_{name}",
    )  # fmt: skip


@pytest.fixture(autouse=True)
def _path(monkeypatch):
    monkeypatch.syspath_prepend(HERE)


def test_a_record_has_the_keys_of_the_contract():
    record = verify_sections.verify_entry(entry("plus"))
    assert {"id", "reference", "accepts", "stub", "mistakes", "seconds"} <= set(record)
    assert (record["id"], record["reference"], record["stub"]) == ("7.3/plus", "passed", "not_started")
    assert {"name", "rejected", "named"} <= set(record["mistakes"][0])
    assert record["mistakes"][0]["rejected"]
    assert record["mistakes"][0]["named"]
    assert any("accepted solution" in problem for problem in record["problems"])


def test_the_stub_is_run_among_the_names_of_its_module():
    stub = verify_sections.make_stub_object(entry("plus"))
    with pytest.raises(NotImplementedError):
        stub(1, 2)


def test_two_runs_that_differ_are_a_problem():
    one = {
        "id": "x",
        "reference": "passed",
        "accepts": [],
        "stub": "not_started",
        "mistakes": [],
        "mutants": None,
        "problems": [],
        "holes": [],
        "seconds": 1,
    }
    assert verify_sections._merge(one, one | {"seconds": 2.0}) == one | {"seconds": 1.5, "holds": True}
    edited = one | {"mutants": {"tried": 3}, "holes": ["no case gives an end"]}
    for both in ((edited, one), (one, edited)):  # the edits are tried in one of the two
        merged = verify_sections._merge(*both)
        assert (merged["mutants"], merged["holes"], merged["holds"]) == ({"tried": 3}, edited["holes"], False)
    merged = verify_sections._merge(one, one | {"stub": "failed"})
    assert not merged["holds"]
    assert merged["problems"] == [
        "two runs with different hash seeds must agree: got stub 'not_started' and 'failed'. "
        "Sort what comes from a set, and draw from the generator alone."
    ]


@pytest.fixture
def little(course):
    # The engine needs cases; the chapter's own run doesn't need the engine.
    (course.chapters.parent / "tests" / "little" / "__init__.py").write_text("test_plus = test_scaler = print\n")
    return course


def test_an_exploratory_exercise_runs_its_solution(little):
    section = load_catalog([little]).sections[0]
    (record,) = verify_sections.verify_here(section, ["find_largest"])
    assert (record["id"], record["reference"], record["stub"], record["problems"]) == (
        "7.2/find_largest", "passed", "not_started", [],
    )  # fmt: skip


def test_an_exploratory_exercise_whose_solution_is_wrong_fails(little):
    chapter = next(little.chapters.glob("*/*.py"))
    chapter.write_text(chapter.read_text().replace("max(numbers)", "min(numbers)"))
    (record,) = verify_sections.verify_here(load_catalog([little]).sections[0], ["find_largest"])
    assert record["reference"] == "failed"
    assert "the largest of 3, 9 and 4 is 9" in record["problems"][0]


def test_a_chapter_begins_with_gradients_and_leaves_the_next_one_its_own(little):
    chapter = next(little.chapters.glob("*/*.py"))
    switched = "import math\nimport torch\nassert torch.is_grad_enabled()\ntorch.set_grad_enabled(False)\n"
    chapter.write_text(chapter.read_text().replace("import math\n", switched))
    for _ in range(2):
        (record,) = verify_sections.verify_here(load_catalog([little]).sections[0], ["find_largest"])
        assert record["problems"] == []


def test_a_chapter_that_does_not_run_is_a_problem_of_its_exploratory_exercises(little):
    chapter = next(little.chapters.glob("*/*.py"))
    chapter.write_text(chapter.read_text().replace("import math\n", "import no_such_module\n"))
    (record,) = verify_sections.verify_here(load_catalog([little]).sections[0], ["find_largest"])
    assert f"{chapter}:26: its solution must satisfy its cell: " in record["problems"][0]
    assert "a chapter must run with its solutions" in record["problems"][0]


def test_two_processes_verify_one_exercise_of_the_course_and_each_tells_of_it():
    told = []
    (record,) = verify_sections.verify_sections(["1.1"], ["causal_mask"], told.append)
    assert record["holds"], record["problems"]
    assert record["id"] == "1.1/causal_mask"
    assert told == ["1.1/causal_mask"] * 2


def test_a_process_that_crashes_costs_the_exercise_at_which_it_did(monkeypatch):
    """Of three exercises the second one ends its process; the third is verified by the next process."""
    calls = []

    def run_jobs(jobs, limits, n_parallel):
        for job in jobs:
            ids, _ = job.arguments
            calls.append((job.environment["PYTHONHASHSEED"], list(ids)))
            for exercise in ids:
                if exercise == "1.1/b":
                    yield job, Ending(-11)
                    break
                record = verify_sections._broken_record(entry_of[exercise], [])
                yield job, json.dumps(record)
            else:
                yield job, Ending(0)

    entries = [
        ExerciseEntry(
            id=f"1.1/{n}", name=n, title="", difficulty=1, importance=1, minutes=1, reference="m:f", test="m:t"
        )
        for n in "abc"
    ]
    entry_of = {e.id: e for e in entries}
    section = Section(
        id="1.1", slug="x", title="X", hours=1.0, path=Path("1.1_x.py"),
        cells=tuple(Cell(kind="exercise", source="", line=1, exercise=e) for e in entries),
    )  # fmt: skip
    monkeypatch.setattr(verify_sections, "load_catalog", lambda: Catalog((section,)))
    monkeypatch.setattr(verify_sections, "run_jobs", run_jobs)
    records = verify_sections.verify_sections(["1.1"])
    assert [(r["id"], r["holds"]) for r in records] == [("1.1/a", True), ("1.1/b", False), ("1.1/c", True)]
    (problem,) = records[1]["problems"]
    assert problem.startswith("a process that verifies must come to its end: it ended with exit code -11. Call the")
    assert [ids for seed, ids in calls if seed == "0"] == [["1.1/a", "1.1/b", "1.1/c"], ["1.1/c"]]


def test_an_authors_slip_is_a_problem_with_its_place_and_spares_the_others(little):
    """A substitution that matches three times, and a test's cases that raise."""
    tests = little.chapters.parent / "tests" / "little"
    (tests / "sums.py").write_text(SLIPS)
    (tests / "__init__.py").write_text("from .sums import test_plus, test_scaler\n")
    section = load_catalog([little]).sections[0]
    plus, scaler = verify_sections.verify_here(section, ["plus", "scaler"])
    assert plus["problems"] == [
        f"{tests / 'sums.py'}:10: the mistake 'adds twice': a mistake must match exactly once in plus: 'a' was found 3 times. "
        "Quote more of the line around it."
    ]
    assert scaler["problems"] == [f"{tests / 'sums.py'}:5: ZeroDivisionError: division by zero"]


def test_a_test_that_the_package_does_not_offer_when_it_is_imported_is_a_problem(little):
    tests = little.chapters.parent / "tests" / "little"
    (tests / "sums.py").write_text(SLIPS + "__all__ = ['test_scaler']\n")
    (tests / "__init__.py").write_text("from .sums import *\n")
    (plus,) = verify_sections.verify_here(load_catalog([little]).sections[0], ["plus"])
    (problem,) = plus["problems"]
    assert "learners must be able to call tests.test_plus: got no such name in littlecourse.tests.little. " in problem


def test_a_test_file_that_does_not_load_is_a_problem_with_its_line(little):
    tests = little.chapters.parent / "tests" / "little"
    (tests / "sums.py").write_text(SLIPS + "raised = 1 / 0\n")
    (tests / "__init__.py").write_text("test_plus = test_scaler = print\n")
    plus, *_ = verify_sections.verify_here(load_catalog([little]).sections[0], ["plus"])
    n_lines = SLIPS.count("\n") + 1
    assert plus["problems"] == [f"{tests / 'sums.py'}:{n_lines}: ZeroDivisionError: division by zero"]


@pytest.mark.parametrize(
    ("function", "keyword", "said"),
    [
        (
            "Case.__init__",
            "arg",
            ". Did you mean args=? Case takes label, args, kwargs, axes, given, call, raises, names.",
        ),
        ("Mistake.__init__", "reason", ". Mistake takes name, old, new, why, within, function, shows, raises."),
        ("exercise", "accept", ". Did you mean accepts=? exercise takes reference, cases, observe, "),
        ("other", "arg", ""),
    ],
)
def test_a_misspelled_keyword_is_said_with_the_likely_one(function, keyword, said):
    error = TypeError(f"{function}() got an unexpected keyword argument {keyword!r}")
    problem = verify_sections._likely_keyword(error)
    assert problem.startswith(said)
    assert bool(problem) is bool(said)


def test_cases_that_take_nothing_are_a_problem_of_the_file_of_tests(little):
    """The error is raised by our call, and must not be said of our file."""
    tests = little.chapters.parent / "tests" / "little"
    (tests / "sums.py").write_text(SLIPS.replace("def no_cases(generator)", "def no_cases()"))
    (tests / "__init__.py").write_text("from .sums import test_plus, test_scaler\n")
    (scaler,) = verify_sections.verify_here(load_catalog([little]).sections[0], ["scaler"])
    (problem,) = scaler["problems"]
    assert problem.startswith(f"{tests / 'sums.py'}: TypeError: no_cases() takes 0 positional arguments")


def test_cases_made_in_another_file_are_a_problem_since_a_change_of_them_would_leave_passes_standing(little):
    tests = little.chapters.parent / "tests" / "little"
    (tests / "calls.py").write_text(SLIPS.partition("TWICE")[0])
    imported = SLIPS.replace(
        SLIPS[SLIPS.index("def no_cases") : SLIPS.index("TWICE")], "from .calls import cases, no_cases\n"
    )
    (tests / "sums.py").write_text(imported)
    (tests / "__init__.py").write_text("from .sums import test_plus, test_scaler\n")
    (plus,) = verify_sections.verify_here(load_catalog([little]).sections[0], ["plus"])
    (problem,) = plus["problems"]
    line = next(n for n, text in enumerate(imported.splitlines(), start=1) if text.startswith("test_plus"))
    assert problem.startswith(
        f"{tests / 'sums.py'}:{line}: the cases of test_plus must be made in this file: got cases of "
    )


def test_the_seconds_of_an_exercise_leave_out_what_loads_the_engine(monkeypatch):
    calls = []
    load, clock = importlib.import_module, verify_sections.time.perf_counter
    monkeypatch.setattr(verify_sections.importlib, "import_module", lambda name: calls.append(name) or load(name))
    monkeypatch.setattr(verify_sections.time, "perf_counter", lambda: calls.append("clock") or clock())
    verify_sections._record_of(entry("nothing"), "judged_course", tries_edits=False)
    assert calls[0] == "arena_lib.checking.proofs.verifying"
    assert "clock" in calls
