"""Judge of double Q-learning: one update at a time."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.rl.tabular import td
from arena_lib.rl.tabular.agents import Experience
from arena_lib.tests.intro_to_rl.temporal_difference import END, PART
from arena_lib.tests.intro_to_rl.watching import NEXT, make_agent, require_class, step_cases

__test__ = False


def double_cases(generator: torch.Generator) -> list[Case]:
    """The same steps, with seeds by which one table or the other learns first; and equal values."""
    steps = step_cases("DoubleQLearning")
    middle = steps[0]
    Q = np.array([[1.0, 2.0, 2.0], [0.5, -1.0, 0.0], [3.0, 3.0, 1.0], [4.0, 4.0, 4.0], [-2.0, 0.0, 1.5]])
    equal = replace(middle, label="equal values", given={**middle.given, "Q": Q + 0.0})
    return [
        replace(case, label=f"{case.label}, seed {seed}", given={**case.given, "seed": seed})
        for seed, case in enumerate([*steps, *steps[:2], equal])
    ]


def table_updates(cls: Any, case: Case) -> Observations:
    """Both tables and their mean after each of the case's experiences, three times over."""
    require_class(cls, "DoubleQLearning")
    agent = make_agent(cls, case)
    agent.tables = np.stack([case.given["Q"], case.given["Q"][::-1] * 0.5])
    agent.Q = agent.tables.mean(axis=0)
    seen: Observations = {}
    for i, exp in enumerate(case.given["steps"] * 3, start=1):
        agent.observe(exp)
        seen |= {f"tables after step {i}": np.array(agent.tables), f"Q after step {i}": np.array(agent.Q)}
    return seen | {NEXT: float(agent.rng.random())}


def draws_elsewhere(seen: Sequence[Observations]) -> bool:
    """Whether nothing was drawn from the agents' own generators."""
    seeds = [case.given["seed"] for case in double_cases(torch.Generator())]
    return [observed[NEXT] for observed in seen] == [np.random.default_rng(seed).random() for seed in seeds]


class TeachesBoth(td.DoubleQLearning):
    """Both tables learn from each step, one after the other."""

    def observe(self, exp: Experience) -> None:
        """Two updates."""
        for own, other in ((self.tables[0], self.tables[1]), (self.tables[1], self.tables[0])):
            following = 0.0 if exp.terminated else other[exp.new_obs, own[exp.new_obs].argmax()]
            own[exp.obs, exp.act] += self.config.lr * (exp.reward + self.gamma * following - own[exp.obs, exp.act])
        self.Q = self.tables.mean(axis=0)


class DoubleByIndex(td.DoubleQLearning):
    """With indices instead of views."""

    def observe(self, exp: Experience) -> None:
        i = self.rng.integers(0, 2)
        target = exp.reward
        if not exp.terminated:
            best = np.argmax(self.tables[i][exp.new_obs])
            target += self.gamma * self.tables[1 - i][exp.new_obs][best]
        self.tables[i, exp.obs, exp.act] += self.config.lr * (target - self.tables[i, exp.obs, exp.act])
        self.Q = self.tables.mean(axis=0)


