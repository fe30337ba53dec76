"""What learners hand in for the schedule: wrong in one likely way each."""

import importlib

import pytest

from arena_lib.checking import run

judges = importlib.import_module("arena_lib.tests.dqn_and_vpg")


def line(step, start, end, fraction, total):
    return start + step / (fraction * total) * (end - start)


WRONG = {
    "takes the larger of the line and end_e": lambda *run: max(line(*run), run[2]),
    "goes away from end_e": lambda step, start, end, fraction, total: (
        start + min(step / (fraction * total), 1) * (start - end)
    ),
    "divides by exploration_fraction, and multiplies by total_timesteps": lambda step, start, end, fraction, total: (
        start + min(step / fraction * total, 1) * (end - start)
    ),
    "always starts at 1": lambda step, start, end, fraction, total: 1 + min(step / (fraction * total), 1) * (end - 1),
    "returns end_e at every step": lambda step, start, end, fraction, total: end,
    "falls over the whole run, and jumps to end_e on the way": lambda step, start, end, fraction, total: (
        start + step / total * (end - start) if step <= fraction * total else end
    ),
    "keeps epsilon between 0 and 1, and lets it pass end_e": lambda *run: min(max(line(*run), 0), 1),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_a_wrong_schedule_is_named(mistake):
    assert run(judges.test_linear_schedule, WRONG[mistake]).diagnosis.mistake == mistake
