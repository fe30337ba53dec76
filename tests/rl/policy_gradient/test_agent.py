import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode
from torch import nn

from arena_lib.core.seeds import make_generator
from arena_lib.rl.environments.counting import CountingEnv
from arena_lib.rl.environments.stepping import Stepper
from arena_lib.rl.policy_gradient import Rollout, VPGAgent


def make_agent(mode=AutoresetMode.SAME_STEP, n_envs=2):
    makers = [CountingEnv, lambda: CountingEnv((2, 5))] * (n_envs // 2)
    torch.manual_seed(0)
    return VPGAgent(
        Stepper(gym.vector.SyncVectorEnv(makers, autoreset_mode=mode), 0), nn.Linear(1, 2), make_generator(0)
    )


def test_actions_are_drawn_from_the_policy_with_their_logprobs():
    agent = make_agent()
    obs = np.full((4000, 1), 0.5)
    actions, logprobs = agent.get_actions(obs)
    expected = agent.policy(torch.tensor([0.5])).log_softmax(-1).detach()
    torch.testing.assert_close(logprobs, expected[torch.from_numpy(actions)])
    assert actions.mean() == pytest.approx(float(expected[1].exp()), abs=0.05)
    assert not logprobs.requires_grad


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_a_rollout_counts_on_in_every_real_step(mode):
    agent = make_agent(mode)
    rollout, episodes = agent.gen_rollout(Rollout(2, 21, (1,)))
    real = rollout.is_real
    assert rollout.n_steps == 21
    assert int(real.sum()) == agent.stepper.n_steps
    torch.testing.assert_close(rollout.next_obs[real], rollout.obs[real] + 1)
    assert len(episodes) == int(rollout.done.sum())
    assert (rollout.terminated & rollout.truncated).sum() == 0
