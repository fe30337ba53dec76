"""What our PPO is measured beside, with our own settings: stable-baselines3's PPO, and CleanRL's technique.

CleanRL's technique is one loop over steps that asks actor and critic at each, keeps rows of tensors, and estimates
advantages in a loop. It is written afresh here: CleanRL's package doesn't fit the versions that we need.

Source:  Huang et al. 2022, The 37 implementation details of PPO (the details that both share with ours).
"""

from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor, nn
from torch.distributions import Categorical

from arena_lib.rl.ppo.discrete import ADAM_EPS, PPOConfig

WIDTH = 64


def make_stable_baselines_model(config: PPOConfig) -> Any:
    """Its PPO with our settings; its defaults have the same network, initialisation and Adam."""
    from stable_baselines3 import PPO
    from stable_baselines3.common.env_util import make_vec_env

    return PPO(
        "MlpPolicy", make_vec_env(config.env_id, config.n_envs, seed=config.seed), n_steps=config.n_steps,
        batch_size=config.batch_size // config.n_minibatches, n_epochs=config.n_epochs,
        learning_rate=lambda left: config.end_lr + (config.lr - config.end_lr) * left, gamma=config.gamma,
        gae_lambda=config.gae_lambda, clip_range=config.clip_coef,
        clip_range_vf=config.clip_coef if config.clip_values else None, ent_coef=config.ent_coef,
        vf_coef=config.vf_coef, max_grad_norm=config.max_grad_norm, device="cpu", seed=config.seed,
    )  # fmt: skip


class Agent(nn.Module):
    """Actor and critic apart, two hidden layers each."""

    def __init__(self) -> None:
        super().__init__()
        self.actor, self.critic = make_network(2, 0.01), make_network(1, 1.0)

    def act(self, obs: Tensor, action: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Action, its log-probability, entropy and value."""
        dist = Categorical(logits=self.actor(obs))
        action = dist.sample() if action is None else action
        return action, dist.log_prob(action), dist.entropy(), self.critic(obs).squeeze(-1)


def make_network(d_out: int, gain: float) -> nn.Sequential:
    """Tanh between orthogonal layers."""
    layers = [nn.Linear(4, WIDTH), nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, d_out)]
    for layer, scale in zip(layers, (2**0.5, 2**0.5, gain), strict=True):
        nn.init.orthogonal_(layer.weight, scale)
        nn.init.zeros_(layer.bias)
    return nn.Sequential(layers[0], nn.Tanh(), layers[1], nn.Tanh(), layers[2])


class SingleLoop:
    """One loop for everything, on CartPole: networks are asked at each step, and GAE is a loop."""

    def __init__(self, config: PPOConfig) -> None:
        self.config = config
        torch.manual_seed(config.seed)
        np.random.seed(config.seed)
        make = partial(gym.make, "CartPole-v1")
        makers = [lambda: gym.wrappers.RecordEpisodeStatistics(make())] * config.n_envs
        same_step = gym.vector.AutoresetMode.SAME_STEP  # as in the gymnasium that CleanRL was written for
        self.envs = gym.vector.SyncVectorEnv(makers, autoreset_mode=same_step)
        self.agent = Agent()
        self.optimizer = torch.optim.Adam(self.agent.parameters(), lr=config.lr, eps=ADAM_EPS)
        shape = (config.n_steps, config.n_envs)
        self.stored = {name: torch.zeros(shape) for name in ("actions", "logprobs", "rewards", "dones", "values")}
        self.stored["obs"] = torch.zeros(*shape, 4)
        self.obs, self.done = torch.as_tensor(self.envs.reset(seed=config.seed)[0]), torch.zeros(config.n_envs)
        self.n_phases = 0
        self.episodes: list[tuple[int, float, int]] = []
        """Of each episode that ended: environment steps until then, return, length."""

    def train_phase(self) -> int:
        """Play a rollout and learn from it; returns how many updates were made."""
        config = self.config
        left = 1.0 - self.n_phases * config.batch_size / config.total_timesteps
        self.optimizer.param_groups[0]["lr"] = config.end_lr + (config.lr - config.end_lr) * left
        self.play()
        self.n_phases += 1
        return self.learn(*self.estimate())

    def play(self) -> None:
        """A rollout, row by row."""
        stored, (n_steps, n_envs) = self.stored, (self.config.n_steps, self.config.n_envs)
        for t in range(n_steps):
            stored["obs"][t], stored["dones"][t] = self.obs, self.done
            with torch.no_grad():
                action, logprob, _, value = self.agent.act(self.obs)
            stored["actions"][t], stored["logprobs"][t], stored["values"][t] = action, logprob, value
            obs, reward, terminated, truncated, info = self.envs.step(action.numpy())
            stored["rewards"][t] = torch.as_tensor(reward)
            self.obs = torch.as_tensor(obs)
            self.done = torch.as_tensor(np.logical_or(terminated, truncated)).float()
            if "final_info" in info:
                episode, step = info["final_info"]["episode"], (self.n_phases * n_steps + t + 1) * n_envs
                for env in np.flatnonzero(info["final_info"]["_episode"]):
                    self.episodes.append((step, float(episode["r"][env]), int(episode["l"][env])))

    def estimate(self) -> tuple[Tensor, Tensor]:
        """Advantages and returns."""
        stored, config = self.stored, self.config
        with torch.no_grad():
            next_value, goes_on = self.agent.critic(self.obs).squeeze(-1), 1.0 - self.done
            advantages, following = torch.zeros(config.n_steps, config.n_envs), torch.zeros(config.n_envs)
            for t in reversed(range(config.n_steps)):
                delta = stored["rewards"][t] + config.gamma * next_value * goes_on - stored["values"][t]
                following = delta + config.gamma * config.gae_lambda * goes_on * following
                advantages[t] = following
                next_value, goes_on = stored["values"][t], 1.0 - stored["dones"][t]
        return advantages, advantages + stored["values"]

    def learn(self, advantages: Tensor, returns: Tensor) -> int:
        """All epochs of one rollout."""
        flat = {name: tensor.flatten(0, 1) for name, tensor in self.stored.items()}
        advantages, returns = advantages.flatten(), returns.flatten()
        n_updates = 0
        for _ in range(self.config.n_epochs):
            for idx in np.random.permutation(self.config.batch_size).reshape(self.config.n_minibatches, -1):
                loss = self.compute_loss(
                    {name: tensor[idx] for name, tensor in flat.items()}, advantages[idx], returns[idx]
                )
                self.optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(self.agent.parameters(), self.config.max_grad_norm)
                self.optimizer.step()
                n_updates += 1
        return n_updates

    def compute_loss(self, rows: dict[str, Tensor], advantage: Tensor, returns: Tensor) -> Tensor:
        """The clipped objective, negative, with the critic's loss and the entropy."""
        config = self.config
        _, logprob, entropy, value = self.agent.act(rows["obs"], rows["actions"].long())
        ratio = (logprob - rows["logprobs"]).exp()
        advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
        near_ratio = ratio.clamp(1 - config.clip_coef, 1 + config.clip_coef)
        policy_loss = torch.max(-advantage * ratio, -advantage * near_ratio).mean()
        errors = (value - returns) ** 2
        if config.clip_values:
            near = rows["values"] + (value - rows["values"]).clamp(-config.clip_coef, config.clip_coef)
            errors = torch.max(errors, (near - returns) ** 2)
        return policy_loss - config.ent_coef * entropy.mean() + config.vf_coef * 0.5 * errors.mean()
