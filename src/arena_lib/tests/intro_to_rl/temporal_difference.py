"""Judges of Q-learning, SARSA, expected SARSA and double Q-learning: one update at a time."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.rl.tabular import td
from arena_lib.rl.tabular.agents import EpsilonGreedy, Experience
from arena_lib.tests.intro_to_rl.watching import make_agent, require_class, step_cases, updates

__test__ = False

END = "an episode that has terminated goes on nowhere, so what follows is worth 0"
REST = "one entry moves, that of the state and the action"
PART = "it moves by lr times the difference between target and old value"


def update_cases(generator: torch.Generator) -> list[Case]:
    """Steps within an episode, at its end, several in a row, a loop; several settings."""
    return step_cases()


def shared_mistakes() -> list[Mistake]:
    """What goes wrong alike in each agent's update, whatever its target."""
    return [
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
            "exp.reward + self.gamma * following",
            {
                "exp.reward + following": ("does not discount", "what follows counts gamma times"),
                "self.gamma * (exp.reward + following)": (
                    "discounts the reward too",
                    "the reward counts in full, only what follows counts gamma times",
                ),
                "self.gamma * following": ("forgets the reward", "the reward is part of the target"),
                "0.0 if exp.terminated else exp.reward + self.gamma * following": (
                    "forgets the reward of the last step",
                    "the last step's target is its reward",
                ),
            },
        ),
        *instead_of(
            "self.Q[exp.obs, exp.act] += self.config.lr * (target - self.Q[exp.obs, exp.act])",
            {
                "self.Q[exp.obs, exp.act] = target": ("replaces the old value by the target", PART),
                "self.Q[exp.obs, exp.act] += self.config.lr * target": ("forgets to subtract the old value", PART),
                "self.Q[exp.obs, exp.act] -= self.config.lr * (target - self.Q[exp.obs, exp.act])": (
                    "moves away from the target",
                    "the value moves towards its target",
                ),
                "self.Q[exp.new_obs, exp.act] += self.config.lr * (target - self.Q[exp.new_obs, exp.act])": (
                    "changes the state that was entered",
                    REST,
                ),
                "self.Q[exp.obs] += self.config.lr * (target - self.Q[exp.obs])": ("changes every action", REST),
                "pass": ("does not learn", PART),
                "self.Q[exp.obs, exp.act] += 0.05 * (target - self.Q[exp.obs, exp.act])": (
                    "takes a learning rate of its own",
                    "the learning rate is self.config.lr",
                ),
            },
        ),
    ]


class QByMix(EpsilonGreedy):
    """A mean of the old value and the target."""

    def observe(self, exp: Experience) -> None:
        old, lr = self.Q[exp.obs][exp.act], self.config.lr
        target = exp.reward
        if not exp.terminated:
            target += self.gamma * max(self.Q[exp.new_obs])
        self.Q[exp.obs][exp.act] = (1 - lr) * old + lr * target


test_q_learning = exercise(
    reference=td.QLearning,
    cases=update_cases,
    observe=updates,
    accepts=[QByMix],
    mistakes=[
        *shared_mistakes(),
        *instead_of(
            "self.Q[exp.new_obs].max()",
            {
                "self.Q[exp.obs].max()": (
                    "takes the best value of the state that was left",
                    "what follows is the state that was entered, new_obs",
                ),
                "self.Q[exp.new_obs].mean()": (
                    "averages over the actions",
                    "Q-learning takes the best action's value",
                ),
                "self.Q[exp.new_obs].min()": ("takes the worst action", "Q-learning takes the best action's value"),
                "self.Q[exp.new_obs, exp.act]": (
                    "takes the value of the same action again",
                    "Q-learning takes the best action of the next state",
                ),
                "self.Q[exp.new_obs].argmax()": (
                    "takes the number of the best action for its value",
                    "max gives the value, argmax the number of the action",
                ),
                "self.Q.max()": ("takes the best value of all states", "only the next state's actions count"),
                "self.Q[exp.new_obs, exp.new_act]": (
                    "learns as SARSA does",
                    "Q-learning takes the best action's value, whatever it will do",
                ),
                "np.abs(self.Q[exp.new_obs]).max()": (
                    "takes absolute values",
                    "a very negative value is a bad one",
                ),
            },
        ),
    ],
)


