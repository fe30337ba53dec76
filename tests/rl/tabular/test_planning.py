import itertools

import numpy as np
import pytest

from arena_lib.errors import ConfigError
from arena_lib.rl.environments.gridworlds import (
    CliffWalking,
    Environment,
    FrozenLake,
    Norvig,
    RandomWalk,
    TwoLoops,
    Windy,
)
from arena_lib.rl.tabular.planning import (
    compute_action_values,
    find_optimal_policy,
    policy_eval_exact,
    policy_eval_numerical,
    policy_improvement,
    value_iteration,
)

WORLDS = [Norvig, CliffWalking, Windy, FrozenLake, TwoLoops, RandomWalk]


class Scattered(Environment):
    """Random probabilities and rewards: no structure that could hide a swapped axis."""

    def __init__(self, seed, n_states=5, n_actions=3):
        rng = np.random.default_rng(seed)
        self._probabilities = rng.dirichlet(np.ones(n_states), (n_states, n_actions))
        self._rewards = rng.normal(size=(n_states, n_actions, n_states))
        super().__init__(n_states, n_actions, terminal=[n_states - 1])

    def dynamics(self, state, action):
        return np.arange(self.n_states), self._rewards[state, action], self._probabilities[state, action]


@pytest.mark.parametrize("make", [*WORLDS, lambda: Scattered(0), lambda: Scattered(1)])
def test_both_evaluations_agree(make):
    env = make()
    pi = np.random.default_rng(0).integers(env.n_actions, size=env.n_states)
    numerical = policy_eval_numerical(env, pi, gamma=0.9, eps=1e-12)
    assert numerical == pytest.approx(policy_eval_exact(env, pi, gamma=0.9), abs=1e-9)


def test_random_walk_has_the_values_that_can_be_worked_out():
    env = RandomWalk(19)
    pi = np.zeros(21, dtype=int)
    V = policy_eval_exact(env, pi, gamma=1.0)
    assert V[1:-1] == pytest.approx(-1 + 2 * np.arange(1, 20) / 20)
    assert V[[0, -1]].tolist() == [0.0, 0.0]
    assert policy_eval_numerical(env, pi, gamma=1.0, eps=1e-12) == pytest.approx(V, abs=1e-8)


def test_evaluation_agrees_with_the_mean_of_many_episodes():
    """Monte Carlo as an independent witness: the mean of n returns within five of its standard errors."""
    env, gamma = Scattered(3), 0.8
    pi = np.array([2, 0, 1, 1, 0])
    rng = np.random.default_rng(0)
    returns = []
    for _ in range(3000):
        state, total, discount = 0, 0.0, 1.0
        while state != 4 and discount > 1e-7:
            successor = rng.choice(5, p=env.T[state, pi[state]])
            total += discount * env.R[state, pi[state], successor]
            discount, state = discount * gamma, successor
        returns.append(total)
    error = np.std(returns) / np.sqrt(len(returns))
    assert abs(np.mean(returns) - policy_eval_exact(env, pi, gamma)[0]) < 5 * error


def test_evaluation_stops_at_eps_and_at_max_iterations():
    env, pi = TwoLoops(), np.zeros(3, dtype=int)
    assert policy_eval_numerical(env, pi, max_iterations=0).tolist() == [0, 0, 0]
    assert policy_eval_numerical(env, pi, gamma=0.5, max_iterations=1).tolist() == [1, 0, 2]
    assert policy_eval_numerical(env, pi, gamma=0.5, eps=100.0).tolist() == [1, 0, 2]


def test_action_values_and_greedy_policy_by_brute_force():
    env, gamma = Scattered(5), 0.7
    V = np.random.default_rng(1).normal(size=5)
    Q = compute_action_values(env, V, gamma)
    for s in range(5):
        for a in range(3):
            assert Q[s, a] == pytest.approx(sum(env.T[s, a, t] * (env.R[s, a, t] + gamma * V[t]) for t in range(5)))
    assert policy_improvement(env, V, gamma).tolist() == Q.argmax(axis=1).tolist()


@pytest.mark.parametrize("seed", range(4))
def test_policy_iteration_finds_the_best_of_all_policies(seed):
    env, gamma = Scattered(seed, n_states=4, n_actions=2), 0.9
    best = max(policy_eval_exact(env, np.array([*np.unravel_index(i, (2, 2, 2)), 0]), gamma).sum() for i in range(8))
    found = policy_eval_exact(env, find_optimal_policy(env, gamma), gamma)
    assert found.sum() == pytest.approx(best)
    assert value_iteration(env, gamma) == pytest.approx(found, abs=1e-6)


@pytest.mark.parametrize("make", WORLDS)
def test_policy_and_value_iteration_agree(make):
    env = make()
    V = policy_eval_exact(env, find_optimal_policy(env, 0.95), 0.95)
    assert value_iteration(env, 0.95, eps=1e-12) == pytest.approx(V, abs=1e-9)
    assert compute_action_values(env, V, 0.95).max(axis=1) == pytest.approx(V), "the Bellman optimality equation"


def test_norvig_s_grid_has_the_published_values():
    """Russell and Norvig 2020, figure 16.3: gamma = 1, reward -0.04 for steps between nonterminal states."""
    V = value_iteration(Norvig(), gamma=1.0, eps=1e-12)
    published = [0.8516, 0.9078, 0.9578, 0.0, 0.8016, 0.0, 0.7003, 0.0, 0.7453, 0.6953, 0.6514, 0.4279]
    assert pytest.approx(published, abs=6e-5) == V


def test_value_iteration_s_error_shrinks_by_gamma_each_sweep():
    """Sutton and Barto 2018, section 4.4: the backup is a contraction, so after k sweeps the error is at most gamma^k."""
    for env in (Norvig(), FrozenLake(), Scattered(0), TwoLoops()):
        gamma = 0.9
        truth = value_iteration(env, gamma, eps=0.0, max_iterations=2000)
        errors = [np.abs(value_iteration(env, gamma, eps=0.0, max_iterations=k) - truth).max() for k in range(40)]
        assert all(after <= gamma * before + 1e-12 for before, after in itertools.pairwise(errors))
    assert errors[39] == pytest.approx(gamma**39 * errors[0], rel=0.2), "a loop that never ends attains the bound"


def test_policy_iteration_needs_few_rounds_and_stops():
    env = FrozenLake()
    pi = find_optimal_policy(env)
    assert find_optimal_policy(env, max_iterations=10).tolist() == pi.tolist()
    assert find_optimal_policy(env, max_iterations=0).tolist() == [0] * 16


@pytest.mark.parametrize("gamma", [1.0, -0.1, 2.0])
def test_a_gamma_for_which_policies_have_no_value_is_refused(gamma):
    with pytest.raises(ConfigError, match="below 1"):
        find_optimal_policy(Norvig(), gamma)
