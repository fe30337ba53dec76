"""`arena verify`: what authors see of their exercises."""

from arena_lib.cli.verify import _show_records

GOOD = {
    "id": "7.3/plus", "reference": "passed", "accepts": ["passed"], "stub": "not_started", "seconds": 0.5,
    "mistakes": [{"name": "subtracts", "rejected": True, "named": True}], "problems": [], "holds": True,
}  # fmt: skip
BAD = GOOD | {"id": "7.3/times", "problems": ["the stub must be not_started: got failed"], "holds": False}


def test_each_exercise_is_a_row_and_each_problem_a_line(capsys):
    _show_records([GOOD, BAD])
    assert capsys.readouterr().out.splitlines() == [
        "   exercise   reference  accepts  stub         mistakes   seconds",
        "✓  7.3/plus   passed     1/1      not_started  1/1 named  0.50",
        "✗  7.3/times  passed     1/1      not_started  1/1 named  0.50",
        "7.3/times: the stub must be not_started: got failed",
        "1 of 2 exercises hold, with 2 mistakes between them.",
    ]


def test_a_terminal_shows_rows_with_weight_and_colour(in_terminal):
    lines = in_terminal(_show_records, [GOOD, BAD]).splitlines()
    assert lines[1].startswith("\x1b[1;32m✓  7.3/plus")
    assert lines[2].startswith("\x1b[1;31m✗  7.3/times")
