"""Judges of n-step returns and of SARSA(lambda)."""

from typing import Any

import numpy as np
import torch

from arena_lib.checking import Case, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.rl.tabular import multi_step
from arena_lib.rl.tabular.agents import EpsilonGreedy, Experience
from arena_lib.tests.intro_to_rl.watching import AHEAD, make_agent, require_class, result, step_cases

__test__ = False


def return_cases(generator: torch.Generator) -> list[Case]:
    """One step, some, all, and more than there are; ends and episodes that were cut off."""
    rng = np.random.default_rng(5)

    def case(label: str, n_steps: int, gamma: float, n: int, last: float = 0.0) -> Case:
        args = (rng.normal(size=n_steps) * 3, np.append(rng.normal(size=n_steps) * 5, last), gamma, n)
        return Case(label=label, args=args, axes={"output": "n_steps"})

    return [
        case("one step", 5, 0.9, 1),
        case("two steps", 6, 0.5, 2),
        case("three steps of an episode that was cut off", 7, 0.8, 3, last=4.0),
        case("as many as there are", 4, 0.7, 4),
        case("more than there are", 3, 0.6, 9, last=-2.0),
        case("no discounting", 5, 1.0, 2, last=1.0),
        case("an episode of one step", 1, 0.9, 3),
    ]


def returns_by_recursion(rewards: np.ndarray, values: np.ndarray, gamma: float, n: int) -> np.ndarray:
    """Backwards over the steps of each return."""
    returns = []
    for t in range(len(rewards)):
        end = min(t + n, len(rewards))
        total = values[end]
        for k in range(end - 1, t - 1, -1):
            total = rewards[k] + gamma * total
        returns.append(total)
    return np.array(returns)


test_n_step_returns = exercise(
    reference=multi_step.n_step_returns,
    cases=return_cases,
    observe=result,
    accepts=[returns_by_recursion],
    mistakes=[
        *instead_of(
            "min(n, n_steps - t)",
            {
                "min(n + 1, n_steps - t)": ("takes one reward too many", "n rewards are added, then a value"),
                "min(n, n_steps - t - 1)": (
                    "leaves out the last reward",
                    "at step t there are n_steps - t rewards left, the last one included",
                ),
                "n_steps - t": ("goes on to the end", "after n rewards the value of the state stands for the rest"),
                "1": ("takes one reward alone", "n rewards are added before the value"),
            },
        ),
        *instead_of(
            "gamma**m * values[t + m]",
            {
                "gamma**n * values[t + m]": (
                    "discounts by n steps near the end",
                    "where fewer than n steps are left, the value is discounted by as many as there are",
                ),
                "gamma * values[t + m]": ("discounts the value once", "the value comes m steps later: gamma^m"),
                "values[t + m]": ("does not discount the value", "the value comes m steps later: gamma^m"),
                "gamma ** (m - 1) * values[t + m]": (
                    "discounts the value one step too little",
                    "the value comes m steps later: gamma^m",
                ),
                "gamma**m * values[t]": (
                    "takes the value of the state where it began",
                    "what is left is worth the value of the state reached after m steps",
                ),
                "gamma**m * values[t + m] * (t + m < n_steps)": (
                    "forgets the value where an episode was cut off",
                    "the last value is that of where the episode stopped; it is 0 only if it terminated",
                ),
                "0.0": ("leaves out the value", "after m rewards the value stands for the rest"),
                "gamma**m * values[t + m - 1]": (
                    "takes the value one step too early",
                    "after m rewards one is in the state t + m",
                ),
            },
        ),
        *instead_of(
            "gamma ** np.arange(m)",
            {
                "gamma ** np.arange(1, m + 1)": (
                    "discounts the first reward",
                    "the first reward counts in full, the next gamma times",
                ),
                "np.ones(m)": ("does not discount rewards", "the k-th later reward counts gamma^k times"),
                "gamma ** np.arange(m)[::-1]": (
                    "discounts early rewards most",
                    "the later a reward, the more it is discounted",
                ),
            },
        ),
    ],
)


def trace_cases(generator: torch.Generator) -> list[Case]:
    """Steps in a row, an end, a loop; several settings."""
    return step_cases()


