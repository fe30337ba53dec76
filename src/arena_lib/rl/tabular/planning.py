"""Planning where the dynamics are known: evaluate a policy, improve it, and find the best.

Shapes:  a policy pi "n_states" (whole numbers: an action for each state), values V "n_states",
         action values Q "n_states n_actions".
Raises:  ConfigError for a gamma that isn't from 0 to 1, or a policy that never ends where gamma is 1.
Source:  Sutton and Barto 2018, sections 4.1 to 4.4, equations 4.4 (evaluation), 4.9 (improvement), 4.10 (value
         iteration).
Differs: all states are updated at once, from the values of the sweep before.
"""

import numpy as np
from jaxtyping import Float, Int

from arena_lib.errors import ConfigError
from arena_lib.rl.environments.gridworlds.mdp import Environment


def policy_eval_numerical(
    env: Environment,
    pi: Int[np.ndarray, " n_states"],
    gamma: float = 0.99,
    eps: float = 1e-8,
    max_iterations: int = 10_000,
) -> Float[np.ndarray, " n_states"]:
    """The value of each state under the policy `pi`, by iteration.

    Begin with zeros, and in each sweep give every state at once its new value

        V_new[s] = sum over s2 of T[s, pi[s], s2] * (R[s, pi[s], s2] + gamma * V[s2])

    with `env.T` and `env.R`, both "n_states n_actions n_states". Stop after the first sweep in which no value has changed
    by `eps` or more, or after `max_iterations` sweeps, and return the values of that last sweep. (With
    `max_iterations` 0 these are the zeros.) Nothing special is needed for terminal states: their rows of T are zero.

    >>> from arena_lib.rl.environments.gridworlds.mdp import TwoLoops
    >>> policy_eval_numerical(TwoLoops(), np.array([0, 0, 0]), gamma=0.5).round(4)
    array([1.3333, 0.6667, 2.6667])
    """
    states = np.arange(env.n_states)
    transitions, rewards = env.T[states, pi], env.R[states, pi]
    V = np.zeros(env.n_states)
    for _ in range(max_iterations):
        before = V
        V = (transitions * (rewards + gamma * before)).sum(axis=1)
        if np.abs(V - before).max() < eps:
            break
    return V


def policy_eval_exact(
    env: Environment, pi: Int[np.ndarray, " n_states"], gamma: float = 0.99
) -> Float[np.ndarray, " n_states"]:
    """The value of each state under the policy `pi`, as the solution of linear equations.

    With P[s, s2] = T[s, pi[s], s2] and the mean reward of a step r[s] = sum over s2 of P[s, s2] * R[s, pi[s], s2],
    the values satisfy V = r + gamma * P V. Solve that for V. It has a solution for gamma = 1 too, if the policy reaches an
    end from every state, since rows of T that belong to terminal states are zero. The world stays as it was.

    >>> from arena_lib.rl.environments.gridworlds.mdp import TwoLoops
    >>> policy_eval_exact(TwoLoops(), np.array([0, 0, 0]), gamma=0.5).round(4)
    array([1.3333, 0.6667, 2.6667])
    """
    states = np.arange(env.n_states)
    P = env.T[states, pi]
    r = (P * env.R[states, pi]).sum(axis=1)
    return np.linalg.solve(np.eye(env.n_states) - gamma * P, r)


def compute_action_values(
    env: Environment, V: Float[np.ndarray, " n_states"], gamma: float = 0.99
) -> Float[np.ndarray, "n_states n_actions"]:
    """What each action in each state is worth, if the states that may follow have the values `V`.

    Q[s, a] = sum over s2 of T[s, a, s2] * (R[s, a, s2] + gamma * V[s2])

    with `env.T` and `env.R`, both "n_states n_actions n_states". All entries of `V` are taken as they are, those of
    terminal states too. The world and `V` stay as they were.

    >>> from arena_lib.rl.environments.gridworlds.mdp import TwoLoops
    >>> compute_action_values(TwoLoops(), np.array([1.0, 0.0, 2.0]), gamma=0.5)
    array([[1. , 1. ],
           [0.5, 0.5],
           [2.5, 2.5]])
    """
    return (env.T * (env.R + gamma * V)).sum(axis=-1)


def policy_improvement(
    env: Environment, V: Float[np.ndarray, " n_states"], gamma: float = 0.99
) -> Int[np.ndarray, " n_states"]:
    """The policy that is greedy with respect to `V`: in each state the action with the largest action value.

    Action values are those of `compute_action_values`. Of actions with equal values the one of lowest number is taken;
    values that hardly differ are not equal.

    >>> from arena_lib.rl.environments.gridworlds.mdp import TwoLoops
    >>> policy_improvement(TwoLoops(), np.array([0.0, 0.0, 2.0]), gamma=0.9)
    array([1, 0, 0])
    """
    return compute_action_values(env, V, gamma).argmax(axis=1)


def find_optimal_policy(
    env: Environment, gamma: float = 0.99, max_iterations: int = 10_000
) -> Int[np.ndarray, " n_states"]:
    """The best policy, by policy iteration: evaluate, improve, and again until nothing changes.

    Begin with the policy that takes action 0 everywhere. Evaluate it exactly (`policy_eval_exact`), improve it
    (`policy_improvement`), and return as soon as an improvement changes no action. `max_iterations` is the largest number
    of improvements: after that many return the policy that the last one made (with 0, action 0 everywhere).
    Where several actions are equally good rounding decides between them, so any of the best policies will do. `gamma` is
    below 1.

    >>> from arena_lib.rl.environments.gridworlds.mdp import TwoLoops
    >>> find_optimal_policy(TwoLoops(), gamma=0.4), find_optimal_policy(TwoLoops(), gamma=0.6)
    (array([0, 0, 0]), array([1, 0, 0]))
    """
    check_gamma_below_one(gamma)
    pi = np.zeros(env.n_states, dtype=int)
    for _ in range(max_iterations):
        improved = policy_improvement(env, policy_eval_exact(env, pi, gamma), gamma)
        if (improved == pi).all():
            break
        pi = improved
    return pi


def value_iteration(
    env: Environment, gamma: float = 0.99, eps: float = 1e-8, max_iterations: int = 10_000
) -> Float[np.ndarray, " n_states"]:
    """The value of each state under the best policy, without ever writing that policy down.

    Begin with zeros, and in each sweep give every state at once the value of its best action,
    V_new[s] = max over a of Q[s, a], where Q are the `compute_action_values` of the sweep before. Stop after the
    first sweep in which no value has changed by `eps` or more, or after `max_iterations` sweeps, and return the
    values of that last sweep. (With `max_iterations` 0 these are the zeros.)

    >>> from arena_lib.rl.environments.gridworlds.mdp import TwoLoops
    >>> value_iteration(TwoLoops(), gamma=0.6).round(4)
    array([1.875, 1.125, 3.125])
    """
    V = np.zeros(env.n_states)
    for _ in range(max_iterations):
        before = V
        V = compute_action_values(env, before, gamma).max(axis=1)
        if np.abs(V - before).max() < eps:
            break
    return V


def check_gamma_below_one(gamma: float) -> None:
    """ConfigError unless gamma is from 0 to below 1: a policy that never ends has no finite value otherwise."""
    if not 0 <= gamma < 1:
        raise ConfigError(
            f"gamma must be at least 0 and below 1, so that every policy has a value: got {gamma}. Pass 0.99."
        )
