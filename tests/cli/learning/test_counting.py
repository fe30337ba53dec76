"""How far `arena check` is, in one line of a terminal that goes away."""

import sys

from arena_lib.checking.reports.messages import spoken
from arena_lib.cli.learning.counting import shown_count


def test_a_terminal_counts_while_it_judges(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with shown_count(2) as count:
        count(spoken("1.1/causal_mask", "passed", "yes."))
        count(spoken("1.1/mlp", "failed", "no."))
    lines = [line.rstrip() for line in capsys.readouterr().err.split("\r")]
    assert lines == ["  1 of 2 judged, 0 to fix", "  2 of 2 judged, 1 to fix", "", ""]


def test_what_is_no_terminal_gets_no_count(capsys):
    with shown_count(2) as count:
        count(spoken("1.1/causal_mask", "passed", "yes."))
    assert capsys.readouterr() == ("", "")
