import pickle
import re
import subprocess
import sys
import traceback
from dataclasses import replace

import pytest

from arena_lib.checking.reports.messages import render_text, spoken
from arena_lib.checking.reports.reporting import FRAMES_AT_EACH_END, Course, print_result, use_course
from arena_lib.checking.results import Diagnosis, Result, Stop
from arena_lib.errors import CheckFailed

FAILED = Result(
    exercise="1.1/f",
    status="error",
    stop=Stop(raised="ValueError: [red] ü\nsee above"),
    diagnosis=Diagnosis(mistake="halves", why="it doubles"),
)
FAILED = replace(FAILED, message=render_text(FAILED))


@pytest.fixture
def recorded():
    results = []
    use_course(Course(record=results.append, identify=lambda name: name.replace("toy_exercises", "9.9")))
    yield results
    use_course(None)


def unstyled(text):
    return re.sub(r"\x1b\[[\d;]*m", "", text)


@pytest.mark.parametrize(
    "result",
    [
        FAILED,
        spoken("1.1/f", "timeout", f"it must end within 3 seconds{' and so on' * 20}.", seconds=3.0),
        Result(exercise="1.1/f", status="passed", message="✓  1.1/f  passed"),
    ],
)
def test_a_terminal_gets_the_same_words_with_weight_and_colour(in_terminal, result):
    text = in_terminal(print_result, result)
    assert text.startswith("\x1b[1;32m✓" if result.passed else "\x1b[1;31m✗")
    assert unstyled(text) == result.message + "\n"


