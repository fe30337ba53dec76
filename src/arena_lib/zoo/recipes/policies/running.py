"""One run of a policy's recipe: from a fresh trainer to a folder that the zoo can load, and what the policy reaches.

Raises:  ConfigError for a device other than the CPU, where the environments step.
"""

from dataclasses import replace
from pathlib import Path

from arena_lib.errors import ConfigError
from arena_lib.rl.ppo.discrete import PPOConfig, PPOTrainer
from arena_lib.rl.ppo.policies import PPOPolicy, load_policy, make_policy, save_policy
from arena_lib.rl.training.evaluation import EVALUATION_SEED, Evaluation, evaluate, make_random_policy

RUN_FOLDER, MODEL_FOLDER = "run", "model"
"""Where, in a recipe's folder, the checkpoints and the finished policy are."""
N_EPISODES = 20


def run_recipe(
    trainer_class: type[PPOTrainer],
    config: PPOConfig,
    folder: Path | str,
    *,
    steps: int | None = None,
    device: str = "cpu",
    resume: bool = True,
) -> dict[str, float]:
    """Train, write the finished policy to `folder/model`, and return its figures, from the files as written.

    `steps` are environment steps, in place of the recipe's own.
    """
    if str(device) != "cpu":
        raise ConfigError(f"a policy must be trained on the CPU, where its environments step: got {device!r}.")
    trainer = trainer_class(config if steps is None else replace(config, total_timesteps=steps))
    trainer.train(Path(folder) / RUN_FOLDER, resume=resume)
    policy = load_policy(save_policy(make_policy(trainer), Path(folder) / MODEL_FOLDER))
    return compute_figures(*play(policy))


def play(policy: PPOPolicy, n_episodes: int = N_EPISODES) -> tuple[Evaluation, Evaluation]:
    """Greedy episodes of the policy, and the same episodes with actions drawn at random."""
    return (
        evaluate(policy, policy.env_id, n_episodes=n_episodes),
        evaluate(make_random_policy(policy.env_id, EVALUATION_SEED), policy.env_id, n_episodes=n_episodes),
    )


def compute_figures(played: Evaluation, random: Evaluation) -> dict[str, float]:
    """What a card says under [reached]."""
    return {
        "mean_return": played.mean,
        "lowest_return": min(played.returns),
        "highest_return": max(played.returns),
        "random_mean_return": random.mean,
    }
