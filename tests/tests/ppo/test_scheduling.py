"""What learners hand in for the schedule: steps from the present rate, and a count that stops."""

import importlib

from arena_lib.checking import run
from arena_lib.rl.ppo import scheduling

judges = importlib.import_module("arena_lib.tests.ppo")


class EqualSteps(scheduling.PPOScheduler):
    def step(self):
        self.n_step_calls += 1
        if self.n_step_calls > self.total_phases:
            return
        for group in self.optimizer.param_groups:
            group["lr"] += (self.end_lr - self.initial_lr) / self.total_phases


class ToZero(scheduling.PPOScheduler):
    def step(self):
        self.n_step_calls = min(self.n_step_calls + 1, self.total_phases)
        for group in self.optimizer.param_groups:
            group["lr"] = self.initial_lr * (1 - self.n_step_calls / self.total_phases)


def test_equal_steps_fail_where_a_group_had_another_rate_or_the_count_was_restored():
    diagnosis = run(judges.test_ppo_scheduler, EqualSteps).diagnosis
    assert diagnosis.mistake == "takes equal steps from the rate that a group has"


def test_two_slips_are_both_named():
    diagnosis = run(judges.test_ppo_scheduler, ToZero).diagnosis
    assert {"takes end_lr for 0", "stops counting at total_phases"} == set(diagnosis.mistake.split("; and it "))
