"""Judges of section 2.1, Bandits, planning and learning by hand."""

from arena_lib.tests.intro_to_rl.bandit_agents import (
    test_cheaty_mc_cheater,
    test_random_agent,
    test_reward_averaging,
)
from arena_lib.tests.intro_to_rl.bandit_choices import test_epsilon_greedy_action, test_update_average
from arena_lib.tests.intro_to_rl.bandit_learning import test_compute_regret, test_thompson_action
from arena_lib.tests.intro_to_rl.cliff import test_cliff_walking
from arena_lib.tests.intro_to_rl.double_learning import test_double_q_learning
from arena_lib.tests.intro_to_rl.dynamics import test_norvig
from arena_lib.tests.intro_to_rl.evaluation import test_policy_eval_numerical
from arena_lib.tests.intro_to_rl.exact_evaluation import test_policy_eval, test_policy_eval_exact
from arena_lib.tests.intro_to_rl.gradient_bandit import test_gradient_bandit_step
from arena_lib.tests.intro_to_rl.improvement import (
    test_compute_action_values,
    test_policy_improvement,
)
from arena_lib.tests.intro_to_rl.multi_step import test_n_step_returns
from arena_lib.tests.intro_to_rl.policy_iteration import test_find_optimal_policy
from arena_lib.tests.intro_to_rl.temporal_difference import test_expected_sarsa, test_q_learning, test_sarsa
from arena_lib.tests.intro_to_rl.traces import test_sarsa_lambda
from arena_lib.tests.intro_to_rl.upper_bounds import test_ucb_action_selection
from arena_lib.tests.intro_to_rl.value_iteration import test_cheater, test_value_iteration

__test__ = False

__all__ = [
    "test_cheater",
    "test_cheaty_mc_cheater",
    "test_cliff_walking",
    "test_compute_action_values",
    "test_compute_regret",
    "test_double_q_learning",
    "test_epsilon_greedy_action",
    "test_expected_sarsa",
    "test_find_optimal_policy",
    "test_gradient_bandit_step",
    "test_n_step_returns",
    "test_norvig",
    "test_policy_eval",
    "test_policy_eval_exact",
    "test_policy_eval_numerical",
    "test_policy_improvement",
    "test_q_learning",
    "test_random_agent",
    "test_reward_averaging",
    "test_sarsa",
    "test_sarsa_lambda",
    "test_thompson_action",
    "test_ucb_action_selection",
    "test_update_average",
    "test_value_iteration",
]
