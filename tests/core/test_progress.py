import sys
from types import SimpleNamespace

import pytest
import tqdm.notebook
from tqdm.std import tqdm as text_bar

from arena_lib.core import progress as module
from arena_lib.core.progress import SECONDS_BETWEEN_LINES, is_quiet, progress


@pytest.fixture(autouse=True)
def loud(monkeypatch):
    monkeypatch.delenv("ARENA_QUIET", raising=False)


def test_an_iterable_is_passed_through_and_drawn(capsys):
    assert list(progress(iter("abc"), "letters")) == ["a", "b", "c"]
    out, err = capsys.readouterr()
    assert out == ""
    assert "letters" in err


def test_a_count_is_moved_by_hand_and_starts_where_it_is_told(capsys):
    with progress(7, "steps", initial=3) as bar:
        bar.update()
        assert (bar.n, bar.total) == (4, 7)
    assert "4/7" in capsys.readouterr().err


@pytest.mark.parametrize(("value", "quiet"), [("1", True), ("yes", True), ("0", False), ("", False)])
def test_quiet_draws_nothing_and_still_counts(monkeypatch, capsys, value, quiet):
    monkeypatch.setenv("ARENA_QUIET", value)
    assert is_quiet() is quiet
    assert list(progress([1, 2])) == [1, 2]
    assert (capsys.readouterr().err == "") is quiet


def test_a_file_gets_few_lines():
    with progress(2) as bar:
        assert bar.mininterval == SECONDS_BETWEEN_LINES


def test_a_notebook_gets_a_widget_only_if_it_can_draw_one(monkeypatch):
    shell = type("ZMQInteractiveShell", (), {})()
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    monkeypatch.setattr(module, "find_spec", lambda name: object())
    assert module._pick_bar() is tqdm.notebook.tqdm
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    assert module._pick_bar() is text_bar
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: None))
    assert module._pick_bar() is text_bar
