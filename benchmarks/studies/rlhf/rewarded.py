"""GRPO and PPO on the proxy, with and without a KL penalty: the curve of each arm on held-out prompts."""

import copy
import time
from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from arena_lib.rlhf.grpo import GrpoConfig, GrpoTrainer
from arena_lib.rlhf.ppo import RLHFConfig, RLHFTrainer
from arena_lib.rlhf.prompts import make_story_prompts
from arena_lib.rlhf.rewards.checking import RewardFn
from arena_lib.rlhf.rewards.moods import reward_fn_good_moods
from arena_lib.rlhf.value_head import TransformerWithValueHead
from arena_lib.transformer.fast.model import Transformer
from benchmarks.studies.rlhf.held_out import GEN_LEN, REWARDS, load_policy, measure

N_PROMPTS = 512
"""Prompts to train on."""
GRPO = {"n_prompts": 8, "group_size": 8, "gen_len": GEN_LEN, "lr": 5e-4, "n_epochs": 2, "n_minibatches": 1}
PPO = {"n_prompts": 64, "gen_len": GEN_LEN, "lr": 3e-4, "n_epochs": 2, "n_minibatches": 2}
N_UPDATES = {"grpo": 120, "ppo": 240}
"""Of both, 60 phases of 64 samples."""
EVERY = {"grpo": 10, "ppo": 20}
"""Updates between two measurements: five phases."""
ARMS: Mapping[str, Mapping[str, Any]] = {
    "grpo, no KL": {"method": "grpo", "kl_coef": 0.0},
    "grpo, KL 0.1": {"method": "grpo", "kl_coef": 0.1},
    "grpo, KL 0.3": {"method": "grpo", "kl_coef": 0.3},
    "ppo, no KL": {"method": "ppo", "kl_coef": 0.0},
    "ppo, KL 0.1": {"method": "ppo", "kl_coef": 0.1},
    "ppo, 6 nats": {"method": "ppo", "kl_coef": 0.1, "target_kl": 6.0},
}


def run_arm(name: str, seed: int) -> dict[str, Any]:
    """One arm with one seed."""
    settings = dict(ARMS[name])
    method = settings.pop("method")
    return train_policy(method, seed, reward_fn_good_moods, settings)


def train_policy(
    method: str,
    seed: int,
    reward_fn: RewardFn,
    settings: Mapping[str, Any],
    n_updates: int | None = None,
    rewards: Mapping[str, RewardFn] = REWARDS,
) -> dict[str, Any]:
    """Train by GRPO or PPO on a reward, and measure it every few phases; seconds are of training and measuring."""
    policy = load_policy()
    reference, prompts = copy.deepcopy(policy), make_story_prompts(N_PROMPTS, seed=seed)
    rows = [{"update": 0, **measure(policy, reference, rewards)}]
    every, n_updates = EVERY[method], n_updates or N_UPDATES[method]

    def look(net: nn.Module) -> dict[str, float]:
        rows.append({"update": (len(rows)) * every, **measure(policy, reference, rewards)})
        return {name: rows[-1][name] for name in rewards}

    train = _make_trainer(method, policy, seed, settings, n_updates, every)
    start = time.process_time()
    train(prompts, reward_fn, reference, look)
    return {"rows": rows, "cpu_seconds": time.process_time() - start}


def _make_trainer(
    method: str, policy: Transformer, seed: int, settings: Mapping[str, Any], n_updates: int, every: int
) -> Callable[..., None]:
    given = {**settings, "n_steps": n_updates, "eval_every": every, "seed": seed}

    def by_grpo(prompts: Any, reward_fn: RewardFn, reference: Transformer, look: Any) -> None:
        config = GrpoConfig(**GRPO, **given)
        GrpoTrainer(policy, config, prompts, reward_fn, reference=reference, evaluate=look).train()

    def by_ppo(prompts: Any, reward_fn: RewardFn, reference: Transformer, look: Any) -> None:
        config, model = RLHFConfig(**PPO, **given), TransformerWithValueHead(policy)
        RLHFTrainer(model, config, prompts, reward_fn, reference=reference, evaluate=look).train()

    return by_grpo if method == "grpo" else by_ppo
