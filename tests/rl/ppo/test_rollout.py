"""A rollout keeps what it is given; finishing it leaves phantoms out."""

import numpy as np
import pytest
import torch

from arena_lib.errors import ShapeError
from arena_lib.rl.ppo.advantages import compute_advantages
from arena_lib.rl.ppo.rollout import Rollout, finish_rollout, get_minibatch_indices


def filled(n_steps: int = 4, n_envs: int = 2, **changed: np.ndarray) -> Rollout:
    rollout = Rollout(n_steps, n_envs, (1,))
    rng = np.random.default_rng(0)
    for t in range(n_steps):
        step = {
            "obs": rng.normal(size=(n_envs, 1)),
            "actions": rng.integers(0, 2, n_envs),
            "rewards": rng.normal(size=n_envs),
            "next_obs": rng.normal(size=(n_envs, 1)),
            "terminated": np.zeros(n_envs, bool),
            "truncated": np.zeros(n_envs, bool),
            "is_real": np.ones(n_envs, bool),
        }
        rollout.add(**{**step, **{name: array[t] for name, array in changed.items()}})
    return rollout


def test_a_full_rollout_takes_no_more_until_it_is_cleared():
    rollout = filled()
    assert rollout.is_full
    with pytest.raises(ShapeError, match="all 4 are taken"):
        rollout.add(obs=0, actions=0, rewards=0, next_obs=0, terminated=0, truncated=0, is_real=0)
    rollout.clear()
    rollout.add(obs=7, actions=1, rewards=2, next_obs=8, terminated=True, truncated=False, is_real=True)
    assert rollout.obs[0].flatten().tolist() == [7, 7]
    assert rollout.n_filled == 1


def test_finishing_a_rollout_flattens_by_step_and_then_by_environment():
    rollout = filled()
    batch = finish_rollout(rollout, lambda obs: 3 * obs, lambda obs, actions: obs.squeeze(-1) - actions, 0.9, 0.8)
    assert torch.equal(batch.obs, rollout.obs.flatten(0, 1))
    assert len(batch) == 8
    assert torch.equal(batch.logprobs, batch.obs.squeeze(-1) - batch.actions)
    values = 3 * rollout.obs.squeeze(-1)
    next_values = torch.cat([values[1:], 3 * rollout.next_obs[-1:].squeeze(-1)])
    ends = rollout.terminated, rollout.truncated
    advantages = compute_advantages(next_values, rollout.rewards, values, *ends, 0.9, 0.8)
    torch.testing.assert_close(batch.advantages, advantages.flatten())
    torch.testing.assert_close(batch.returns, (advantages + values).flatten())
    assert torch.equal(batch[[2, 0]].obs, batch.obs[[2, 0]])


def test_phantom_steps_are_left_out_and_touch_no_other_step():
    ends = np.array([[False, True], [False, False], [False, False], [False, False]])
    is_real = np.array([[True, True], [True, False], [True, True], [True, True]])
    batches = []
    for phantom_obs in (0.0, 1000.0):
        rollout = filled(terminated=ends, is_real=is_real)
        rollout.obs[1, 1] = rollout.rewards[1, 1] = phantom_obs
        batches.append(finish_rollout(rollout, lambda obs: obs, lambda obs, actions: 0 * actions + obs[:, 0], 0.9, 0.8))
    assert len(batches[0]) == 7
    assert torch.equal(batches[0].advantages, batches[1].advantages)


def test_minibatches_deal_out_every_index_once_and_anew_each_time():
    rng = np.random.default_rng(0)
    first, second = (get_minibatch_indices(rng, 12, 4) for _ in range(2))
    assert [len(idx) for idx in first] == [4, 4, 4]
    assert sorted(np.concatenate(first).tolist()) == list(range(12))
    assert np.concatenate(first).tolist() != np.concatenate(second).tolist()
    assert len(set(np.concatenate(get_minibatch_indices(rng, 13, 4)).tolist())) == 12
