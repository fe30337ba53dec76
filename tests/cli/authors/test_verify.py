"""`arena verify`: what authors see of their exercises."""

import io
import sys

import pytest

from arena_lib.cli.authors.verify import _show_records, verify
from arena_lib.course.content.catalog import load_catalog
from arena_lib.course.executing import Execution

GOOD = {
    "id": "7.3/plus", "reference": "passed", "accepts": ["passed"], "stub": "not_started", "seconds": 0.5,
    "mistakes": [{"name": "subtracts", "rejected": True, "named": True}], "problems": [], "holes": [], "holds": True,
    "mutants": {"n_tried": 9, "n_rejected": 7, "n_equivalent": 1, "survivors": ["a -> b"]},
}  # fmt: skip
BAD = GOOD | {"id": "7.3/times", "problems": ["the stub must be not_started: got failed"], "holds": False}


def test_each_exercise_is_a_row_and_each_problem_a_line(capsys):
    _show_records([GOOD, BAD])
    assert capsys.readouterr().out.splitlines() == [
        "   exercise   reference  accepts  stub         mistakes   edits  seconds",
        "✓  7.3/plus   passed     1/1      not_started  1/1 named  7/8    0.50",
        "✗  7.3/times  passed     1/1      not_started  1/1 named  7/8    0.50",
        "7.3/times: the stub must be not_started: got failed",
        "Edits that the tests accept; add a case, or declare the edit equivalent:",
        "    7.3/plus: a -> b",
        "    7.3/times: a -> b",
        "1 of 2 exercises hold, with 2 mistakes between them; 87.5% of the references' edits are rejected.",
    ]


def test_a_terminal_shows_rows_with_weight_and_colour(in_terminal):
    lines = in_terminal(_show_records, [GOOD, BAD]).splitlines()
    assert lines[1].startswith("\x1b[1;32m✓  7.3/plus")
    assert lines[2].startswith("\x1b[1;31m✗  7.3/times")


@pytest.mark.parametrize(("is_terminal", "as_json"), [(True, False), (True, True), (False, False)])
def test_progress_is_shown_in_a_terminal_and_nowhere_else(monkeypatch, capsys, is_terminal, as_json):
    def verify_sections(sections, names, on_record):
        for _ in range(2 if on_record else 0):
            on_record("1.1/causal_mask")
        return [GOOD]

    class Terminal(io.StringIO):
        def isatty(self):
            return is_terminal

    monkeypatch.delenv("ARENA_QUIET", raising=False)
    monkeypatch.setattr("arena_lib.course.authoring.verify_sections.verify_sections", verify_sections)
    monkeypatch.setattr(sys, "stderr", Terminal())
    verify.callback("1.1/causal_mask", notebook=False, table=None, messages=None, as_json=as_json)
    told = sys.stderr.getvalue()
    assert ("2/2" in told and "1.1/causal_mask" in told) is (is_terminal and not as_json)
    assert (told == "") is not (is_terminal and not as_json)


def test_a_file_in_a_folder_that_is_not_there_is_refused_before_the_work(arena, monkeypatch, tmp_path):
    def verify_sections(*_):
        raise AssertionError("it must not begin")

    monkeypatch.setattr("arena_lib.course.authoring.verify_sections.verify_sections", verify_sections)
    result = arena("verify", "1.1/causal_mask", "--messages", tmp_path / "nowhere" / "messages.txt")
    assert result.code == 2
    assert "must exist: it doesn't. Make it first." in " ".join(result.err.split())


def test_a_table_says_the_command_that_wrote_it(arena, monkeypatch, tmp_path):
    monkeypatch.setattr(
        "arena_lib.course.authoring.verify_sections.verify_sections", lambda *_: [GOOD | {"id": "1.1/causal_mask"}]
    )
    table = tmp_path / "edits.md"
    assert arena("verify", "1.1/causal_mask", "--table", table).code == 0
    assert f"Written by `arena verify 1.1/causal_mask --table {table}`. Every" in table.read_text()


