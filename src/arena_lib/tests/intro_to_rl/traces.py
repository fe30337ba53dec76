"""Judge of SARSA(lambda): table and traces after each step."""

from typing import Any

import numpy as np
import torch

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.rl.tabular import multi_step
from arena_lib.rl.tabular.agents import EpsilonGreedy, Experience
from arena_lib.tests.intro_to_rl.watching import AHEAD, make_agent, require_class, step_cases

__test__ = False


def trace_cases(generator: torch.Generator) -> list[Case]:
    """Steps in a row, an end, a loop; several settings."""
    return step_cases("SARSA_lambda")


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


class ClearsAtTheEnd(multi_step.SARSA_lambda):
    """Forgets its traces where an episode terminates, and only there."""

    def start_episode(self) -> None:
        """Nothing."""

    def observe(self, exp: Experience) -> None:
        super().observe(exp)
        if exp.terminated:
            self.traces[:] = 0.0


class MovesItsOwnEntryFirst(TracesByLoop):
    """What earlier steps learn is the error that is left once the entry itself has moved."""

    def observe(self, exp: Experience) -> None:
        here, lr = (exp.obs, exp.act), self.config.lr
        target = exp.reward + (0.0 if exp.terminated else self.gamma * self.Q[exp.new_obs, exp.new_act])
        self.traces[here] += 1
        others = self.traces.copy()
        others[here] = 0.0
        self.Q[here] += lr * (target - self.Q[here]) * self.traces[here]
        self.Q += lr * (target - self.Q[here]) * others
        self.traces *= self.gamma * self.config.lambda_


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
                ),
                "0.0 if exp.terminated or not exp.new_act else ": (
                    "takes action 0 for no action",
                    "0 is an action too: only exp.terminated says that nothing follows",
                ),
                "0.0 if not exp.terminated else ": (
                    "turns the end round",
                    "only a step that ends the episode has nothing after it",
                ),
            },
        ),
        *instead_of(
            "chooses_ahead: ClassVar[bool] = True",
            {
                "chooses_ahead: ClassVar[bool] = False": (
                    "is not told the next action",
                    "chooses_ahead = True makes the agent choose before it learns, so that exp.new_act is known",
                ),
            },
        ),
        *instead_of(
            "self.Q[exp.new_obs, exp.new_act]",
            {
                "self.Q[exp.new_obs].max()": (
                    "learns as Q-learning does",
                    "SARSA takes the value of the action that will really be taken",
                ),
                "self.Q[exp.new_obs, exp.act]": (
                    "takes the value of the same action again",
                    "the next action is new_act",
                ),
                "self.Q[exp.new_obs].mean()": (
                    "averages over the actions",
                    "SARSA takes the value of the action that will really be taken",
                ),
                "self.Q[exp.new_obs, self.get_action(exp.new_obs)]": (
                    "chooses another next action",
                    "new_act says which action will be taken; a new choice may be another",
                ),
            },
        ),
        *instead_of(
            "exp.reward + self.gamma * following - self.Q[exp.obs, exp.act]",
            {
                "self.gamma * (exp.reward + following) - self.Q[exp.obs, exp.act]": (
                    "discounts the reward too",
                    "the reward counts in full, only what follows counts gamma times",
                ),
                "exp.reward + self.gamma * following - self.Q": (
                    "gives every entry an error of its own",
                    "there is one error, that of this step, and every entry learns from it",
                ),
                "self.gamma * following - self.Q[exp.obs, exp.act]": (
                    "forgets the reward",
                    "the error is the reward and what follows, minus the old value",
                ),
                "self.Q[exp.obs, exp.act] - exp.reward - self.gamma * following": (
                    "has the wrong sign",
                    "the error is the target minus the old value",
                ),
                "0.0 if exp.terminated else exp.reward + self.gamma * following - self.Q[exp.obs, exp.act]": (
                    "does not learn from the last step",
                    "where the episode has terminated the error is reward - Q[obs, act]",
                ),
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
                "        self.traces[exp.obs] = 0\n        self.traces[exp.obs, exp.act] = 1\n": (
                    "clears the traces of the other actions",
                    "the traces of other actions only fade: just that of this state and action rises",
                ),
                "        self.traces[exp.obs, exp.act] += self.config.lr\n": (
                    "raises the trace by the learning rate",
                    "the trace of the state and action rises by 1; lr counts where Q moves",
                ),
                "        if exp.terminated:\n            self.traces[:] = 0.0\n        self.traces[exp.obs, exp.act] += 1\n": (
                    "clears the traces before the last step",
                    "the last step teaches all steps before it too",
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
                "        self.Q[exp.obs] += self.config.lr * error * self.traces[exp.obs]\n": (
                    "teaches the present state alone",
                    "every entry learns by as much as its trace",
                ),
                "        self.Q = self.config.lr * error * self.traces\n": (
                    "replaces the values",
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
                "self.traces *= self.gamma * 0.9": ("takes 0.9 for lambda", "lambda is self.config.lambda_"),
                "self.traces *= self.gamma * (1 - self.config.lambda_)": (
                    "fades by 1 - lambda",
                    "traces shrink by gamma times lambda: with lambda 0 nothing is left of them",
                ),
                "self.traces *= 0.0 if exp.terminated else self.gamma * self.config.lambda_": (
                    "clears the traces at the end as well",
                    "start_episode clears them: after observe they have shrunk by gamma times lambda, whatever the step",
                ),
                "self.traces *= self.config.lambda_": ("fades by lambda alone", "traces shrink by gamma times lambda"),
                "self.traces *= self.gamma": ("fades by gamma alone", "traces shrink by gamma times lambda"),
                "self.traces[exp.obs, exp.act] *= self.gamma * self.config.lambda_": (
                    "fades the last step alone",
                    "all traces shrink after each step",
                ),
            },
        ),
        *instead_of(
            "        self.traces[exp.obs, exp.act] += 1\n        self.Q += self.config.lr * error * self.traces\n"
            "        self.traces *= self.gamma * self.config.lambda_\n",
            {
                "        self.traces *= self.gamma * self.config.lambda_\n        self.traces[exp.obs, exp.act] += 1\n"
                "        self.Q += self.config.lr * error * self.traces\n": (
                    "lets traces fade before the step instead of after it",
                    "traces fade at the end of observe: then the step's own trace is below 1",
                ),
                "        self.traces[exp.obs, exp.act] += 1\n        self.traces *= self.gamma * self.config.lambda_\n"
                "        self.Q += self.config.lr * error * self.traces\n": (
                    "lets traces fade before it learns",
                    "first every entry learns, then its trace fades: the step itself learns in full",
                ),
                "        self.Q += self.config.lr * error * self.traces\n        self.traces[exp.obs, exp.act] += 1\n"
                "        self.traces *= self.gamma * self.config.lambda_\n": (
                    "marks the step after it has learned",
                    "the trace rises first, so that the step itself learns too",
                ),
                "        self.Q += self.config.lr * error * self.traces\n"
                "        self.traces *= self.gamma * self.config.lambda_\n        self.traces[exp.obs, exp.act] += 1\n": (
                    "marks the step at the end of all",
                    "the trace rises first, so that the step itself learns too",
                ),
            },
        ),
        Mistake(
            "clears its traces where an episode terminates",
            function=ClearsAtTheEnd,
            why="an episode may be cut off without an end: start_episode sets all traces to 0",
        ),
        Mistake(
            "moves its own entry before it works out the error of the others",
            function=MovesItsOwnEntryFirst,
            why="the error is worked out once, from the old values, and all entries learn from that",
        ),
    ],
)
