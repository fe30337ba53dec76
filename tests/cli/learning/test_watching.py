"""`arena check --watch`: no save is missed; in a terminal keys, a bar, and on to the next exercise."""

import itertools
import os
import re
import subprocess
import sys

import pytest

from arena_lib.checking.reports.messages import spoken
from arena_lib.cli.learning import watching
from arena_lib.cli.learning.check import _show_results
from arena_lib.cli.learning.watch_session import WatchSession
from arena_lib.course.content.catalog import load_catalog
from arena_lib.course.judging import judge_file
from arena_lib.course.judging.judge_file import FileVerdict

NAMES = ("causal_mask", "attention", "mlp")


@pytest.mark.parametrize("n_saves", [1, 3])
def test_a_save_while_it_judges_is_judged_next(arena, solved, monkeypatch, n_saves):
    texts = []

    def judge_and_save(path, section, **limits):
        texts.append(path.read_text())
        if len(texts) <= n_saves:
            path.write_text(texts[-1] + "# saved while it judges\n")
        return FileVerdict(path=path, results=(), problems=())

    def wait(seconds):
        raise KeyboardInterrupt  # nothing is left to be judged

    monkeypatch.setattr(judge_file, "judge_file", judge_and_save)
    monkeypatch.setattr("arena_lib.cli.learning.check.wait_without_keys", wait)
    assert arena("check", solved, "--watch").code == 130
    assert len(texts) == n_saves + 1
    assert texts[-1] == solved.read_text()


def test_a_file_that_is_gone_is_waited_for(tmp_path):
    file = tmp_path / "a.py"
    waits = iter(range(3))

    def wait(seconds):
        if next(waits) == 2:
            file.write_text("x")
        return ""

    assert watching.wait_for_save(file, (1, 1), wait) == watching.SAVED


class Terminal:
    """A learner who saves, presses keys, and whose exercises pass one by one."""

    def __init__(self, path, passing=()):
        entries = [load_catalog().exercise(f"1.1/{name}") for name in NAMES]
        self.passing, self.judged, self.path, self.n_looks = set(passing), [], path, 0
        path.write_text("")
        self.session = WatchSession(path, entries, self.judge, _show_results, more=" (2 more are to explore)")

    def judge(self, ids, *, on_result, while_waiting):
        self.judged.append([name.partition("/")[2] for name in ids])
        for _ in range(self.n_looks):
            while_waiting()
        statuses = {name: "passed" if name.partition("/")[2] in self.passing else "failed" for name in sorted(ids)}
        results = tuple(spoken(name, status, f"{status}.") for name, status in statuses.items())
        return FileVerdict(path=self.path, results=results, problems=())

    def run(self, *events):
        """Each event is a key, a set of names that pass from this save on, or a list with the text that is saved."""
        remaining = [*events, "q"]

        def wait(seconds):
            event = remaining.pop(0)
            if isinstance(event, str):
                return event
            if isinstance(event, list):
                self.path.write_text(event[0])
                return ""
            self.passing |= event
            self.path.write_text(self.path.read_text() + "#")
            return ""

        self.session.run(wait)


@pytest.fixture
def terminal(home, tmp_path):
    return Terminal(tmp_path / "mine.py")


def test_it_moves_on_by_itself_once_an_exercise_passes(terminal, capsys):
    terminal.run(set(), {"causal_mask"}, {"attention", "mlp"})
    names = ["causal_mask", "causal_mask", "attention", "attention", "mlp"]
    assert terminal.judged == [list(NAMES), *([name] for name in names)]
    shown = capsys.readouterr().out
    assert "[------------------------------] 0 of 3 passed (2 more are to explore): now 1.1/causal_mask" in shown
    assert "[##########--------------------] 1 of 3 passed (2 more are to explore): now 1.1/attention" in shown
    assert (
        "[##############################] 3 of 3 passed (2 more are to explore): everything passes  (h hint, n next, l list, q quit)"
        in shown
    )
    assert terminal.session.is_well


