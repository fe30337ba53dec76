"""`%load_ext arena_lib` in a real IPython: verdicts are recorded, and `%arena` answers."""

import inspect
import re

import pytest
from IPython.core.interactiveshell import InteractiveShell

from arena_lib.checking.reports import reporting
from arena_lib.course.content.catalog import load_catalog
from arena_lib.course.record.progress import ProgressStore
from arena_lib.course.workspace import start
from arena_lib.transformer import lesson

MASK = "1.1/causal_mask"
HINTS = load_catalog().exercise(MASK).hints
RIGHT = """
import torch
from arena_lib.tests import transformer_from_scratch as tests
def causal_mask(scores):
    return scores.masked_fill(torch.ones_like(scores, dtype=torch.bool).triu(DIAGONAL), -torch.inf)
tests.test_causal_mask(causal_mask)
"""


@pytest.fixture
def shell(tmp_path, monkeypatch):
    monkeypatch.setenv("ARENA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    shell = InteractiveShell()
    shell.history_manager.enabled = False
    shell.run_line_magic("load_ext", "arena_lib")
    yield shell
    shell.run_line_magic("unload_ext", "arena_lib")
    shell.history_manager.end_session()


def verdicts():
    return [(e.exercise, e.status, e.mistake) for e in ProgressStore().events() if e.kind == "verdict"]


def test_tests_called_in_the_kernel_are_recorded_under_their_id(shell):
    shell.run_cell(RIGHT.replace("DIAGONAL", "0"))
    shell.run_cell(RIGHT.replace("DIAGONAL", "1"))
    assert verdicts() == [(MASK, "failed", "hides the present too"), (MASK, "passed", None)]
    assert ProgressStore().events()[0].kind == "opened"


def test_the_reference_is_not_recorded(shell):
    shell.run_cell(
        "from arena_lib.transformer.lesson import causal_mask\nfrom arena_lib.tests import transformer_from_scratch as t\nt.test_causal_mask(causal_mask)"
    )
    assert verdicts() == []


def uncoloured(text):
    return re.sub(r"\x1b\[[\d;]*m", "", text)


STUB = """
def train_bpe(word_counts, n_merges):
    raise NotImplementedError
"""


def test_a_stub_that_later_cells_need_says_which_exercise_it_is_and_how_to_go_on(shell, capsys):
    shell.run_cell(STUB)
    done = shell.run_cell("merges = train_bpe({}, 3)")
    assert isinstance(done.error_in_exec, NotImplementedError)
    shown = " ".join(uncoloured(capsys.readouterr().out).split())
    assert "NotImplementedError: train_bpe isn't written yet: it is the exercise 1.1/train_bpe. " in shown
    import_line = "from arena_lib.transformer.tokens.bpe import train_bpe"
    assert f"Write it, or go on with the library's: {import_line}" in shown
    assert shell.run_cell(import_line).success


def test_other_exceptions_are_shown_as_they_are(shell, capsys):
    shell.run_cell("def mine():\n    raise NotImplementedError\nmine()")
    shell.run_cell("def train_bpe():\n    raise NotImplementedError('later')\ntrain_bpe()")
    shown = uncoloured(capsys.readouterr().out)
    assert "isn't written yet" not in shown
    assert "NotImplementedError: later" in shown


def test_a_stub_in_its_own_test_is_not_started_and_no_more(shell, capsys):
    shell.run_cell(
        f"from arena_lib.tests import transformer_from_scratch as tests\n{STUB}\ntests.test_train_bpe(train_bpe)"
    )
    assert "1.1/train_bpe is not started" in uncoloured(capsys.readouterr().out)


def test_unloading_ends_the_recording(shell):
    shell.run_line_magic("unload_ext", "arena_lib")
    assert reporting._courses == []
    assert "arena" not in shell.magics_manager.magics["line"]
    shell.run_line_magic("load_ext", "arena_lib")


def test_a_solution_is_compared_with_the_cell_that_ran_last(shell, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    start(load_catalog().section("1.1"), tmp_path)  # the stub, as it was saved
    for sign in ("0", "1"):
        shell.history_manager.store_inputs(shell.execution_count, RIGHT.replace("DIAGONAL", sign))
        shell.execution_count += 1
    shell.run_cell(RIGHT.replace("DIAGONAL", "1"))
    capsys.readouterr()
    shell.run_line_magic("arena", "solution causal_mask")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Compared with this notebook:"
    assert any(line.startswith("-") and ".triu(1)" in line for line in lines)
    assert not any("NotImplementedError" in line or ".triu(0)" in line for line in lines)


def test_a_failure_names_the_magic_for_hints(shell, capsys):
    shell.run_cell(RIGHT.replace("DIAGONAL", "0"))
    text = capsys.readouterr().out
    assert text.rstrip().endswith(f"For a hint: %arena hint {MASK}")
    assert text.count("hides the present too") == 1


ATTENTION = f"{inspect.getsource(lesson.Attention)}\ntests.test_attention(Attention)"
SETUP = "import einops, torch\nfrom torch import nn, Tensor\nfrom jaxtyping import Float\n" + (
    "from arena_lib.transformer.lesson import Config\nfrom arena_lib.tests import transformer_from_scratch as tests\n"
)


def run(shell, source, capsys):
    """What is shown of a cell that is run as a notebook runs it."""
    capsys.readouterr()
    shell.run_cell(source, store_history=True)
    return " ".join(uncoloured(capsys.readouterr().out).split())


def test_a_right_exercise_on_a_wrong_one_is_not_blamed(shell, capsys):
    run(shell, SETUP + "def causal_mask(scores):\n    return scores", capsys)
    shown = run(shell, ATTENTION, capsys)
    assert "Your causal_mask is used here and does not pass its own test yet: it may be the cause." in shown
    assert shown.endswith(f"For a hint: %arena hint {MASK}")
    assert "Looks like" not in shown
    run(shell, SETUP + "def causal_mask(scores):\n    return scores.nothing", capsys)
    shown = run(shell, ATTENTION, capsys)
    assert "has no attribute 'nothing'" in shown
    assert shown.endswith(f"it may be the cause. For a hint: %arena hint {MASK}")
    run(shell, RIGHT.replace("DIAGONAL", "1"), capsys)
    assert run(shell, ATTENTION, capsys).startswith("✓ 1.1/attention passed")


def test_an_exercise_that_needs_an_unwritten_one_offers_that_ones_hints(shell, capsys):
    run(shell, SETUP + "def causal_mask(scores):\n    raise NotImplementedError", capsys)
    assert run(shell, ATTENTION, capsys) == (
        "○ 1.1/attention can't run yet needs causal_mask, which isn't written yet: write that first "
        f"For a hint: %arena hint {MASK}"
    )


def test_a_cell_that_no_longer_defines_what_it_tests_is_told_so(shell, capsys):
    right = RIGHT.replace("DIAGONAL", "1")
    assert "earlier cell" not in run(shell, right, capsys)
    shown = run(shell, right.replace("def causal_mask(", "def causal_masks("), capsys)
    assert shown.endswith(
        "note This cell defines causal_masks, not causal_mask: the causal_mask of an earlier cell was judged."
    )
    assert "earlier cell" not in run(shell, "tests.test_causal_mask(causal_mask)", capsys)


def test_the_magic_answers(shell, capsys):
    def ask(line):
        capsys.readouterr()
        shell.run_line_magic("arena", line)
        return capsys.readouterr().out

    first = load_catalog().exercises[0]
    assert ask("next").startswith(f"{first.id}: {first.title}")
    assert f"{first.id}, hint 1 of 3" in ask("hint")
    shell.run_cell(RIGHT.replace("DIAGONAL", "0"))
    assert HINTS[0] in ask("hint")
    assert HINTS[1] in ask("hint")
    assert HINTS[2] in ask("hint causal_mask 3")
    assert "hints 1 to 3: got 4" in ask("hint causal_mask 4")
    assert ask("hint causal_mask 3").rstrip().endswith(f"give up: %arena solution {MASK} --give-up)")
    refused = ask("solution causal_mask")
    assert "You haven't passed" in refused
    assert f"For a hint: %arena hint {MASK}." in refused
    assert refused.rstrip().endswith(f"%arena solution {MASK} --give-up")
    assert ask("hint zzzz").rstrip().endswith("All of them: !arena list")
    assert "def causal_mask" in ask("solution causal_mask --give-up")
    assert "hides the present too" in ask("progress")
    assert "no exercise is called 'casual_mask'" in ask("hint casual_mask")
    for line in ("", "dance", "hint 'x", "solution", "hint a b c"):
        assert "%arena hint NAME [NUMBER]" in ask(line)


def test_a_command_of_the_shell_is_shown_as_one_writes_it(shell, capsys):
    for line in ("list", "check 1.1", "start 1.2 --format py"):
        capsys.readouterr()
        shell.run_line_magic("arena", line)
        assert capsys.readouterr().out == f"arena {line.split()[0]} is a command for the shell. Write: !arena {line}\n"


def test_alone_it_says_what_it_takes_in_lines(shell, capsys):
    shell.run_line_magic("arena", "")
    assert "\n%arena hint NAME [NUMBER] " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("hint layer_norm 7", "1.1/layer_norm has the hints 1 to 3: got 7. Choose one of them.\n"),
        ("hint layer_norm foo", "a hint's number must be a number: got 'foo'. Write: %arena hint layer_norm 1\n"),
    ],
)
def test_a_hint_that_is_not_there_is_told_with_those_that_are(shell, capsys, line, told):
    capsys.readouterr()
    shell.run_line_magic("arena", line)
    assert capsys.readouterr().out == told


def test_a_gap_in_a_cell_says_where_your_code_goes(shell, capsys):
    shown = run(shell, "# Your code here. Then delete the next line.\nraise NotImplementedError", capsys)
    assert shown.endswith(
        "NotImplementedError: this line stands in place of your code: write yours, then delete the line."
    )
