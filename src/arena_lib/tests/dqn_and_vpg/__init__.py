"""Judges of section 2.2, DQN and VPG."""

from arena_lib.tests.dqn_and_vpg.acting import test_epsilon_greedy_policy
from arena_lib.tests.dqn_and_vpg.agents import test_agent, test_dqn_agent
from arena_lib.tests.dqn_and_vpg.baseline import test_subtract_baseline
from arena_lib.tests.dqn_and_vpg.improvements import (
    test_compute_priorities,
    test_compute_replay_weights,
    test_sample_by_priority,
)
from arena_lib.tests.dqn_and_vpg.losses import test_compute_td_loss
from arena_lib.tests.dqn_and_vpg.memory import test_ring_rows, test_sample_rows
from arena_lib.tests.dqn_and_vpg.n_step import test_compute_n_step_returns
from arena_lib.tests.dqn_and_vpg.networks import test_combine_streams, test_q_network
from arena_lib.tests.dqn_and_vpg.policy_agent import test_vpg_agent
from arena_lib.tests.dqn_and_vpg.policy_losses import test_compute_importance_weights, test_compute_logprobs_and_entropy
from arena_lib.tests.dqn_and_vpg.real_steps import test_keep_real_steps
from arena_lib.tests.dqn_and_vpg.reinforce import test_compute_gradient_variance, test_compute_reinforce_loss
from arena_lib.tests.dqn_and_vpg.returns import test_compute_returns, test_normalize_returns
from arena_lib.tests.dqn_and_vpg.rollouts import test_rollout
from arena_lib.tests.dqn_and_vpg.schedules import test_linear_schedule
from arena_lib.tests.dqn_and_vpg.targets import test_compute_double_td_target, test_compute_td_target
from arena_lib.tests.dqn_and_vpg.updates import test_train_on_batch, test_update_target_network

__test__ = False

__all__ = [
    "test_agent",
    "test_combine_streams",
    "test_compute_double_td_target",
    "test_compute_gradient_variance",
    "test_compute_importance_weights",
    "test_compute_logprobs_and_entropy",
    "test_compute_n_step_returns",
    "test_compute_priorities",
    "test_compute_reinforce_loss",
    "test_compute_replay_weights",
    "test_compute_returns",
    "test_compute_td_loss",
    "test_compute_td_target",
    "test_dqn_agent",
    "test_epsilon_greedy_policy",
    "test_keep_real_steps",
    "test_linear_schedule",
    "test_normalize_returns",
    "test_q_network",
    "test_ring_rows",
    "test_rollout",
    "test_sample_by_priority",
    "test_sample_rows",
    "test_subtract_baseline",
    "test_train_on_batch",
    "test_update_target_network",
    "test_vpg_agent",
]