def test_a_terminal_shows_the_diagnosis_in_bold_and_the_exception_as_it_is(in_terminal):
    lines = in_terminal(print_result, FAILED).splitlines()
    assert [unstyled(line) for line in lines[1:3]] == ["  raised   ValueError: [red] ü", "           see above"]
    assert lines[3] == "\x1b[1m  Looks like: halves\x1b[0m"


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_a_terminal_that_wants_plain_text_gets_it(in_terminal, monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    assert in_terminal(print_result, FAILED) == FAILED.message + "\n"


def test_what_is_no_terminal_gets_plain_text(capsys):
    print_result(FAILED)
    assert capsys.readouterr().out == FAILED.message + "\n"


def test_the_words_of_a_verdict_load_no_torch():
    code = "import sys, arena_lib.checking.reports.reporting; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_pass_prints_one_line(toy, capsys):
    toy.test_half_norm(lambda x, weight: 0.5 * weight * x + x.detach())
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1
    assert "half_norm" in lines[0]


def test_failure_raises_with_the_message_and_prints_nothing(toy, capsys):
    with pytest.raises(CheckFailed, match="does not halve") as caught:
        toy.test_half_norm(lambda x, weight: x * weight + x.detach())
    assert capsys.readouterr().out == ""
    assert caught.value.result.status == "failed"
    assert isinstance(caught.value, AssertionError)


def test_failure_survives_pickling(toy):
    with pytest.raises(CheckFailed) as caught:
        toy.test_half_norm(lambda x, weight: x)
    again = pickle.loads(pickle.dumps(caught.value))
    assert again.result == caught.value.result
    assert str(again) == str(caught.value)


def test_notebook_shows_the_message_in_place_of_a_traceback(toy):
    with pytest.raises(CheckFailed) as caught:
        toy.test_half_norm(lambda x, weight: x)
    assert caught.value._render_traceback_() == str(caught.value).splitlines()


class Kernel:
    """What a notebook's shell has, and what was displayed in it."""

    kernel = "runs"

    def __init__(self, monkeypatch):
        self.shown = []
        monkeypatch.setattr("IPython.get_ipython", lambda: self)
        monkeypatch.setattr("IPython.display.display", lambda data, raw: self.shown.append(data))


def test_a_notebook_shows_the_diagnosis_once(toy, monkeypatch):
    use_course(
        Course(record=lambda result: None, identify=str, reword=lambda text: text.replace("arena hint", "%arena hint"))
    )
    kernel = Kernel(monkeypatch)
    try:
        with pytest.raises(CheckFailed) as caught:
            toy.test_half_norm(lambda x, weight: x * weight + x.detach())
    finally:
        use_course(None)
    (data,) = kernel.shown
    assert data["text/plain"] == str(caught.value)
    assert "does not halve" in data["text/html"]
    for text in data.values():
        assert "For a hint: %arena hint toy_exercises/half_norm" in text
    assert caught.value._render_traceback_() == [f"{str(caught.value).splitlines()[0]}: see above"]
    assert "does not halve" not in caught.value._render_traceback_()[0]


def test_a_shell_without_a_kernel_draws_nothing(toy, monkeypatch):
    shell = Kernel(monkeypatch)
    monkeypatch.setattr(Kernel, "kernel", None)
    with pytest.raises(CheckFailed) as caught:
        toy.test_half_norm(lambda x, weight: x)
    assert shell.shown == []
    assert caught.value._render_traceback_() == str(caught.value).splitlines()


def test_exception_of_the_learner_goes_on_without_our_frames(toy):
    def mine(x, weight):
        return helper(x)

    def helper(x):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine") as caught:
        toy.test_half_norm(mine)
    frames = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert frames[-2:] == ["mine", "helper"]
    assert not {"judge", "_look", "_observe", "_call"} & set(frames)


def test_known_exception_gets_the_name_of_its_mistake(toy):
    from dataclasses import replace

    from arena_lib.checking import Mistake

    raising = Mistake("uses a missing name", "scaled / 2", "scaled / undefined", why="there is no such name")
    test = replace(toy.test_half_norm, mistakes=(raising,))
    with pytest.raises(NameError) as caught:
        test(lambda x, weight: x / undefined)  # noqa: F821
    assert "Looks like: uses a missing name. Remember: there is no such name." in caught.value.__notes__


@pytest.mark.parametrize("n_functions", [1, 2])
def test_endless_recursion_shows_both_ends_of_its_traceback(toy, n_functions):
    def mine(x, weight):
        return other(x, weight) if n_functions == 2 else mine(x, weight)

    def other(x, weight):
        return mine(x, weight)

    with pytest.raises(RecursionError) as caught:
        toy.test_half_norm(mine)
    frames = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert frames.count("mine") + frames.count("other") <= 2 * FRAMES_AT_EACH_END
    assert re.fullmatch(r"\d+ calls in the middle of this traceback are left out.", caught.value.__notes__[0])


def test_stub_raises_that_it_is_not_started(toy):
    def stub(x, weight):
        raise NotImplementedError

    with pytest.raises(CheckFailed, match="not started"):
        toy.test_half_norm(stub)


def test_course_records_under_the_id_of_the_exercise(toy, recorded, capsys):
    toy.test_half_norm(toy.half_norm_in_one_line)
    assert [result.exercise for result in recorded] == []
    toy.test_half_norm(lambda x, weight: 0.5 * weight * x + x.detach())
    assert [result.exercise for result in recorded] == ["9.9/half_norm"]
    assert "9.9/half_norm" in capsys.readouterr().out


def test_course_records_failures_and_errors_but_never_the_reference(toy, recorded):
    with pytest.raises(CheckFailed):
        toy.test_half_norm(lambda x, weight: x)
    with pytest.raises(ZeroDivisionError):
        toy.test_half_norm(lambda x, weight: 1 / 0)
    toy.test_half_norm(toy.half_norm)
    assert [result.status for result in recorded] == ["failed", "error"]


def test_line_survives_a_terminal_without_unicode(toy, monkeypatch):
    import io

    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii", write_through=True))
    toy.test_half_norm(toy.half_norm_in_one_line)
    assert b"half_norm" in raw.getvalue()


def test_further_arguments_of_other_notebooks_change_nothing(toy):
    toy.test_half_norm(toy.half_norm_in_one_line, "a cache", 3)


@pytest.mark.parametrize(("head", "is_told"), [('# arena: {"section": "7.2"}\n', True), ("", False)])
def test_a_sections_script_that_stops_is_told_of_the_command_that_judges_it_all(tmp_path, head, is_told):
    script = tmp_path / "mine.py"
    script.write_text(
        head
        + "from arena_lib.tests import transformer_from_scratch as tests\n"
        + "def causal_mask(scores):\n    raise NotImplementedError\n"
        + "tests.test_causal_mask(causal_mask)\n",
        encoding="utf-8",
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert (f"To judge every exercise of this file: arena check {script}" in done.stderr) == is_told
