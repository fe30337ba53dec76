"""Judge of the schedule of the learning rate, section 2.3."""

from typing import Any

import torch

from arena_lib.checking import Case, Mistake, exercise
from arena_lib.checking.observing import Observations
from arena_lib.rl.ppo import scheduling

__test__ = False


def schedule_cases(generator: torch.Generator) -> list[Case]:
    """Falling to zero and to something else; groups that were made with other rates; a count that was restored."""
    return [
        Case(
            label=label,
            call=f"optimizer, {start}, {end}, {phases}",
            given={"settings": (start, end, phases), "made_with": made_with, "restored": restored},
        )
        for label, start, end, phases, made_with, restored in [
            ("falls to 0", 8.0, 0.0, 4, (8.0, 8.0), 0),
            ("falls to another rate", 3.0, 1.0, 5, (3.0, 3.0), 0),
            ("one phase", 2.0, 0.5, 1, (2.0, 2.0), 0),
            ("groups that were made with other rates", 4.0, 1.0, 6, (5.0, 0.1), 0),
            ("goes on from a checkpoint: n_step_calls was set to 3", 6.0, 2.0, 8, (6.0, 6.0), 3),
        ]
    ]


def rates_seen(cls: Any, case: Case) -> Observations:
    """The rate of both groups of parameters at the start and after each call, two more calls than phases; the counts."""
    initial_lr, end_lr, total_phases = case.given["settings"]
    rates_before = enumerate(case.given["made_with"], start=1)
    groups = [{"params": [torch.zeros(n, requires_grad=True)], "lr": lr} for n, lr in rates_before]
    optimizer = torch.optim.SGD(groups, lr=initial_lr)
    scheduler = cls(optimizer, initial_lr, end_lr, total_phases)
    scheduler.n_step_calls = case.given["restored"]
    rates, counts = [[float(group["lr"]) for group in optimizer.param_groups]], []
    for _ in range(total_phases + 2):
        scheduler.step()
        rates.append([float(group["lr"]) for group in optimizer.param_groups])
        counts.append(int(scheduler.n_step_calls))
    return {"learning rates": torch.tensor(rates), "n_step_calls after each call": counts}


class SchedulerAnew(scheduling.PPOScheduler):
    """Mixes both ends."""

    def step(self) -> None:
        """One phase."""
        self.n_step_calls = self.n_step_calls + 1
        k = min(self.n_step_calls, self.total_phases)
        lr = ((self.total_phases - k) * self.initial_lr + k * self.end_lr) / self.total_phases
        for i in range(len(self.optimizer.param_groups)):
            self.optimizer.param_groups[i]["lr"] = lr


