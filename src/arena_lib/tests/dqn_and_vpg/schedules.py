"""Judge of section 2.2's schedule: how often the agent explores.

Shapes:  numbers only
"""

import torch

from arena_lib.checking import Case, exercise, instead_of
from arena_lib.rl.dqn import exploration
from arena_lib.tests.dqn_and_vpg.arguments import returned

__test__ = False


def linear_schedule_cases(generator: torch.Generator) -> list[Case]:
    """The start, the way, the end and what follows, for schedules that fall, that rise, that end between two steps."""
    runs = {
        "from 1 to 0.1 over half of 200 steps": ((1.0, 0.1, 0.5, 200), [0, 1, 37, 99, 100, 101, 200, 900]),
        "from 0.8 to 0.02 over a quarter of 1000 steps": ((0.8, 0.02, 0.25, 1000), [0, 125, 249, 250, 600]),
        "over the whole run": ((1.0, 0.3, 1.0, 50), [10, 50, 51]),
        "from 0.1 up to 0.7 over half of 60 steps": ((0.1, 0.7, 0.5, 60), [0, 12, 30, 31]),
        "over 6.6 steps": ((1.0, 0.2, 0.33, 20), [1, 6, 7]),
        "over 3.3 steps": ((0.9, 0.1, 0.33, 10), [2, 3, 4]),
    }
    return [
        Case(label=f"{label}, step {step}", args=(step, *run)) for label, (run, steps) in runs.items() for step in steps
    ]


def schedule_by_slope(
    current_step: int, start_e: float, end_e: float, exploration_fraction: float, total_timesteps: int
) -> float:
    """Goes along a slope, and not past its end."""
    slope = (end_e - start_e) / (exploration_fraction * total_timesteps)
    low, high = sorted((start_e, end_e))
    return min(max(start_e + slope * current_step, low), high)


LINE = "epsilon falls in a straight line from start_e to end_e"
SHARE = "current_step / (exploration_fraction * total_timesteps)"
UNBRACKETED = (
    "divides by exploration_fraction, and multiplies by total_timesteps",
    "a / b * c is (a / b) * c: put exploration_fraction * total_timesteps in brackets",
)
AWAY = (
    "goes away from end_e",
    "the way from start_e to end_e is end_e - start_e: added, or start_e - end_e subtracted",
)
JUMPS_ON_THE_WAY = (
    "falls over the whole run, and jumps to end_e on the way",
    f"{LINE}, which it reaches after the share exploration_fraction of the run",
)
LARGER = (
    "takes the larger of the line and end_e",
    "where end_e is above start_e the line rises to it, and is below it on the way",
)
WHOLE = "the line may end between two steps: exploration_fraction * total_timesteps isn't rounded"