def test_after_the_last_one_a_save_is_judged_whole(terminal):
    terminal.passing = set(NAMES)
    terminal.run(set())
    assert terminal.judged == [list(NAMES), list(NAMES)]


def test_n_goes_to_the_next_one_that_fails_and_around(terminal, capsys):
    terminal.passing = {"attention"}
    terminal.run("n", "n")
    places = [line.split("now ")[1].split(",")[0] for line in capsys.readouterr().out.splitlines() if "now " in line]
    assert places == ["1.1/causal_mask", "1.1/mlp", "1.1/causal_mask"]
    assert not terminal.session.is_well


def test_h_hints_at_the_exercise_and_l_lists_all(terminal, capsys):
    terminal.passing = {"causal_mask"}
    terminal.run("h", "h", "l", "x")
    shown = capsys.readouterr().out
    assert "1.1/attention, hint 1 of 3" in shown
    assert "1.1/attention, hint 2 of 3" in shown
    rows = [line.split()[:2] for line in shown.splitlines() if line.startswith("  ")]
    assert rows == [["✓", "1.1/causal_mask"], ["✗", "1.1/attention"], ["✗", "1.1/mlp"]]


def test_keys_are_heeded_while_it_judges_and_q_ends_it(terminal, capsys):
    terminal.n_looks = 3
    terminal.run("x", "h")
    shown = capsys.readouterr().out
    assert "'x' is no key here: h hint, n next, l list, q quit" in shown
    assert "1.1/causal_mask, hint 1 of 3" in shown
    assert terminal.judged == [list(NAMES)]
    assert "passed" not in shown  # it was ended before any verdict


def test_a_save_is_said_at_once_and_the_exercise_that_is_worked_on_comes_first(terminal, capsys):
    terminal.run("n", set(), {"attention", "mlp"})
    assert re.search(r"^\d\d:\d\d:\d\d saved, judging 1.1/attention \.\.\.$", capsys.readouterr().out, re.MULTILINE)
    terminal.session._current = terminal.session.entries[2]
    terminal.session._look([f"1.1/{name}" for name in NAMES], lambda seconds: "")
    assert terminal.judged[-1] == ["mlp", "causal_mask", "attention"]


MASK = "def causal_mask(scores):\n    return 1\n"
ATTENTION = "def shift(x):\n    return x\n\n\nclass Attention:\n    def forward(self, x):\n        return causal_mask(shift(x))\n"
TWO = MASK + "\n\n" + ATTENTION


def test_whatever_was_edited_is_judged_with_what_uses_it_and_becomes_what_is_worked_on(terminal, capsys):
    terminal.path.write_text(TWO)
    terminal.passing = {"causal_mask"}
    terminal.run([TWO.replace("return x", "return 2 * x")], [TWO], [TWO.replace("return 1", "return 2")])
    # shift is no exercise, and attention uses it; causal_mask then passes, so attention is worked on again.
    assert terminal.judged == [list(NAMES), ["attention"], ["attention"], ["causal_mask", "attention"]]
    assert "now 1.1/attention" in capsys.readouterr().out.splitlines()[-1]


def test_an_edit_that_breaks_what_had_passed_is_seen_and_counted(terminal, capsys):
    terminal.path.write_text(TWO)
    terminal.passing = {"causal_mask"}
    terminal.run(set(), [TWO + "#"])
    assert "1 of 3 passed" in capsys.readouterr().out.splitlines()[-1]
    terminal.passing.clear()
    terminal.run([TWO.replace("return 1", "return 2")])
    shown = capsys.readouterr().out.splitlines()
    assert "✗ 1.1/causal_mask: failed." in shown
    assert "0 of 3 passed" in shown[-1]
    assert "now 1.1/causal_mask" in shown[-1]


