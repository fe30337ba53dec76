"""Studies of peers: stable-baselines3 and CleanRL's technique with our settings, for the time to a threshold.

A seed's time to the threshold is its processor time times the share of its steps until then: each trains at a steady pace.
"""

from typing import Any

import numpy as np
import torch

from arena_lib.rl.ppo.discrete import PPOConfig
from arena_lib.rl.training.evaluation import Policy
from arena_lib.rl.training.runs import TrainingRun
from arena_lib.zoo.recipes.policies import ppo_cartpole
from benchmarks.paths._ppo_peers import SingleLoop, make_stable_baselines_model
from benchmarks.studies import dqn
from benchmarks.studies.declaring import Study, Watch

DQN_SETTINGS = next(study.settings for study in dqn.STUDIES if study.name == "dqn-cartpole")


def train_stable_baselines_ppo(seed: int, watch: Watch) -> tuple[TrainingRun, Policy]:
    """Its PPO with the settings of the study `ppo-cartpole`."""
    config = PPOConfig(seed=seed, **ppo_cartpole.SETTINGS)
    return _learn(make_stable_baselines_model(config), config.total_phases * config.batch_size, watch)


def train_stable_baselines_dqn(seed: int, watch: Watch) -> tuple[TrainingRun, Policy]:
    """Its DQN with the settings of the study `dqn-cartpole`, as far as it has them."""
    from stable_baselines3 import DQN
    from stable_baselines3.common.env_util import make_vec_env

    from arena_lib.rl.dqn.training import DQNConfig

    config = DQNConfig(seed=seed, **DQN_SETTINGS)
    model = DQN(
        "MlpPolicy", make_vec_env(config.env_id, config.n_envs, seed=seed), buffer_size=config.buffer_size,
        learning_rate=lambda left: config.lr * (config.final_lr_fraction + (1 - config.final_lr_fraction) * left),
        learning_starts=config.learning_starts, batch_size=config.batch_size, tau=config.tau, gamma=config.gamma,
        train_freq=config.train_every, target_update_interval=config.target_every, n_steps=config.n_step,
        exploration_fraction=config.exploration_fraction, exploration_initial_eps=config.start_e,
        exploration_final_eps=config.end_e, policy_kwargs={"net_arch": list(config.hidden_sizes)}, device="cpu", seed=seed,
    )  # fmt: skip
    return _learn(model, config.total_steps, watch)


def _learn(model: Any, n_steps: int, watch: Watch) -> tuple[TrainingRun, Policy]:
    from stable_baselines3.common.callbacks import BaseCallback

    episodes: list[tuple[int, float, int]] = []

    def act(obs: np.ndarray) -> np.ndarray:
        actions: np.ndarray = model.predict(obs, deterministic=True)[0]
        return actions

    class Recorder(BaseCallback):
        def _on_step(self) -> bool:
            for info in self.locals["infos"]:
                if "episode" in info:
                    episodes.append((self.num_timesteps, float(info["episode"]["r"]), int(info["episode"]["l"])))
            watch(self.num_timesteps, act)
            return True

    model.learn(n_steps, callback=Recorder())
    return TrainingRun(episodes, [], model.num_timesteps, True, 0.0, None), act


def train_single_loop(seed: int, watch: Watch) -> tuple[TrainingRun, Policy]:
    """CleanRL's technique with the settings of the study `ppo-cartpole`."""
    config = PPOConfig(seed=seed, **ppo_cartpole.SETTINGS)
    loop = SingleLoop(config)
    for _ in range(config.total_phases):
        loop.train_phase()

    def act(obs: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            actions: np.ndarray = loop.agent.actor(torch.as_tensor(obs)).argmax(-1).numpy()
        return actions

    return TrainingRun(loop.episodes, [], config.total_phases * config.batch_size, True, 0.0, None), act


STUDIES = (
    Study(
        name="ppo-cartpole-stable-baselines3",
        title="stable-baselines3's PPO, CartPole-v1, in our setting",
        env_id="CartPole-v1",
        settings=ppo_cartpole.SETTINGS,
        train=train_stable_baselines_ppo,
        threshold=475.0,
    ),
    Study(
        name="ppo-cartpole-single-loop",
        title="CleanRL's technique of PPO, CartPole-v1, in our setting",
        env_id="CartPole-v1",
        settings=ppo_cartpole.SETTINGS,
        train=train_single_loop,
        threshold=475.0,
    ),
    Study(
        name="dqn-cartpole-stable-baselines3",
        title="stable-baselines3's DQN, CartPole-v1, in our setting",
        env_id="CartPole-v1",
        settings=DQN_SETTINGS,
        train=train_stable_baselines_dqn,
        threshold=475.0,
        evaluate_every=5_000,
        note="It has no double targets; everything else is as in `dqn-cartpole`.",
    ),
)