class SARSAByMix(EpsilonGreedy):
    """A mean of the old value and the target."""

    chooses_ahead = True

    def observe(self, exp: Experience) -> None:
        target = exp.reward + (not exp.terminated) * self.gamma * self.Q[exp.new_obs, exp.new_act]
        self.Q[exp.obs, exp.act] = (1 - self.config.lr) * self.Q[exp.obs, exp.act] + self.config.lr * target


test_sarsa = exercise(
    reference=td.SARSA,
    cases=update_cases,
    observe=updates,
    accepts=[SARSAByMix],
    mistakes=[
        *shared_mistakes(),
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
                "self.Q[exp.obs, exp.new_act]": (
                    "takes the state that was left",
                    "the next action is taken in the state that was entered, new_obs",
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
    ],
)


class ExpectedByProbabilities(EpsilonGreedy):
    """The chance of each action, times its value."""

    chooses_ahead = False

    def observe(self, exp: Experience) -> None:
        chances = np.full(self.n_actions, self.config.epsilon / self.n_actions)
        chances[self.Q[exp.new_obs].argmax()] += 1 - self.config.epsilon
        target = exp.reward + (not exp.terminated) * self.gamma * chances @ self.Q[exp.new_obs]
        self.Q[exp.obs, exp.act] += self.config.lr * (target - self.Q[exp.obs, exp.act])


test_expected_sarsa = exercise(
    reference=td.ExpectedSARSA,
    cases=update_cases,
    observe=updates,
    accepts=[ExpectedByProbabilities],
    mistakes=[
        *shared_mistakes(),
        *instead_of(
            "(1 - epsilon) * values.max() + epsilon * values.mean()",
            {
                "epsilon * values.max() + (1 - epsilon) * values.mean()": (
                    "swaps greedy and random choices",
                    "the best action is taken with probability 1 - epsilon",
                ),
                "values.max()": ("learns as Q-learning does", "with probability epsilon any action is taken"),
                "values.mean()": ("averages over the actions", "the best action is far likelier than the others"),
                "(1 - epsilon) * values.max() + epsilon * (values.sum() - values.max()) / (len(values) - 1)": (
                    "leaves the best action out of the random ones",
                    "a random action is any action, the best one too",
                ),
                "(1 - epsilon) * values.max()": (
                    "forgets the random actions",
                    "with probability epsilon the value is the mean of all",
                ),
                "(1 - epsilon) * values.max() + epsilon * values.sum()": (
                    "adds up the random actions",
                    "each of the n actions has the chance epsilon / n: take the mean",
                ),
                "values[exp.new_act]": (
                    "learns as SARSA does",
                    "it takes the mean over the next action, not the one that was drawn",
                ),
            },
        ),
        *instead_of(
            "self.Q[exp.new_obs]",
            {
                "self.Q[exp.obs]": (
                    "takes the values of the state that was left",
                    "what follows is the state that was entered, new_obs",
                ),
            },
        ),
    ],
)


def double_cases(generator: torch.Generator) -> list[Case]:
    """The same steps, with seeds by which one table or the other learns first."""
    return [
        replace(case, label=f"{case.label}, seed {seed}", given={**case.given, "seed": seed})
        for case, seed in zip(step_cases() + step_cases()[:2], [0, 1, 2, 3, 4, 5, 6, 7], strict=True)
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
    return seen


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
                "int(self.rng.random() < 0.5)": (
                    "draws the table in another way",
                    "the docstring says which draw: self.rng.integers(2)",
                ),
            },
        ),
        *instead_of(
            "0.0 if exp.terminated else ",
            {"": ("adds the value of what follows the end", END)},
        ),
        *instead_of(
            "exp.reward + self.gamma * following",
            {"exp.reward + following": ("does not discount", "what follows counts gamma times")},
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
    ],
)