@pytest.mark.parametrize("keys", [[], ["n"], ["n", "n"]])
def test_a_save_while_something_hangs_ends_that_and_is_judged(terminal, keys, capsys):
    terminal.path.write_text(TWO)
    terminal.n_looks = 10
    first, second = (TWO.replace("return 1", f"return {number}") for number in (2, 3))
    terminal.run(*[""] * 10, [first], *keys, [second], *[""] * 10)
    assert terminal.judged[1][0] == "causal_mask"  # it is ended by the second save
    assert "causal_mask" in terminal.judged[2]  # whatever the keys have moved on to
    assert len(terminal.judged) == 3
    assert capsys.readouterr().out.count(" saved, judging ") == 2


def test_without_keys_a_save_ends_what_hangs_too(arena, solved, monkeypatch):
    texts = []

    def hang_once(path, section, *, meanwhile, **limits):
        texts.append(path.read_text())
        if len(texts) == 1:
            path.write_text(texts[-1] + "# saved while it hangs\n")
            while True:
                meanwhile.while_waiting()
        raise KeyboardInterrupt

    monkeypatch.setattr(judge_file, "judge_file", hang_once)
    assert arena("check", solved, "--watch").code == 130
    assert texts[1] == solved.read_text()


def test_an_arrow_is_one_key_and_a_large_q_a_small_one(terminal, capsys):
    assert watching.split_keys("\x1b[A\x1bOBQ\n\x1b") == ["\x1b[A", "\x1bOB", "q", "\n", "\x1b"]
    terminal.run("\x1b[A")
    assert "that is no key here: h hint, n next, l list, q quit" in capsys.readouterr().out


def test_a_file_that_is_half_written_is_waited_for(tmp_path, monkeypatch):
    file = tmp_path / "a.py"
    file.write_text("old")
    stamp, writes = watching.take_stamp(file), iter(["", "ne", "new t", "new text"])

    def write_more(seconds):
        for text in itertools.islice(writes, 1):
            file.write_text(text)
        return ""

    monkeypatch.setattr(watching.time, "sleep", write_more)

    assert watching.wait_for_save(file, stamp, write_more) == watching.SAVED
    assert file.read_text() == "new text"


def press(key, code, answer):
    """Run `code` in a terminal of its own, press the key once it has said "ready", and wait for its answer and its end."""
    pty = pytest.importorskip("pty")
    leader, follower = pty.openpty()
    process = subprocess.Popen([sys.executable, "-c", code], stdin=follower, stdout=follower, close_fds=True)
    os.close(follower)
    for text, then in ((b"ready", key), (answer, b"")):
        shown = b""
        while text not in shown:
            shown += os.read(leader, 100)
        os.write(leader, then)
    exit_code = process.wait(timeout=60)
    os.close(leader)
    return exit_code


def test_keys_come_one_by_one_and_the_terminal_is_left_as_it_was(tmp_path):
    """In a terminal of its own, as a learner has it."""
    code = (
        "from arena_lib.cli.learning.watching import has_keys, read_keys\n"
        "assert has_keys()\n"
        "with read_keys() as wait:\n"
        "    print('ready', flush=True)\n"
        "    while not (key := wait(0.3)): pass\n"
        "print('got', key, flush=True)"
    )
    assert press(b"n", code, b"got n") == 0  # without a new line


@pytest.mark.parametrize("at_start", ["SIG_DFL", "SIG_IGN"])
def test_a_q_that_nobody_takes_stops_as_ctrl_c_does(tmp_path, at_start):
    """Also where the program is started with Ctrl-C's signal ignored, as what a script runs in the background."""
    code = (
        "import signal, time\n"
        f"signal.signal(signal.SIGINT, signal.{at_start})\n"
        "from arena_lib.cli.learning.watching import read_keys\n"
        "try:\n"
        "    with read_keys() as wait:\n"
        "        print('ready', flush=True)\n"
        "        time.sleep(600)\n"
        "except KeyboardInterrupt:\n"
        "    print('stopped', flush=True)"
    )
    assert press(b"q", code, b"stopped") == 0


def test_without_a_terminal_there_are_no_keys():
    assert not watching.has_keys()