test_ppo_scheduler = exercise(
    reference=scheduling.PPOScheduler,
    cases=schedule_cases,
    observe=rates_seen,
    keep=["__init__"],
    accepts=[SchedulerAnew],
    mistakes=[
        *(
            Mistake(name, old, new, why=why, within="PPOScheduler.step")
            for name, old, new, why in [
                (
                    "is one phase late",
                    "share_done = min(self.n_step_calls / self.total_phases, 1.0)",
                    "share_done = min((self.n_step_calls - 1) / self.total_phases, 1.0)",
                    "after the first phase the rate has fallen once: count the call first",
                ),
                (
                    "is one phase early",
                    "share_done = min(self.n_step_calls / self.total_phases, 1.0)",
                    "share_done = min((self.n_step_calls + 1) / self.total_phases, 1.0)",
                    "n_step_calls counts this call already",
                ),
                (
                    "divides by one phase too many",
                    "self.n_step_calls / self.total_phases, 1.0",
                    "self.n_step_calls / (self.total_phases + 1), 1.0",
                    "end_lr is reached in call number total_phases",
                ),
                (
                    "adds the whole way so far to the rate that a group has",
                    'group["lr"] = self.initial_lr + share_done * (self.end_lr - self.initial_lr)',
                    'group["lr"] += share_done * (self.end_lr - self.initial_lr)',
                    "the rate follows from the count alone, not from the rate before",
                ),
                (
                    "adds a share of end_lr to initial_lr",
                    "share_done * (self.end_lr - self.initial_lr)",
                    "share_done * self.end_lr",
                    "the line leads from initial_lr to end_lr: their difference counts by the share that is done",
                ),
                (
                    "goes on falling after the last phase",
                    "min(self.n_step_calls / self.total_phases, 1.0)",
                    "self.n_step_calls / self.total_phases",
                    "after the last phase the rate stays at end_lr",
                ),
                (
                    "changes the first group only",
                    "for group in self.optimizer.param_groups:",
                    "for group in self.optimizer.param_groups[:1]:",
                    "every group of parameters gets the rate",
                ),
                (
                    "falls in a curve",
                    "share_done * (self.end_lr - self.initial_lr)",
                    "share_done**2 * (self.end_lr - self.initial_lr)",
                    "the rate falls in a straight line",
                ),
                (
                    "rises instead of falling",
                    "self.initial_lr + share_done * (self.end_lr - self.initial_lr)",
                    "self.end_lr + share_done * (self.initial_lr - self.end_lr)",
                    "it begins at initial_lr and ends at end_lr",
                ),
                (
                    "multiplies the rate of the group again and again",
                    'group["lr"] = self.initial_lr + share_done * (self.end_lr - self.initial_lr)',
                    'group["lr"] *= 1.0 - share_done * (1.0 - self.end_lr / self.initial_lr)',
                    "the rate follows from the count alone, not from the rate before",
                ),
                (
                    "takes equal steps from the rate that a group has",
                    'group["lr"] = self.initial_lr + share_done * (self.end_lr - self.initial_lr)',
                    'group["lr"] += (self.end_lr - self.initial_lr) / self.total_phases * (share_done < 1.0 or '
                    "self.n_step_calls == self.total_phases)",
                    "the rate follows from the count alone, whatever rate a group had before",
                ),
                (
                    "follows the line from the rate that a group has",
                    'group["lr"] = self.initial_lr + share_done * (self.end_lr - self.initial_lr)',
                    'group["lr"] += share_done * (self.end_lr - group["lr"])',
                    "the line begins at initial_lr, whatever rate a group had before",
                ),
                (
                    "shrinks the rate in equal proportions",
                    "self.initial_lr + share_done * (self.end_lr - self.initial_lr)",
                    "self.initial_lr * (max(self.end_lr, 1e-8) / self.initial_lr) ** share_done",
                    "the rate falls in a straight line",
                ),
                (
                    "arrives a phase too early",
                    "self.n_step_calls / self.total_phases, 1.0",
                    "self.n_step_calls / max(self.total_phases - 1, 1), 1.0",
                    "end_lr is reached in call number total_phases",
                ),
                (
                    "stops one phase before end_lr",
                    "min(self.n_step_calls / self.total_phases, 1.0)",
                    "min(self.n_step_calls, self.total_phases - 1) / self.total_phases",
                    "call number total_phases sets end_lr",
                ),
                (
                    "begins anew after the last phase",
                    "min(self.n_step_calls / self.total_phases, 1.0)",
                    "self.n_step_calls % self.total_phases / self.total_phases",
                    "after the last phase the rate stays at end_lr",
                ),
                (
                    "falls at once in whole steps",
                    "min(self.n_step_calls / self.total_phases, 1.0)",
                    "min(self.n_step_calls // self.total_phases, 1)",
                    "a share is a number between 0 and 1: / keeps it, and // rounds it down",
                ),
                (
                    "changes the optimizer's default rate",
                    'group["lr"] = self.initial_lr',
                    'self.optimizer.defaults["lr"] = self.initial_lr',
                    "the rate that counts is that of each group of parameters",
                ),
                (
                    "adds the whole of end_lr in every phase",
                    "self.initial_lr + share_done * (self.end_lr - self.initial_lr)",
                    "self.initial_lr * (1 - share_done) + self.end_lr",
                    "a mixture has weights that add to 1: end_lr counts by the share that is done",
                ),
                (
                    "moves away from end_lr",
                    "self.initial_lr + share_done * (self.end_lr - self.initial_lr)",
                    "self.initial_lr - share_done * (self.end_lr - self.initial_lr)",
                    "the line leads from initial_lr to end_lr",
                ),
                (
                    "falls along a cosine",
                    "share_done * (self.end_lr - self.initial_lr)",
                    "(1 - torch.tensor(3.14159265 * share_done).cos().item()) / 2 * (self.end_lr - self.initial_lr)",
                    "the rate falls in a straight line",
                ),
                (
                    "falls on to 0 after the last phase",
                    "self.initial_lr + share_done * (self.end_lr - self.initial_lr)",
                    "max(0.0, self.initial_lr + (self.end_lr - self.initial_lr) * self.n_step_calls / self.total_phases)",
                    "after the last phase the rate stays at end_lr",
                ),
                (
                    "forgets initial_lr",
                    "self.initial_lr + share_done * (self.end_lr - self.initial_lr)",
                    "share_done * (self.end_lr - self.initial_lr)",
                    "the line begins at initial_lr",
                ),
                (
                    "stops counting at total_phases",
                    "        self.n_step_calls += 1\n",
                    "        self.n_step_calls = min(self.n_step_calls + 1, self.total_phases)\n",
                    "n_step_calls counts every call, also those after the last phase",
                ),
                (
                    "takes end_lr for 0",
                    "share_done * (self.end_lr - self.initial_lr)",
                    "share_done * -self.initial_lr",
                    "the line ends at end_lr",
                ),
            ]
        ),
        Mistake(
            "never counts",
            "        self.n_step_calls += 1\n",
            "        self.n_step_calls = 1\n",
            why="each call counts one phase more",
            within="PPOScheduler.step",
        ),
    ],
)
