"""PPO on CartPole: one phase of acting and learning, 4 environments x 128 steps, 4 epochs of 4 minibatches.

"stable-baselines3" is its PPO with the same settings and the same network; "cleanrl-technique" is one loop over steps
that asks actor and critic at each, as CleanRL's single file does, written afresh. Weights are drawn by each, so that
results can't be equal: what is compared before the timing is the work, environment steps and updates. What the agents
reach is in docs/rl_results.md: steps a second say nothing without it.
"""

from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor, nn
from torch.distributions import Categorical

from arena_lib.rl.ppo.discrete import PPOConfig, PPOTrainer
from benchmarks.harness.declaring import Benchmark, Goal, Place, Run, Workload
from benchmarks.sizes import compare_tensors

N_ENVS, N_STEPS, N_EPOCHS, N_MINIBATCHES = 4, 128, 4, 4
BATCH = N_ENVS * N_STEPS
LR, GAMMA, LAMBDA, CLIP, ENTROPY, VALUE, MAX_NORM = 2.5e-4, 0.99, 0.95, 0.2, 0.01, 0.5, 0.5
WIDTH = 64


def make(place: Place) -> Workload:
    """Runs return how many environment steps and updates they made."""
    return Workload(
        ours=make_ours(),
        peers={"stable-baselines3": make_stable_baselines, "cleanrl-technique": make_single_loop},
        agree=compare_tensors,
        units=BATCH,
        needs_grad=True,
    )


def make_ours() -> Run:
    """Our trainer's phase."""
    config = PPOConfig(
        n_envs=N_ENVS, n_steps=N_STEPS, n_epochs=N_EPOCHS, n_minibatches=N_MINIBATCHES, lr=LR, gamma=GAMMA,
        gae_lambda=LAMBDA, clip_coef=CLIP, ent_coef=ENTROPY, vf_coef=VALUE, max_grad_norm=MAX_NORM,
        clip_values=True, total_timesteps=10**9,
    )  # fmt: skip
    trainer = PPOTrainer(config)

    def run() -> Tensor:
        before = trainer.stepper.n_steps
        figures = trainer.train_phase()
        trainer.stepper.finished()
        return torch.tensor([trainer.stepper.n_steps - before, int(figures["epochs"]) * N_MINIBATCHES])

    return run


def make_stable_baselines() -> Run:
    """Its collect_rollouts and train, which its `learn` calls in turns."""
    from stable_baselines3 import PPO
    from stable_baselines3.common.env_util import make_vec_env

    model = PPO(
        "MlpPolicy", make_vec_env("CartPole-v1", N_ENVS), n_steps=N_STEPS, batch_size=BATCH // N_MINIBATCHES,
        n_epochs=N_EPOCHS, learning_rate=LR, gamma=GAMMA, gae_lambda=LAMBDA, clip_range=CLIP, clip_range_vf=CLIP,
        ent_coef=ENTROPY, vf_coef=VALUE, max_grad_norm=MAX_NORM, device="cpu", seed=0,
    )  # fmt: skip
    _, callback = model._setup_learn(10**9)

    def run() -> Tensor:
        before, updates_before = model.num_timesteps, model._n_updates
        model.collect_rollouts(model.env, callback, model.rollout_buffer, n_rollout_steps=N_STEPS)
        model.train()
        epochs = model._n_updates - updates_before
        return torch.tensor([model.num_timesteps - before, epochs * N_MINIBATCHES])

    return run


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


def make_single_loop() -> Run:
    """One loop for everything: networks are asked at each step, tensors are written row by row, GAE is a loop."""
    makers = [partial(gym.wrappers.RecordEpisodeStatistics, gym.make("CartPole-v1")) for _ in range(N_ENVS)]
    envs = gym.vector.SyncVectorEnv(makers)
    agent = Agent()
    optimizer = torch.optim.Adam(agent.parameters(), lr=LR, eps=1e-5)
    stored = {name: torch.zeros(N_STEPS, N_ENVS) for name in ("actions", "logprobs", "rewards", "dones", "values")}
    stored["obs"] = torch.zeros(N_STEPS, N_ENVS, 4)
    state: dict[str, Any] = {"obs": torch.as_tensor(envs.reset(seed=0)[0]), "done": torch.zeros(N_ENVS)}

    def play() -> None:
        for t in range(N_STEPS):
            stored["obs"][t], stored["dones"][t] = state["obs"], state["done"]
            with torch.no_grad():
                action, logprob, _, value = agent.act(state["obs"])
            stored["actions"][t], stored["logprobs"][t], stored["values"][t] = action, logprob, value
            obs, reward, terminated, truncated, _ = envs.step(action.numpy())
            stored["rewards"][t] = torch.as_tensor(reward)
            state["obs"] = torch.as_tensor(obs)
            state["done"] = torch.as_tensor(np.logical_or(terminated, truncated)).float()

    def estimate() -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            next_value, goes_on = agent.critic(state["obs"]).squeeze(-1), 1.0 - state["done"]
            advantages, following = torch.zeros(N_STEPS, N_ENVS), torch.zeros(N_ENVS)
            for t in reversed(range(N_STEPS)):
                delta = stored["rewards"][t] + GAMMA * next_value * goes_on - stored["values"][t]
                following = delta + GAMMA * LAMBDA * goes_on * following
                advantages[t] = following
                next_value, goes_on = stored["values"][t], 1.0 - stored["dones"][t]
        return advantages, advantages + stored["values"]

    def learn(advantages: Tensor, returns: Tensor) -> int:
        flat = {name: tensor.flatten(0, 1) for name, tensor in stored.items()}
        advantages, returns = advantages.flatten(), returns.flatten()
        n_updates = 0
        for _ in range(N_EPOCHS):
            for idx in np.random.permutation(BATCH).reshape(N_MINIBATCHES, -1):
                _, logprob, entropy, value = agent.act(flat["obs"][idx], flat["actions"].long()[idx])
                ratio = (logprob - flat["logprobs"][idx]).exp()
                advantage = advantages[idx]
                advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
                policy_loss = torch.max(-advantage * ratio, -advantage * ratio.clamp(1 - CLIP, 1 + CLIP)).mean()
                old = flat["values"][idx]
                near = old + (value - old).clamp(-CLIP, CLIP)
                value_loss = 0.5 * torch.max((value - returns[idx]) ** 2, (near - returns[idx]) ** 2).mean()
                loss = policy_loss - ENTROPY * entropy.mean() + VALUE * value_loss
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(agent.parameters(), MAX_NORM)
                optimizer.step()
                n_updates += 1
        return n_updates

    def run() -> Tensor:
        play()
        return torch.tensor([BATCH, learn(*estimate())])

    return run


BENCHMARK = Benchmark(
    name="ppo",
    title="PPO: a phase of acting and learning",
    cases={"cartpole": "CartPole-v1, 4 x 128 steps, 4 epochs of 4 minibatches"},
    unit="steps",
    make=make,
    dtypes={"cpu": ("float32",)},
    peers=("stable-baselines3", "cleanrl-technique"),
    peer_packages={"stable-baselines3": "stable-baselines3>=2.9"},
    goals=(Goal("cartpole", "stable-baselines3", 3.0, on="cpu"), Goal("cartpole", "cleanrl-technique", 3.0, on="cpu")),
)
