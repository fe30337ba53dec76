"""Judges of Q-learning, SARSA and expected SARSA: one update at a time."""

import numpy as np
import torch

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.rl.tabular import td
from arena_lib.rl.tabular.agents import EpsilonGreedy, Experience
from arena_lib.tests.intro_to_rl.watching import step_cases, updates, updates_ahead

__test__ = False

END = "an episode that has terminated goes on nowhere, so what follows is worth 0"
REST = "one entry moves, that of the state and the action"
PART = "it moves by lr times the difference between target and old value"


def q_learning_cases(generator: torch.Generator) -> list[Case]:
    """Steps within an episode, at its end, several in a row, a loop; several settings."""
    return step_cases("QLearning")


def sarsa_cases(generator: torch.Generator) -> list[Case]:
    """The same steps."""
    return step_cases("SARSA")


def expected_cases(generator: torch.Generator) -> list[Case]:
    """The same steps."""
    return step_cases("ExpectedSARSA")


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
                "exp.reward": (
                    "forgets what follows",
                    "the target is the reward and the discounted value of what follows",
                ),
                "exp.reward - self.gamma * following": (
                    "subtracts what follows",
                    "what follows is added to the reward",
                ),
                "exp.reward + 0.99 * following": ("takes a gamma of its own", "what follows counts self.gamma times"),
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
                "if not exp.terminated:\n            "
                "self.Q[exp.obs, exp.act] += self.config.lr * (target - self.Q[exp.obs, exp.act])": (
                    "does not learn from the last step",
                    "where the episode has terminated the target is the reward alone: it still learns from that",
                ),
                "self.Q[exp.obs, exp.act] = (1 - self.config.lr) * target + self.config.lr * self.Q[exp.obs, exp.act]": (
                    "swaps the old value and the target",
                    PART,
                ),
                "self.Q[exp.obs, exp.act] += self.config.lr * (target - self.gamma * self.Q[exp.obs, exp.act])": (
                    "discounts the old value too",
                    "gamma belongs to what follows alone",
                ),
                "self.Q[exp.obs, exp.act] += (target - self.Q[exp.obs, exp.act]) * (exp.terminated or self.config.lr)": (
                    "replaces the old value at the end",
                    "the last step too moves the value by lr times the difference",
                ),
                "self.Q[exp.obs, exp.act] += self.config.lr * (target - self.Q[exp.obs, exp.act])\n"
                "        if exp.terminated:\n            self.Q[exp.new_obs] = 0.0": (
                    "writes zeros into the values of the end",
                    REST,
                ),
                "self.Q[exp.obs, exp.act] += exp.reward"
                " + self.config.lr * (target - exp.reward - self.Q[exp.obs, exp.act])": (
                    "adds the reward in full",
                    "the reward is part of the target, which counts lr times",
                ),
                "self.Q[exp.obs, exp.act] += self.config.lr * target - self.Q[exp.obs, exp.act]": (
                    "scales the target alone",
                    PART,
                ),
                "self.Q[exp.obs, exp.act] += self.config.lr * np.abs(target - self.Q[exp.obs, exp.act])": (
                    "drops the sign of the error",
                    "the value moves towards its target, up or down",
                ),
                "self.Q[exp.obs, exp.act] += self.config.lr * (target - self.Q[exp.obs].max())": (
                    "subtracts the best value of the state",
                    "the error is the target minus the old value of this state and action",
                ),
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
    cases=q_learning_cases,
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
                "max(0.0, self.Q[exp.new_obs].max())": (
                    "lets what follows be worth no less than zero",
                    "where all actions are bad, the largest value is below zero",
                ),
                "self.Q[exp.new_obs, self.Q[exp.obs].argmax()]": (
                    "takes the action that was best in the state that was left",
                    "the best action is sought where its value is read, in new_obs",
                ),
                "self.Q[exp.new_obs, self.get_action(exp.new_obs)]": (
                    "takes the value of an action that it draws",
                    "Q-learning takes the best action's value, and draws nothing",
                ),
                "self.Q[:, exp.act].max()": (
                    "takes the best state of this action",
                    "Q-learning takes the best action of the next state",
                ),
                "((1 - self.config.epsilon) * self.Q[exp.new_obs].max() + self.config.epsilon * self.Q[exp.new_obs].mean())": (
                    "learns as expected SARSA does",
                    "Q-learning takes the best action's value, whatever it will do",
                ),
                "self.Q[exp.new_obs].sum()": ("adds up the actions", "Q-learning takes the best action's value"),
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
    cases=sarsa_cases,
    observe=updates_ahead,
    accepts=[SARSAByMix],
    mistakes=[
        *shared_mistakes(),
        *instead_of(
            "0.0 if exp.terminated else self",
            {
                "0.0 if exp.terminated or not exp.new_act else self": (
                    "takes action 0 for no action",
                    "0 is an action too: only exp.terminated says that nothing follows",
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
                "self.Q[exp.obs, exp.act]": (
                    "takes the old value for what follows",
                    "what follows is the state that was entered, and the action taken there",
                ),
                "max(0.0, self.Q[exp.new_obs, exp.new_act])": (
                    "lets what follows be worth no less than zero",
                    "the next action's value counts as it is, below zero too",
                ),
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
    """The chance of each action, times its value; it is told its next action, and doesn't look at it."""

    chooses_ahead = True

    def observe(self, exp: Experience) -> None:
        chances = np.full(self.n_actions, self.config.epsilon / self.n_actions)
        chances[self.Q[exp.new_obs].argmax()] += 1 - self.config.epsilon
        target = exp.reward + (not exp.terminated) * self.gamma * chances @ self.Q[exp.new_obs]
        self.Q[exp.obs, exp.act] += self.config.lr * (target - self.Q[exp.obs, exp.act])


test_expected_sarsa = exercise(
    reference=td.ExpectedSARSA,
    cases=expected_cases,
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
                "(1 - 0.1) * values.max() + 0.1 * values.mean()": (
                    "takes an epsilon of its own",
                    "the share of random actions is self.config.epsilon",
                ),
                "(1 - self.config.lr) * values.max() + self.config.lr * values.mean()": (
                    "takes the learning rate for epsilon",
                    "the share of random actions is self.config.epsilon",
                ),
                "(1 - epsilon) * values.max() + epsilon * self.Q[exp.obs].mean()": (
                    "takes the mean in the state that was left",
                    "what follows is the state that was entered, new_obs",
                ),
                "(1 - epsilon) * values.max() + epsilon * self.Q.mean()": (
                    "takes the mean of the whole table",
                    "only the actions of new_obs can follow",
                ),
                "(1 - epsilon + epsilon / len(values)) * values.max()": (
                    "forgets the other actions",
                    "a random action is any action, and each counts with its value",
                ),
                "np.exp(values) @ values / np.exp(values).sum()": (
                    "weights the actions by a softmax",
                    "the choice is epsilon-greedy: the best with 1 - epsilon, any with epsilon",
                ),
                "values[self.get_action(exp.new_obs)]": (
                    "takes the value of an action that it draws",
                    "it takes the mean over the next action: nothing is drawn",
                ),
                "(1 - epsilon) * values[exp.act] + epsilon * values.mean()": (
                    "takes the same action for the best",
                    "the greedy action is the best one in the next state",
                ),
                "(1 - epsilon) * values[self.Q[exp.obs].argmax()] + epsilon * values.mean()": (
                    "takes the action that was best in the state that was left",
                    "the best action is sought where its value is read, in new_obs",
                ),
                "(1 - epsilon) * values.max() + epsilon * values.min()": (
                    "expects the worst of a random action",
                    "a random action is any action, all with the same chance: take the mean",
                ),
                "(1 - epsilon) * max(0.0, values.max()) + epsilon * values.mean()": (
                    "lets the best action be worth no less than zero",
                    "where all actions are bad, the largest value is below zero",
                ),
                "(1 - epsilon) * values.max() + epsilon / len(values) * values.mean()": (
                    "divides by the number of actions twice",
                    "the mean is divided by it already",
                ),
                "(1 - epsilon) * values.max() + epsilon * values[exp.new_act]": (
                    "takes the next action for the random one",
                    "it takes the mean over the next action, not the one that was drawn",
                ),
                "values.max() + epsilon * values.mean()": (
                    "gives the best action the whole weight",
                    "the best action is taken with probability 1 - epsilon",
                ),
                "(1 - epsilon) * values.max() + epsilon * (values.sum() - values.max()) / len(values)": (
                    "leaves the best action out of the random ones",
                    "a random action is any action, the best one too",
                ),
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