test_double_q_learning = exercise(
    reference=td.DoubleQLearning,
    cases=double_cases,
    observe=table_updates,
    keep=["__init__"],
    accepts=[DoubleByIndex],
    mistakes=[
        *instead_of(
            "other[exp.new_obs, own[exp.new_obs].argmax()]",
            {
                "other[exp.new_obs, self.Q[exp.new_obs].argmax()]": (
                    "lets the mean of both tables choose",
                    "the learner's own table chooses the action",
                ),
                "self.tables[:, exp.new_obs, own[exp.new_obs].argmax()].mean()": (
                    "values the action with the mean of both tables",
                    "what chooses must not value: the other table says what the action is worth",
                ),
                "other[exp.new_obs, len(own[0]) - 1 - own[exp.new_obs][::-1].argmax()]": (
                    "takes the last of equal actions",
                    "of equal values the first counts as the largest",
                ),
                "other[exp.new_obs, own[exp.obs].argmax()]": (
                    "takes the action that was best in the state that was left",
                    "the best action is sought in new_obs",
                ),
                "max(0.0, other[exp.new_obs, own[exp.new_obs].argmax()])": (
                    "lets what follows be worth no less than zero",
                    "the other table's value counts as it is, below zero too",
                ),
                "min(own[exp.new_obs].max(), other[exp.new_obs].max())": (
                    "takes the smaller of both maxima",
                    "one table chooses and the other one values",
                ),
                "other[exp.new_obs, exp.new_act]": (
                    "learns as SARSA does",
                    "what follows is the action that the learner's own values choose",
                ),
                "other[exp.new_obs].mean()": (
                    "averages over the actions",
                    "the other table values the one action that the learner's own values choose",
                ),
                "own[exp.new_obs].max()": (
                    "values the action with the table that chose it",
                    "what chooses must not value: the other table says what the action is worth",
                ),
                "other[exp.new_obs].max()": (
                    "lets the other table choose too",
                    "the learner's own table chooses the action",
                ),
                "own[exp.new_obs, other[exp.new_obs].argmax()]": (
                    "swaps who chooses and who values",
                    "the learner's own table chooses, the other one values",
                ),
                "self.tables[:, exp.new_obs].mean(axis=0).max()": (
                    "takes the best of the mean of both",
                    "one table chooses and the other one values",
                ),
                "other[exp.obs, own[exp.obs].argmax()]": (
                    "takes the state that was left",
                    "what follows is the state that was entered, new_obs",
                ),
            },
        ),
        *instead_of(
            "int(self.rng.integers(2))",
            {
                "0": ("always teaches the first table", "which table learns is drawn anew for each step"),
                "1 - int(self.rng.integers(2))": (
                    "teaches the table that was not drawn",
                    "the number drawn is the number of the table that learns",
                ),
                "self.__dict__.update(turn=1 - self.__dict__.get('turn', 1)) or self.turn": (
                    "teaches the tables in turn",
                    "which table learns is drawn anew for each step",
                ),
                "int(np.random.default_rng(0).integers(2))": (
                    "draws from a generator of its own",
                    "the table is drawn from self.rng, so that choices differ, and can be repeated",
                ),
                "int(self.rng.random() >= 0.5)": (
                    "draws the table in another way",
                    "the docstring says which draw: self.rng.integers(2)",
                ),
                "int(self.rng.random() < 0.5)": (
                    "draws the table in another way",
                    "the docstring says which draw: self.rng.integers(2)",
                ),
            },
        ),
        *instead_of(
            "0.0 if exp.terminated else ",
            {
                "": ("adds the value of what follows the end", END),
                "0.0 if not exp.terminated else ": (
                    "turns the end round",
                    "only a step that ends the episode has nothing after it",
                ),
            },
        ),
        *instead_of(
            "own, other = self.tables[learner], self.tables[1 - learner]",
            {
                "own, other = self.tables[learner].copy(), self.tables[1 - learner]": (
                    "teaches a copy of the table",
                    "self.tables[learner] itself must change",
                ),
            },
        ),
        *instead_of(
            "exp.reward + self.gamma * following",
            {
                "exp.reward + following": ("does not discount", "what follows counts gamma times"),
                "self.gamma * (exp.reward + following)": (
                    "discounts the reward too",
                    "the reward counts in full, only what follows counts gamma times",
                ),
                "self.gamma * following": ("forgets the reward", "the reward is part of the target"),
                "exp.reward": (
                    "forgets what follows",
                    "the target is the reward and the discounted value of what follows",
                ),
            },
        ),
        *instead_of(
            "own[exp.obs, exp.act] += self.config.lr * (target - own[exp.obs, exp.act])",
            {
                "other[exp.obs, exp.act] += self.config.lr * (target - other[exp.obs, exp.act])": (
                    "teaches the other table",
                    "the table that was drawn learns",
                ),
                "self.tables[:, exp.obs, exp.act] += self.config.lr * (target - self.tables[:, exp.obs, exp.act])": (
                    "teaches both tables",
                    "only the table that was drawn learns, so that they differ",
                ),
                "own[exp.obs, exp.act] += self.config.lr * (target - other[exp.obs, exp.act])": (
                    "subtracts the other table's value",
                    "the error is the target minus the learner's own old value",
                ),
                "own[exp.obs, exp.act] = (1 - self.config.lr) * self.Q[exp.obs, exp.act] + self.config.lr * target": (
                    "begins from the mean of both tables",
                    "the learner's own entry moves from where it is",
                ),
                "own[exp.obs, exp.act] += self.config.lr * (target - self.Q[exp.obs, exp.act])": (
                    "subtracts the mean of both tables",
                    "the error is the target minus the learner's own old value",
                ),
                "if not exp.terminated:\n            "
                "own[exp.obs, exp.act] += self.config.lr * (target - own[exp.obs, exp.act])": (
                    "does not learn from the last step",
                    "where the episode has terminated the target is the reward alone: it still learns from that",
                ),
                "own[exp.obs, exp.act] = target": ("replaces the old value by the target", PART),
                "own[exp.obs, exp.act] += self.config.lr * target": ("forgets to subtract the old value", PART),
            },
        ),
        *instead_of(
            "self.Q[exp.obs, exp.act] = self.tables[:, exp.obs, exp.act].mean()",
            {
                "pass": ("leaves self.Q as it was", "the agent acts on self.Q, the mean of both tables"),
                "self.Q[exp.obs, exp.act] = self.tables[:, exp.obs, exp.act].sum()": (
                    "adds up the tables",
                    "self.Q is the mean of both tables",
                ),
                "self.Q[exp.obs, exp.act] = own[exp.obs, exp.act]": (
                    "acts on one table alone",
                    "self.Q is the mean of both tables",
                ),
            },
        ),
        Mistake(
            "teaches both tables",
            function=TeachesBoth,
            why="only the table that was drawn learns, so that they differ",
        ),
        Mistake(
            "does not draw from self.rng",
            "int(self.rng.integers(2))",
            "int(np.random.randint(2))",
            why="which table learns is drawn from the agent's own generator, so that learning can be repeated",
            shows=draws_elsewhere,
        ),
    ],
)
