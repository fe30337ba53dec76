"""Generalised advantage estimation: our scan beside loops over time.

"loop" is our own loop in torch, the lesson's, which the scan must equal; "numpy-loop" is a loop of array operations over
environments, as most code has it; "stable-baselines3" is its rollout buffer. No episode is truncated here: the
others take truncation for termination.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from arena_lib.rl.ppo.advantages import compute_advantages, compute_advantages_by_scan
from benchmarks.harness.declaring import Benchmark, Goal, Place, Run, Workload
from benchmarks.sizes import compare_tensors

SHAPES = {"tiny": (33, 3), "cpu": (2048, 16), "gpu": (2048, 4096)}
GAMMA, LAMBDA = 0.99, 0.95
SHARE_OF_ENDS = 0.02


def make(place: Place) -> Workload:
    """Runs return the advantages."""
    n_steps, n_envs = SHAPES[place.size]
    generator = torch.Generator().manual_seed(0)
    rewards, values = (torch.randn(n_steps, n_envs, generator=generator).to(place.device) for _ in range(2))
    terminated = (torch.rand(n_steps, n_envs, generator=generator) < SHARE_OF_ENDS).to(place.device)
    last_values = torch.randn(n_envs, generator=generator).to(place.device)
    next_values = torch.cat([values[1:], last_values[None]])
    arguments = (next_values, rewards, values, terminated, torch.zeros_like(terminated), GAMMA, LAMBDA)
    arrays = [tensor.cpu().numpy() for tensor in (next_values, rewards, values, terminated)]
    return Workload(
        ours=lambda: compute_advantages_by_scan(*arguments),
        peers={
            "loop": lambda: lambda: compute_advantages(*arguments),
            "numpy-loop": lambda: lambda: loop_over_arrays(*arrays),
            "stable-baselines3": lambda: run_buffer(arrays, last_values.cpu()),
        },
        agree=_agree_on(place.device),
        units=n_steps * n_envs,
    )


def _agree_on(device: torch.device) -> Callable[[Any, Any], float]:
    return lambda ours, theirs: compare_tensors(ours, torch.as_tensor(theirs).to(device))


def loop_over_arrays(
    next_values: np.ndarray, rewards: np.ndarray, values: np.ndarray, terminated: np.ndarray
) -> np.ndarray:
    """One pass backwards, all environments at once."""
    advantages = np.zeros_like(rewards)
    following = np.zeros(rewards.shape[1], dtype=rewards.dtype)
    for t in range(len(rewards) - 1, -1, -1):
        goes_on = 1.0 - terminated[t]
        delta = rewards[t] + GAMMA * next_values[t] * goes_on - values[t]
        following = delta + GAMMA * LAMBDA * goes_on * following
        advantages[t] = following
    return advantages


def run_buffer(arrays: list[np.ndarray], last_values: Tensor) -> Run:
    """Its rollout buffer, filled with the same."""
    import gymnasium as gym
    from stable_baselines3.common.buffers import RolloutBuffer

    _, rewards, values, terminated = arrays
    n_steps, n_envs = rewards.shape
    box = gym.spaces.Box(-1.0, 1.0, (1,))
    buffer = RolloutBuffer(n_steps, box, box, device="cpu", gamma=GAMMA, gae_lambda=LAMBDA, n_envs=n_envs)
    buffer.rewards, buffer.values = rewards, values
    buffer.episode_starts = np.concatenate([np.zeros((1, n_envs), np.float32), terminated[:-1].astype(np.float32)])

    def run() -> np.ndarray:
        buffer.compute_returns_and_advantage(last_values, terminated[-1])
        return buffer.advantages

    return run


BENCHMARK = Benchmark(
    name="gae",
    title="Generalised advantage estimation",
    cases={"rollout": "one long rollout"},
    unit="steps",
    make=make,
    dtypes={"cpu": ("float32",), "cuda": ("float32",)},
    peers=("loop", "numpy-loop", "stable-baselines3"),
    peer_packages={"stable-baselines3": "stable-baselines3>=2.9"},
    goals=(
        Goal("rollout", "numpy-loop", 4.0, on="cpu"),
        Goal("rollout", "loop", 80.0, on="cpu"),
        Goal("rollout", "loop", 50.0, on="cuda"),
    ),
)
