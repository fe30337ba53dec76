"""What bandit agents are made of, as functions of arrays: averages, choices, and regret.

Shapes:  values, counts, preferences "n_actions"; actions "n_steps".
Source:  Sutton and Barto 2018, sections 2.2 (epsilon-greedy), 2.4 (averages, equation 2.3), 2.8 (gradient bandit,
         equation 2.12); Thompson 1933, as in Russo et al. 2018, arXiv:1707.02038, section 3 (Thompson sampling);
         Lai and Robbins 1985 (regret).
"""

import numpy as np
from jaxtyping import Float, Int


def epsilon_greedy_action(values: Float[np.ndarray, " n_actions"], epsilon: float, rng: np.random.Generator) -> int:
    """With probability epsilon any action, all with the same chance; otherwise the one with the largest value.

    First `rng.random()` is drawn. If it is below epsilon, the action is `rng.integers(n_actions)`, drawn next. Otherwise
    nothing more is drawn, and of equal values the first counts as the largest. The result is an int of Python; `values`
    stay as they were.

    >>> epsilon_greedy_action(np.array([0.5, 2.0, 2.0]), epsilon=0.0, rng=np.random.default_rng(0))
    1
    """
    if rng.random() < epsilon:
        return int(rng.integers(len(values)))
    return int(values.argmax())


def update_average(
    averages: Float[np.ndarray, " n_actions"], counts: Int[np.ndarray, " n_actions"], action: int, reward: float
) -> None:
    """Takes one more reward of `action` into its average, without any list of rewards.

    Both arrays change in place, at `action` alone: its count goes up by one, and its average moves towards
    the reward by one n-th of the difference, where n is the new count:

        average += (reward - average) / n

    >>> averages, counts = np.array([0.0, 2.0]), np.array([0, 3])
    >>> update_average(averages, counts, action=1, reward=6.0)
    >>> averages, counts
    (array([0., 3.]), array([0, 4]))
    """
    counts[action] += 1
    averages[action] += (reward - averages[action]) / counts[action]


def gradient_bandit_step(
    preferences: Float[np.ndarray, " n_actions"], action: int, reward: float, baseline: float, lr: float
) -> Float[np.ndarray, " n_actions"]:
    """New preferences after `action` has earned `reward`; the old ones stay as they were.

    Actions are drawn with the probabilities p = softmax(preferences). A reward above the baseline makes the action
    that was taken likelier, one below makes it less likely:

        preferences[action] + lr * (reward - baseline) * (1 - p[action])     for the action taken
        preferences[a]      - lr * (reward - baseline) * p[a]                for every other action a

    Preferences may be as large as they like: subtract the largest before you take exponentials.

    >>> gradient_bandit_step(np.zeros(4), action=1, reward=3.0, baseline=1.0, lr=0.5)
    array([-0.25,  0.75, -0.25, -0.25])
    """
    exponentials = np.exp(preferences - preferences.max())
    p = exponentials / exponentials.sum()
    taken = np.arange(len(preferences)) == action
    return preferences + lr * (reward - baseline) * (taken - p)


def thompson_action(
    n_wins: Int[np.ndarray, " n_actions"], n_losses: Int[np.ndarray, " n_actions"], rng: np.random.Generator
) -> int:
    """Draws what each arm's chance of winning may be, given its wins and losses so far, and takes the best draw.

    If every chance was equally likely before, then after w wins and l losses it has a Beta distribution with the
    parameters 1 + w and 1 + l. One call `rng.beta(a, b)` with arrays draws for all arms at once, and nothing else is
    drawn. The result is the arm with the largest draw, as an int; of equal draws the first counts as the largest. The
    counts stay as they were.

    >>> thompson_action(np.array([0, 900, 3]), np.array([900, 0, 3]), np.random.default_rng(0))
    1
    """
    return int(rng.beta(1 + n_wins, 1 + n_losses).argmax())


def compute_regret(
    means: Float[np.ndarray, " n_actions"], actions: Int[np.ndarray, " n_steps"]
) -> Float[np.ndarray, " n_steps"]:
    """What has been lost up to each step by not taking the best arm from the start.

    `means[a]` is the true mean reward of arm a. A step that takes arm a loses the largest mean minus means[a], and
    regret[t] is the sum of what steps 0 to t have lost. (Luck has no part in it: rewards aren't looked at.)

    >>> compute_regret(np.array([1.0, 3.0, 2.5]), np.array([0, 1, 2, 1]))
    array([2. , 2. , 2.5, 2.5])
    """
    return np.cumsum(means.max() - means[actions])