test_linear_schedule = exercise(
    reference=exploration.linear_schedule,
    cases=linear_schedule_cases,
    observe=returned,
    accepts=[schedule_by_slope],
    mistakes=[
        *instead_of(
            "min(current_step / (exploration_fraction * total_timesteps), 1.0)",
            {
                "current_step / (exploration_fraction * total_timesteps)": (
                    "never stops falling",
                    "once it has reached end_e it stays there; else it would become negative",
                ),
                "current_step / (exploration_fraction * total_timesteps) if end_e > start_e"
                " else min(current_step / (exploration_fraction * total_timesteps), 1.0)": (
                    "never stops rising",
                    "once it has reached end_e it stays there, also where it rises",
                ),
                "min(current_step / ((1 - exploration_fraction) * total_timesteps), 1.0)": (
                    "takes the share 1 - exploration_fraction",
                    "it reaches end_e after the share exploration_fraction of the run",
                ),
                "min(current_step / total_timesteps, 1.0)": (
                    "falls over the whole run",
                    "it reaches end_e after the share exploration_fraction of the run",
                ),
                "min(current_step * exploration_fraction / total_timesteps, 1.0)": (
                    "multiplies by exploration_fraction",
                    "a smaller fraction means a faster fall: divide by it",
                ),
                "float(current_step >= exploration_fraction * total_timesteps)": (
                    "jumps from start_e to end_e",
                    LINE,
                ),
                "(current_step / (exploration_fraction * total_timesteps)) % 1.0": (
                    "begins again when it has reached the end",
                    "once it has reached end_e it stays there",
                ),
                "current_step / total_timesteps if current_step < exploration_fraction * total_timesteps else 1.0": (
                    JUMPS_ON_THE_WAY
                ),
                "current_step / total_timesteps if current_step <= exploration_fraction * total_timesteps else 1.0": (
                    JUMPS_ON_THE_WAY
                ),
                "min(current_step / exploration_fraction * total_timesteps, 1.0)": UNBRACKETED,
                "current_step / exploration_fraction * total_timesteps": UNBRACKETED,
                "current_step / exploration_fraction * total_timesteps"
                " if current_step < exploration_fraction * total_timesteps else 1.0": UNBRACKETED,
                "1 / (exploration_fraction * total_timesteps)": (
                    "leaves current_step out",
                    "at each step epsilon is another: current_step says how far along the line it is",
                ),
                f"{SHARE} if {SHARE} < 1 else 0.0": (
                    "goes back to start_e where the line ends",
                    "once it has reached end_e it stays there",
                ),
                "min(current_step / max(int(exploration_fraction * total_timesteps), 1), 1.0)": (
                    "rounds the length of the line down",
                    WHOLE,
                ),
                "min(current_step / -int(-exploration_fraction * total_timesteps // 1), 1.0)": (
                    "rounds the length of the line up",
                    WHOLE,
                ),
                "min(current_step / round(exploration_fraction * total_timesteps), 1.0)": (
                    "rounds the length of the line",
                    WHOLE,
                ),
                "min((current_step + 1) / (exploration_fraction * total_timesteps), 1.0)": (
                    "is a step ahead",
                    "at step 0 it is start_e itself",
                ),
                "min(current_step / (exploration_fraction * total_timesteps - 1), 1.0)": (
                    "reaches end_e a step too soon",
                    "it reaches end_e at step exploration_fraction * total_timesteps",
                ),
                "min(max(current_step - exploration_fraction * total_timesteps, 0)"
                " / (total_timesteps - exploration_fraction * total_timesteps), 1.0)": (
                    "begins to fall only when it should have reached the end",
                    "it falls from step 0 on, and stays at end_e after the share exploration_fraction",
                ),
            },
        ),
        *instead_of(
            "start_e + share_done * (end_e - start_e)",
            {
                "end_e + share_done * (start_e - end_e)": (
                    "runs from end_e to start_e",
                    "at step 0 it is start_e: an agent that knows nothing should try everything",
                ),
                "start_e * (1 - share_done)": ("falls to zero", "it falls to end_e, and some exploration stays"),
                "start_e * (1 - share_done) + end_e": (
                    "adds end_e to a fall to zero",
                    "at step 0 it is start_e, and the fall is start_e - end_e long",
                ),
                "max(start_e * (1 - share_done), end_e)": (
                    "falls towards zero and stops at end_e",
                    "the line leads to end_e itself, so it falls more slowly",
                ),
                "start_e * (end_e / start_e) ** share_done": (
                    "falls by equal factors",
                    "a straight line loses the same amount at each step",
                ),
                "start_e - share_done * end_e": (
                    "falls by end_e",
                    "from start_e to end_e it falls by their difference",
                ),
                "max(end_e, start_e + share_done * (end_e - start_e))": LARGER,
                f"max(end_e, start_e + {SHARE} * (end_e - start_e))": LARGER,
                f"max(end_e, start_e + {SHARE.replace('(', '').replace(')', '')} * (end_e - start_e))": UNBRACKETED,
                "min(end_e, start_e + share_done * (end_e - start_e))": (
                    "takes the smaller of the line and end_e",
                    "where start_e is above end_e the line falls to it, and is above it on the way",
                ),
                "start_e + share_done * (start_e - end_e)": AWAY,
                f"start_e + {SHARE} * (start_e - end_e)": AWAY,
                f"max(end_e, start_e + {SHARE} * (start_e - end_e))": AWAY,
                "1 + share_done * (end_e - 1)": (
                    "always starts at 1",
                    "where the line starts is an argument, start_e",
                ),
                "end_e": ("returns end_e at every step", LINE),
                "start_e": ("returns start_e at every step", LINE),
                f"min(max(start_e + {SHARE} * (end_e - start_e), 0.0), 1.0)": (
                    "keeps epsilon between 0 and 1, and lets it pass end_e",
                    "once it has reached end_e it stays there",
                ),
                "max(start_e - share_done, end_e)": (
                    "loses 1 over the line, whatever start_e and end_e are",
                    "from start_e to end_e it falls by their difference",
                ),
                f"start_e + share_done * (end_e - start_e) if {SHARE} < 1 else 0.0": (
                    "returns 0 where the line ends",
                    "once it has reached end_e it stays there, so that some exploration stays",
                ),
                "min(start_e, start_e + share_done * (end_e - start_e))": (
                    "never rises above start_e",
                    "end_e may be above start_e: then the line rises",
                ),
                "share_done": (
                    "returns the share that is done",
                    "epsilon is the place on the line from start_e to end_e",
                ),
            },
        ),
    ],
)