def traced(cls: Any, case: Case) -> Observations:
    """Table and traces after each step of two episodes."""
    require_class(cls, "SARSA_lambda")
    agent = make_agent(cls, case)
    agent.Q = case.given["Q"].copy()
    seen: Observations = {AHEAD: bool(getattr(cls, "chooses_ahead", False))}
    for episode in ("first", "second"):
        agent.start_episode()
        seen[f"traces as the {episode} episode starts"] = np.array(agent.traces)
        for i, exp in enumerate([*case.given["steps"], *case.given["steps"]], start=1):
            agent.observe(exp)
            where = f"after step {i} of the {episode} episode"
            seen |= {f"Q {where}": np.array(agent.Q), f"traces {where}": np.array(agent.traces)}
    return seen


class TracesByLoop(EpsilonGreedy):
    """New arrays, in the same order."""

    chooses_ahead = True

    def start_episode(self) -> None:
        self.traces = np.zeros((self.n_states, self.n_actions))

    def observe(self, exp: Experience) -> None:
        target: Any = exp.reward
        if not exp.terminated:
            target += self.gamma * self.Q[exp.new_obs, exp.new_act]
        error = target - self.Q[exp.obs, exp.act]
        self.traces[exp.obs, exp.act] = self.traces[exp.obs, exp.act] + 1
        self.Q = self.Q + self.config.lr * error * self.traces
        self.traces = self.gamma * self.config.lambda_ * self.traces


test_sarsa_lambda = exercise(
    reference=multi_step.SARSA_lambda,
    cases=trace_cases,
    observe=traced,
    keep=["__init__"],
    accepts=[TracesByLoop],
    mistakes=[
        *instead_of(
            "self.traces[:] = 0.0",
            {
                "pass": ("keeps traces over the end", "a new episode has nothing to do with the steps of the old one"),
                "self.traces[:] = 0.0\n        self.Q[:] = 0.0": (
                    "forgets what it has learned",
                    "only the traces begin anew: self.Q stays",
                ),
            },
        ),
        *instead_of(
            "0.0 if exp.terminated else ",
            {
                "": (
                    "adds the value of what follows the end",
                    "an episode that has terminated goes on nowhere, so what follows is worth 0",
                )
            },
        ),
        *instead_of(
            "self.Q[exp.new_obs, exp.new_act]",
            {
                "self.Q[exp.new_obs].max()": (
                    "learns as Q-learning does",
                    "SARSA takes the value of the action that will really be taken",
                ),
            },
        ),
        *instead_of(
            "exp.reward + self.gamma * following - self.Q[exp.obs, exp.act]",
            {
                "exp.reward + self.gamma * following": (
                    "forgets to subtract the old value",
                    "the error is the target minus the old value",
                ),
                "exp.reward + following - self.Q[exp.obs, exp.act]": (
                    "does not discount",
                    "what follows counts gamma times",
                ),
            },
        ),
        *instead_of(
            "        self.traces[exp.obs, exp.act] += 1\n",
            {
                "        self.traces[exp.obs, exp.act] = 1\n": (
                    "replaces traces",
                    "here traces add up: a state and action seen twice has the more to do with it",
                ),
                "        self.traces[exp.obs] += 1\n": (
                    "marks every action",
                    "only the action that was taken gets a trace",
                ),
                "        self.traces[exp.new_obs, exp.new_act] += 1\n": (
                    "marks the next step",
                    "the trace belongs to the state and action of this step",
                ),
                "": ("never marks a step", "each step adds 1 to the trace of its state and action"),
            },
        ),
        *instead_of(
            "        self.Q += self.config.lr * error * self.traces\n",
            {
                "        self.Q[exp.obs, exp.act] += self.config.lr * error\n": (
                    "teaches the last step alone",
                    "every entry learns by as much as its trace",
                ),
                "        self.Q += error * self.traces\n": (
                    "ignores the learning rate",
                    "each entry moves by lr times the error times its trace",
                ),
                "        self.Q += self.config.lr * error * (self.traces > 0)\n": (
                    "teaches all steps alike",
                    "the longer ago a step was, the smaller its trace",
                ),
            },
        ),
        *instead_of(
            "self.traces *= self.gamma * self.config.lambda_",
            {
                "pass": ("never lets traces fade", "after each step all traces shrink by gamma times lambda"),
                "self.traces *= self.config.lambda_": ("fades by lambda alone", "traces shrink by gamma times lambda"),
                "self.traces *= self.gamma": ("fades by gamma alone", "traces shrink by gamma times lambda"),
                "self.traces[exp.obs, exp.act] *= self.gamma * self.config.lambda_": (
                    "fades the last step alone",
                    "all traces shrink after each step",
                ),
            },
        ),
    ],
)