def test_a_share_of_edits_is_said_only_where_some_were_tried(capsys):
    _show_records([BAD | {"mutants": None}])
    assert capsys.readouterr().out.splitlines()[-1] == "0 of 1 exercises hold, with 1 mistake between them."


@pytest.fixture
def verified(monkeypatch):
    """Lets the exercises hold; gives the ids of the sections that were asked for."""
    asked = []

    def verify_sections(sections, names, on_record):
        asked.extend(sections)
        return [GOOD]

    monkeypatch.setattr("arena_lib.course.authoring.verify_sections.verify_sections", verify_sections)
    return asked


def test_a_whole_course_is_verified_in_one_call_and_enough_of_its_edits_must_be_rejected(arena, verified, monkeypatch):
    result = arena("verify", "arena")
    sections = [section.id for section in load_catalog().sections]
    assert verified == sections
    assert result.code == 1
    assert "over a course, 97% of the references' edits must be rejected: 87.5% are." in result.err
    assert arena("verify", "1.2").code == 0
    assert verified == [*sections, "1.2"]
    nothing = arena("verify", "arema")
    assert (nothing.code, "no section is called 'arema'" in nothing.err) == (2, True)


@pytest.mark.parametrize("problem", [None, "in the cell code-1 ('np.zeros(2)'): NameError: name 'np' is not defined"])
def test_on_request_each_sections_solution_notebook_must_run(arena, verified, monkeypatch, problem):
    def execute(section, *, scale, limit, output):
        assert (section.id, scale) == ("1.1", "tiny")
        return Execution(section=section, seconds=2.5, problem=problem, files=())

    monkeypatch.setattr("arena_lib.course.executing.execute", execute)
    result = arena("verify", "1.1/causal_mask", "--notebook")
    words = f"fails {problem}" if problem else "runs from top to bottom"
    assert f"1.1: its solution notebook {words} (2.5 s)." in result.out
    assert result.code == bool(problem)
    document = arena("verify", "1.1", "--notebook", "--json").json
    assert document["notebooks"] == [{"section": "1.1", "seconds": 2.5, "problem": problem}]


def test_what_a_removed_exercise_left_behind_is_said_and_fails_nothing(arena, verified, monkeypatch):
    monkeypatch.setattr(
        "arena_lib.course.authoring.left_behind.tests_left_behind", lambda section: [f"of {section.id}"]
    )
    result = arena("verify", "1.1")
    assert (result.code, result.err.strip()) == (0, "left behind: of 1.1")
    assert arena("verify", "1.1", "--json").json["left_behind"] == ["of 1.1"]
    assert arena("verify", "1.1/causal_mask").err == ""


def test_what_is_wrong_with_the_chapter_fails_and_what_is_only_odd_does_not(arena, verified, monkeypatch):
    module = "arena_lib.course.authoring.chapter_problems"
    monkeypatch.setattr(f"{module}.chapter_remarks", lambda section: ["its words are the template's"])
    result = arena("verify", "1.1/causal_mask")
    assert (result.code, result.err.strip()) == (0, "remark: its words are the template's")
    monkeypatch.setattr(f"{module}.chapter_problems", lambda section: ["1.1.py:7: a picture must be there"])
    result = arena("verify", "1.1/causal_mask")
    assert (result.code, "1.1: 1.1.py:7: a picture must be there\n" in result.out) == (1, True)
    (chapter,) = arena("verify", "1.1", "--json").json["chapters"]
    assert chapter == {
        "section": "1.1",
        "problems": ["1.1.py:7: a picture must be there"],
        "remarks": ["its words are the template's"],
    }


def test_edits_that_pass_are_no_failure_unless_there_are_too_many(capsys):
    _show_records([GOOD | {"holes": ["85% must be rejected"], "holds": False, "remarks": ["all are shapes"]}])
    shown = capsys.readouterr()
    assert "Edits that the tests accept; add a case, or declare the edit equivalent:" in shown.out
    assert shown.err == "remark: 7.3/plus: all are shapes\n"
