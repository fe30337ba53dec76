"""Deep Q-learning, and what made it better: target network, double, dueling, prioritized, n-step.

networks      action values from vectors and pictures, with one head or two
exploration   epsilon-greedy actions and the schedule of epsilon
replay        a ring of transitions, from which batches are drawn
prioritized   surprising transitions more often, by a sum tree
n_step        rewards of several steps summed
targets       TD targets and their loss
agent         playing and remembering
training      the whole
"""

from arena_lib.rl.dqn.agent import DQNAgent
from arena_lib.rl.dqn.exploration import epsilon_greedy_policy, greedy_actions, linear_schedule
from arena_lib.rl.dqn.n_step import NStepWriter, compute_n_step_returns
from arena_lib.rl.dqn.networks import ConvQNetwork, DuelingQNetwork, QNetwork, combine_streams
from arena_lib.rl.dqn.prioritized import (
    PrioritizedReplayBuffer,
    SumTree,
    compute_priorities,
    compute_replay_weights,
    sample_by_priority,
)
from arena_lib.rl.dqn.replay import ReplayBatch, ReplayBuffer, keep_real_steps, ring_rows, sample_rows
from arena_lib.rl.dqn.targets import (
    compute_double_td_target,
    compute_td_loss,
    compute_td_target,
    update_target_network,
    update_target_network_at_once,
)
from arena_lib.rl.dqn.training import DQNConfig, DQNTrainer, train_on_batch

__all__ = [
    "ConvQNetwork",
    "DQNAgent",
    "DQNConfig",
    "DQNTrainer",
    "DuelingQNetwork",
    "NStepWriter",
    "PrioritizedReplayBuffer",
    "QNetwork",
    "ReplayBatch",
    "ReplayBuffer",
    "SumTree",
    "combine_streams",
    "compute_double_td_target",
    "compute_n_step_returns",
    "compute_priorities",
    "compute_replay_weights",
    "compute_td_loss",
    "compute_td_target",
    "epsilon_greedy_policy",
    "greedy_actions",
    "keep_real_steps",
    "linear_schedule",
    "ring_rows",
    "sample_by_priority",
    "sample_rows",
    "train_on_batch",
    "update_target_network",
    "update_target_network_at_once",
]
