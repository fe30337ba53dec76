"""Vanilla policy gradient: make what went well likelier, with as little noise as possible.

returns    discounted sums of rewards, normalised, or beside what a baseline expected
rollout    steps of several environments side by side
agent      drawing actions, gathering rollouts
loss       log-probabilities, importance weights, the loss, and how much its gradient varies
training   the whole
"""

from arena_lib.rl.policy_gradient.agent import VPGAgent
from arena_lib.rl.policy_gradient.loss import (
    compute_gradient_variance,
    compute_importance_weights,
    compute_logprobs_and_entropy,
    compute_reinforce_loss,
)
from arena_lib.rl.policy_gradient.returns import compute_returns, normalize_returns, subtract_baseline
from arena_lib.rl.policy_gradient.rollout import Rollout
from arena_lib.rl.policy_gradient.training import VPGConfig, VPGTrainer

__all__ = [
    "Rollout",
    "VPGAgent",
    "VPGConfig",
    "VPGTrainer",
    "compute_gradient_variance",
    "compute_importance_weights",
    "compute_logprobs_and_entropy",
    "compute_reinforce_loss",
    "compute_returns",
    "normalize_returns",
    "subtract_baseline",
]
