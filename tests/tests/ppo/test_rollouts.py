"""What learners hand in for finishing a rollout: another order, and no copy."""

import importlib

import torch

from arena_lib.checking import run
from arena_lib.rl.ppo.rollout import Batch, finish_rollout

judges = importlib.import_module("arena_lib.tests.ppo")


def without_a_copy(rollout, *rest):
    batch = finish_rollout(rollout, *rest)
    actions = rollout.actions.flatten() if rollout.is_real.all() else batch.actions
    return Batch(batch.obs, actions, batch.logprobs, batch.advantages, batch.returns, batch.values)


def by_environment(rollout, *rest):
    batch, order = finish_rollout(rollout, *rest), torch.full(rollout.is_real.shape, -1)
    order[rollout.is_real] = torch.arange(len(batch))
    return batch[order.T[rollout.is_real.T]]


def test_a_batch_in_the_rollouts_own_memory_is_named():
    assert run(judges.test_finish_rollout, without_a_copy).diagnosis.mistake == "hands on the rollout's own memory"


def test_steps_by_environment_are_named():
    assert run(judges.test_finish_rollout, by_environment).diagnosis.mistake == "orders the steps by environment"
