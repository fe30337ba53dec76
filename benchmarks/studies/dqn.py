"""Studies of DQN: CartPole, judged by greedy evaluation, in a setting with the improvements and in one known to collapse."""

from collections.abc import Mapping
from typing import Any

from arena_lib.rl.dqn.training import DQNConfig, DQNTrainer
from arena_lib.rl.training.evaluation import Policy
from arena_lib.rl.training.runs import TrainingRun
from benchmarks.studies.declaring import Study, Train, Trial, Watch


def _train(settings: Mapping[str, Any]) -> Train:
    def train(seed: int, watch: Watch) -> tuple[TrainingRun, Policy]:
        trainer = DQNTrainer(DQNConfig(seed=seed, **settings))
        policy = trainer.policy()
        return trainer.train(on_step=lambda step: watch(step, policy)), policy

    return train


TRIALS = (
    Trial("as reported", "100-104", "none reached 475; final greedy means 344, 286, 369, 444, 354"),
    Trial("n_step 1", "100-104", "none reached 475; final greedy means 216, 295, 177, 270, 231"),
    Trial(
        "4 environments, an update every 4 steps, batch 128, tau 0.02, final_lr_fraction 0.05",
        "100-104",
        "none reached 475; final greedy means 300, 372, 332, 263, 449",
    ),
    Trial("100,000 steps", "100", "didn't reach 475; final greedy mean 426, still rising"),
    Trial(
        "4 environments, an update every 4 steps, batch 128, tau 0.02, final_lr_fraction 0.05, gamma 0.995, n_step 5, "
        "hidden_sizes (256, 256)",
        "100-103",
        "one reached 475, at 25,000 steps, and was never below 482 after it; final greedy means 436, 429, 500, 442",
    ),
    Trial(
        "1 environment, an update every 2 steps, batch 64, lr 2.3e-3, hidden_sizes (256, 256), a target copied every 10 "
        "updates, n_step 1, not double",
        "100",
        "475 at 10,000 steps, then a collapse: final greedy mean 156",
    ),
    Trial(
        "1 environment, an update every step, batch 128, tau 0.005, n_step 5",
        "100",
        "475 at 35,000 steps and held to the end: worst after 475, final greedy mean 497; not tried on other seeds",
    ),
)
"""What was tried so far; the search isn't over, since no setting is known to hold 475 on most seeds."""


def _study(name: str, title: str, settings: dict[str, Any], **more: Any) -> Study:
    every = {"threshold": 475.0, "evaluate_every": 5_000}
    return Study(
        name=name, title=title, env_id="CartPole-v1", settings=settings, train=_train(settings), **every, **more
    )


STUDIES = (
    _study(
        "dqn-cartpole",
        "DQN, CartPole-v1: double, 3-step, a target that follows slowly, an annealed learning rate",
        {"total_steps": 50_000, "n_envs": 8, "train_every": 8, "batch_size": 256, "tau": 0.01},
        published="488.69 +- 16.11 at 500,000 steps, training return (CleanRL, docs, dqn.md); 239.94 at 200,000 frames "
        "and 451.51 with double and prioritised replay (SLM-Lab, docs/BENCHMARKS.md, February 2026).",
        note="The reported setting doesn't hold 475. Of those tried so far two did, on one seed each.",
        trials=TRIALS,
    ),
    _study(
        "dqn-cartpole-cleanrl",
        "DQN, CartPole-v1, in CleanRL's setting",
        {
            "total_steps": 500_000,
            "lr": 2.5e-4,
            "final_lr_fraction": 1.0,
            "batch_size": 128,
            "buffer_size": 10_000,
            "learning_starts": 10_000,
            "train_every": 10,
            "target_every": 50,
            "tau": 1.0,
            "exploration_fraction": 0.5,
            "n_step": 1,
            "is_double": False,
        },
        published="488.69 +- 16.11, training return (CleanRL, docs, dqn.md).",
        note="its collapses are known.",
    ),
)
