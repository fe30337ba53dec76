"""Studies of PPO: CartPole in a minute and in CleanRL's setting, LunarLander, MinAtar, MuJoCo."""

from collections.abc import Mapping
from typing import Any

from arena_lib.rl.ppo.continuous import PPOContinuousConfig, PPOTrainerCts
from arena_lib.rl.ppo.discrete import PPOConfig, PPOTrainer
from arena_lib.rl.training.evaluation import Policy
from arena_lib.rl.training.runs import TrainingRun
from arena_lib.zoo.recipes.policies import ppo_cartpole, ppo_hopper, ppo_minatar_breakout
from benchmarks.studies.declaring import Study, Train, Trial, Watch


def _discrete(settings: Mapping[str, Any]) -> Train:
    def train(seed: int, watch: Watch) -> tuple[TrainingRun, Policy]:
        trainer = PPOTrainer(PPOConfig(seed=seed, **settings))
        return trainer.train(), trainer.policy()

    return train


def _continuous(settings: Mapping[str, Any]) -> Train:
    def train(seed: int, watch: Watch) -> tuple[TrainingRun, Policy]:
        trainer = PPOTrainerCts(PPOContinuousConfig(seed=seed, **settings))
        return trainer.train(), trainer.policy()

    return train


def _study(name: str, title: str, settings: dict[str, Any], *, is_continuous: bool = False, **more: Any) -> Study:
    train = _continuous(settings) if is_continuous else _discrete(settings)
    return Study(name=name, title=title, env_id=settings["env_id"], settings=settings, train=train, **more)


STUDIES = (
    _study(
        "ppo-cartpole",
        "PPO, CartPole-v1",
        ppo_cartpole.SETTINGS,
        threshold=475.0,
        trials=(
            Trial("nothing: this setting", "100-104", "475 at 27k, 34k, 34k, 39k and 44k steps; 499 to 500 at the end"),
        ),
    ),
    _study(
        "ppo-cartpole-cleanrl",
        "PPO, CartPole-v1, in CleanRL's setting",
        {
            "env_id": "CartPole-v1",
            "total_timesteps": 500_000,
            "n_envs": 4,
            "n_steps": 128,
            "n_minibatches": 4,
            "n_epochs": 4,
            "lr": 2.5e-4,
            "clip_values": True,
        },
        threshold=475.0,
        published="498.94 at 200,000 steps (SLM-Lab, docs/BENCHMARKS.md, February 2026, four sessions, other settings).",
    ),
    _study(
        "ppo-lunarlander",
        "PPO, LunarLander-v3",
        {
            "env_id": "LunarLander-v3",
            "total_timesteps": 1_000_000,
            "n_envs": 16,
            "n_steps": 128,
            "n_minibatches": 16,
            "n_epochs": 8,
            "lr": 1e-3,
            "gamma": 0.995,
            "gae_lambda": 0.97,
        },
        threshold=200.0,
        last_steps=50_000,
        trials=(
            Trial("nothing: this setting", "100-102", "247, 195 and 265 in the last 50,000 steps"),
            Trial(
                "n_epochs 4",
                "100",
                "254 in the last tenth of training, 271 greedy. On seeds 0 and 1, reported once: 187 and 182 in the last "
                "50,000 steps, 204 and 196 greedy",
            ),
            Trial("n_epochs 4, 1,500,000 steps", "100", "223 in the last twentieth of training"),
            Trial(
                "n_epochs 4, n_steps 512, n_minibatches 64, lr 5e-4, gamma 0.999, gae_lambda 0.98",
                "100-101",
                "214 and 148 in the last 50,000 steps",
            ),
            Trial(
                "n_epochs 4, 500,000 steps, n_steps 256, n_minibatches 32, gamma 0.999, gae_lambda 0.98",
                "100",
                "113 in the last tenth of training, 206 greedy",
            ),
            Trial(
                "n_epochs 4, 500,000 steps, gamma 0.99, gae_lambda 0.95",
                "100",
                "-4 in the last tenth of training, -58 greedy",
            ),
        ),
        published="183.30 at 300,000 steps (SLM-Lab, docs/BENCHMARKS.md, February 2026); 242.1 +- 31.8 at a million "
        "steps on LunarLander-v2, one run, deterministic (rl-baselines3-zoo, benchmark.md).",
    ),
    _study(
        "ppo-minatar-breakout",
        "PPO, MinAtar/Breakout-v1",
        ppo_minatar_breakout.SETTINGS,
        threshold=4.0,
        published="no table of MinAtar's scores was found; its paper (arXiv:1903.03176) has curves over five million "
        "frames. A random policy reaches about 0.5.",
    ),
    _study(
        "ppo-halfcheetah",
        "PPO for continuous actions, HalfCheetah-v5",
        {"env_id": "HalfCheetah-v5"},
        is_continuous=True,
        last_steps=100_000,
        published="5,819 +- 664 on HalfCheetah-v3 at a million steps, tuned, one run, deterministic "
        "(rl-baselines3-zoo, benchmark.md).",
    ),
    _study(
        "ppo-hopper",
        "PPO for continuous actions, Hopper-v5",
        ppo_hopper.SETTINGS,
        is_continuous=True,
        last_steps=100_000,
        published="2,410 +- 10 on Hopper-v3 at a million steps, tuned, one run, deterministic "
        "(rl-baselines3-zoo, benchmark.md).",
    ),
)
