"""`arena check`: verdicts, exit codes, JSON, what is recorded, and `--watch`."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from arena_lib.checking.reports.messages import spoken
from arena_lib.checking.results import Result
from arena_lib.cli.learning.check import _show_verdict
from arena_lib.course.content.catalog import load_catalog
from arena_lib.course.judging.judge_file import FileVerdict
from arena_lib.course.record.progress import ProgressStore

MASK = "1.1/causal_mask"


def test_a_right_solution_passes_and_is_recorded_once(arena, solved):
    for _ in range(2):
        done = arena("check", solved, "-e", "causal_mask")
        assert done.code == 0
        assert f"✓ {MASK} passed" in done.out
        assert "1 of 1 passed" in done.out
    (event,) = ProgressStore().events()
    assert (event.exercise, event.status) == (MASK, "passed")
    sections = arena("progress", "--json").json["sections"]
    assert {section["id"]: section["done"] for section in sections if section["done"]} == {"1.1": 1}


def test_a_mistake_is_named_and_the_code_is_1(arena, solved):
    solved.write_text(solved.read_text().replace("triu(1)", "triu(0)"))
    done = arena("check", solved, "--exercise", MASK, "--json")
    assert done.code == 1
    record = done.json
    assert set(record) == {"file", "section", "counts", "problems", "results"}
    (result,) = record["results"]
    assert result["diagnosis"]["mistake"] == "hides the present too"
    assert record["counts"] == {"passed": 0, "failed": 1, "error": 0, "not_started": 0, "timeout": 0}


def test_a_broken_cell_is_said_with_its_number_and_line(arena, solved):
    solved.write_text(solved.read_text() + "# %%\n\ndef embed(:\n    pass\n")
    done = arena("check", solved, "-e", "causal_mask", "-e", "embed")
    assert done.code == 1
    assert "mine.py:7 can't be read as Python: SyntaxError: invalid syntax, in `def embed(:`. " in done.out
    assert f"✓ {MASK} passed" in done.out
    assert "1.1/embed: the cell that defines embed can't" not in done.out  # the class would be called Embed


def test_a_syntax_error_in_the_only_exercise_is_said_first_and_once(arena, solved):
    solved.write_text(solved.read_text().replace("(scores):", "(scores:"))
    done = arena("check", solved, "-e", "causal_mask")
    assert done.code == 1
    assert done.out.splitlines() == [
        "✗ mine.py:3 can't be read as Python: SyntaxError: '(' was never closed, in `def causal_mask(scores:`. Until that "
        "is right, 1.1/causal_mask can't be judged.",
        "mine.py: 0 of 1 passed, 1 to fix, 0 not started.",
    ]
    record = arena("check", solved, "-e", "causal_mask", "--json").json
    assert "'(' was never closed" in record["results"][0]["message"]


def test_a_terminal_shows_verdicts_with_weight_and_colour(in_terminal):
    results = (
        spoken(MASK, "passed", "yes."),
        spoken("1.1/mlp", "timeout", "no."),
        Result(exercise="x", status="error"),
    )
    verdict = FileVerdict(path=Path("a.py"), results=results, problems=())
    lines = in_terminal(_show_verdict, verdict, load_catalog().section("1.1")).splitlines()
    assert lines[:2] == [f"\x1b[1;32m✓ {MASK}: yes.\x1b[0m", "\x1b[1;31m✗ 1.1/mlp: no.\x1b[0m"]


@pytest.mark.parametrize(
    ("statuses", "ending"),
    [
        (
            ["passed", "failed", "error"],
            ["a.ipynb: 1 of 41 passed, 2 to fix, 38 not started (2 more are to explore).", "Next: fix 1.1/1"],
        ),
        (["passed"], ["a.ipynb: 1 of 41 passed, 40 not started (2 more are to explore).", "Next: 1.1/1"]),
    ],
)
def test_the_last_lines_count_every_exercise_and_say_what_is_next(capsys, statuses, ending):
    section = load_catalog().section("1.1")
    n_tested = sum(entry.test is not None for entry in section.exercises)
    statuses += ["not_started"] * (n_tested - len(statuses))
    results = tuple(spoken(f"1.1/{i}", status, "so.") for i, status in enumerate(statuses))
    _show_verdict(FileVerdict(path=Path("a.ipynb"), results=results, problems=()), section)
    assert capsys.readouterr().out.splitlines()[-2:] == ending


def test_waiting_is_said_where_a_pipe_does_not_take_it_along(arena, solved):
    done = arena("check", solved, "-e", "causal_mask")
    assert done.err == "judging 1 exercise of mine.py ...\n"
    assert "judging" not in done.out
    assert arena("check", solved, "-e", "causal_mask", "--json").err == ""


def test_begun_code_that_cannot_run_is_told_of_in_a_line(arena):
    arena("start", "1.1", "--format", "py")
    (path,) = Path().glob("1.1_*.py")
    head, marker, rest = path.read_text().partition("def count_pairs(")
    rest = rest.replace("    raise NotImplementedError\n", "    raise NotImplementedError\n    return {}\n", 1)
    path.write_text((head + marker + rest).replace("def merge_pair(", "def merge_pairs("))
    lines = arena("check", "-e", "count_pairs", "-e", "merge_pair", "-e", "causal_mask").out.splitlines()
    assert lines == [
        "○ 1.1/count_pairs: begun; `raise NotImplementedError` is still in count_pairs.",
        "○ 1.1/merge_pair: the cell defines merge_pairs, not merge_pair.",
        f"{path}: 0 of 3 passed, 2 begun, 1 not started.",
    ]


def test_every_verdict_has_one_mark(arena, solved):
    helpers = "def helper():\n    raise NotImplementedError\n\ndef count_pairs(words):\n    return helper()\n"
    solved.write_text(solved.read_text() + helpers)
    done = arena("check", solved, "-e", "causal_mask", "-e", "count_pairs", "-e", "mlp")
    assert [line[:6] for line in done.out.splitlines() if "1.1/" in line[:6]] == ["○ 1.1/", "✓ 1.1/"]
    assert "needs    helper, which isn't written yet" in done.out
    assert "\x1b" not in done.out


def test_a_section_stands_for_its_file_in_this_folder(arena, home):
    done = arena("start", "1.1", "--format", "py")
    assert done.code == 0
    done = arena("check", "1.1", "-e", "causal_mask", "--json")
    assert done.code == 0
    assert Path(done.json["file"]).name == "1.1_transformer_from_scratch.py"
    assert done.json["counts"]["not_started"] == 1
    assert arena("check", "-e", "causal_mask", "--json").json["counts"] == done.json["counts"]
    assert [event.kind for event in ProgressStore().events()] == ["opened"]


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("gone.ipynb", None, "There is no file gone.ipynb"),
        ("a.ipynb", "{", "invalid JSON in line 1"),
        ("a.ipynb", "{}", "a notebook of format 4"),
        ("a.txt", "x", "must be a notebook (.ipynb) or a Python file (.py)"),
        ("a.py", "x = 1", "must define an exercise of the course: got none"),
        ("9.9", None, "no section is called '9.9'"),
        ("1.1", None, "Write it with: arena start 1.1"),
        ("transformer_from_scrach", None, "Did you mean 'transformer_from_scratch'"),
    ],
)
def test_bad_input_is_a_wrong_use_and_says_what_to_do(arena, home, name, content, told):
    if content is not None:
        Path(name).write_text(content)
    done = arena("check", name)
    assert done.code == 2
    assert told in done.err
    assert "Traceback" not in done.err


def test_an_empty_folder_is_a_wrong_use(arena):
    done = arena("check")
    assert done.code == 2
    assert "arena start 1.1" in done.err


def test_an_unknown_device_is_a_wrong_use_and_a_missing_one_the_machines(arena, solved, monkeypatch):
    done = arena("check", solved, "--device", "abacus", "--json")
    assert done.code == 2
    assert "a device must be one of auto, cpu" in done.json["error"]
    monkeypatch.setattr("arena_lib.core.device._is_here", lambda kind, index: False)
    done = arena("check", solved, "--device", "cuda", "--json")
    assert (done.code, done.json["kind"]) == (3, "MissingDeviceError")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("1.2/fold_norm", "must be one of section 1.1, which"),
        ("attention_patterns", "got 1.1/attention_patterns, which its own cell judges. Run that cell in the notebook."),
        ("nothing_like_it", "no exercise is called"),
    ],
)
def test_an_exercise_that_cannot_be_judged_is_a_wrong_use(arena, solved, name, told):
    done = arena("check", solved, "-e", name)
    assert (done.code, done.out) == (2, "")
    assert told in done.err


def test_errors_are_json_too(arena):
    done = arena("check", "9.9", "--json")
    assert done.code == 2
    assert done.json == {"error": done.json["error"], "kind": "UnknownNameError"}


def test_an_unwritable_home_costs_a_warning_and_no_verdict(arena, solved, home):
    home.write_text("a file, where a folder should be")
    with pytest.warns(UserWarning, match="set ARENA_HOME"):
        done = arena("check", solved, "-e", "causal_mask")
    assert done.code == 0
    assert "1 of 1 passed" in done.out


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_watching_judges_at_every_save_until_stopped(solved):
    command = [sys.executable, "-m", "arena_lib", "check", str(solved), "-e", "causal_mask", "--watch", "--json"]
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, preexec_fn=take_interrupts)
    try:
        assert read_json(process)["counts"]["passed"] == 1
        time.sleep(0.5)
        solved.write_text(solved.read_text().replace("triu(1)", "triu(2)"))
        assert read_json(process)["counts"]["failed"] == 1
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 130
    finally:
        process.kill()
        process.communicate()


def take_interrupts():
    """Undoes what a shell does to jobs in the background: they and their children ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def read_json(process):
    text = ""
    while True:
        line = process.stdout.readline()
        assert line, "it ended"
        text += line
        if line == "}\n":
            return json.loads(text)
