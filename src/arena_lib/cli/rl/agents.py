"""`arena rl`: train an agent, and watch it."""

from __future__ import annotations

import dataclasses
import pkgutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from arena_lib.cli.support.output import UsageError, json_option, make_folder, print_json, show, verb
from arena_lib.errors import UnknownNameError

if TYPE_CHECKING:
    from arena_lib.rl.training.evaluation import Policy

RUNS = Path("output/rl")
"""Where runs are kept by default."""


@click.group("rl", no_args_is_help=True)
def rl() -> None:
    """Agents: train one, and watch what it does."""


@rl.command("train")
@click.argument("algorithm")
@click.option("--env", "env_id", help="The environment's id; the algorithm's own by default.")
@click.option("--steps", type=int, help="Environment steps in all; the algorithm's own by default.")
@click.option("--seed", type=int, default=0, help="Decides everything that is drawn.")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="NAME=VALUE",
    help="A setting, as in --set lr=1e-3; --set help lists them all.",
)
@click.option(
    "--folder", type=click.Path(path_type=Path), help="Where to keep the run; output/rl/ALGORITHM-ENV-SEED by default."
)
@click.option("--fresh", is_flag=True, help="Start from the beginning, even if there is a checkpoint.")
@json_option
@verb
def train(
    algorithm: str,
    env_id: str | None,
    steps: int | None,
    seed: int,
    settings: tuple[str, ...],
    folder: Path | None,
    fresh: bool,
    as_json: bool,
) -> None:
    """Train dqn, vpg, ppo or ppo-continuous.

    A run that was stopped continues.
    """
    from arena_lib.rl.training.algorithms import get_algorithm, make_config, make_trainer, read_settings
    from arena_lib.rl.training.evaluation import evaluate

    if "help" in settings:
        names = _list_settings(algorithm)
        print_json(names) if as_json else show(_as_lines(names))
        return
    given = {"env_id": env_id, get_algorithm(algorithm).steps: steps, "seed": seed}
    chosen = {name: value for name, value in given.items() if value is not None}
    try:
        config = make_config(algorithm, chosen | read_settings(algorithm, settings))
    except UnknownNameError as error:
        if not error.kind.startswith("setting"):
            raise
        lines = _as_lines(_list_settings(algorithm))
        raise UsageError(
            f"no {error.kind} is called {error.name!r}. There are, with their defaults:\n{lines}"
        ) from error
    trainer = make_trainer(algorithm, config)
    folder = folder or RUNS / f"{algorithm}-{config.env_id.replace('/', '-')}-{config.seed}"
    make_folder("--folder", folder)
    run = trainer.train(folder=folder, resume=not fresh)
    reached = evaluate(trainer.policy(), config.env_id)
    if as_json:
        print_json(
            {
                "path": str(folder),
                "steps": run.n_steps,
                "episodes": len(run.episodes),
                "greedy_returns": reached.returns,
            }
        )
        return
    n_episodes = len(reached.returns)
    show(
        f"{run.n_steps:,} steps{_why_not(steps, run.n_steps, config)}, {len(run.episodes):,} episodes. Greedy, over {n_episodes}: {reached.mean:.1f}."
    )
    show(f"The run is in {folder}. Next: arena rl watch {folder}")


def _list_settings(algorithm: str) -> dict[str, str]:
    """The settings of an algorithm with their defaults, as they are written after --set."""
    from arena_lib.rl.training.algorithms import get_algorithm

    fields = dataclasses.fields(pkgutil.resolve_name(get_algorithm(algorithm).config))
    return {field.name: str(field.default) for field in fields}


def _as_lines(settings: Mapping[str, str]) -> str:
    return "\n".join(f"  {name}={value}" for name, value in settings.items())


def _why_not(asked: int | None, n_steps: int, config: Any) -> str:
    """Why another number of steps was made than was asked for, where whole rollouts are."""
    if asked is None or n_steps >= asked or not hasattr(config, "n_steps"):
        return ""
    return f" of {asked:,}, in whole rollouts of {config.n_envs * config.n_steps:,}"


@rl.command("watch")
@click.argument("run", metavar="FOLDER_OR_NAME")
@click.option(
    "--video",
    type=click.Path(path_type=Path),
    help="Write here, .webp or .gif; into the run, or output/rl/NAME, by default.",
)
@click.option("--episodes", type=click.IntRange(min=1), default=1, help="How many to show.")
@click.option("--seed", type=int, help="Which episodes; not those of training by default.")
@json_option
@verb
def watch(run: str, video: Path | None, episodes: int, seed: int | None, as_json: bool) -> None:
    """Film what a trained agent does.

    The moving picture opens in any browser. FOLDER_OR_NAME is the folder of a run of `arena rl train`, or the name of a
    policy that ships: ppo-cartpole, ppo-minatar-breakout, ppo-hopper.
    """
    from arena_lib.rl.training.evaluation import EVALUATION_SEED
    from arena_lib.rl.training.video import record

    policy, env_id, folder = _find_agent(run)
    target = video or folder / "watch.webp"
    make_folder("--video", target.parent)
    seen = record(policy, env_id, n_episodes=episodes, seed=EVALUATION_SEED if seed is None else seed)
    seen.save(target)
    if as_json:
        print_json({"video": str(target), "frames": len(seen.frames), "returns": list(seen.returns)})
        return
    show(f"Returns: {', '.join(f'{total:g}' for total in seen.returns)}. Open {target} in a browser.")


def _find_agent(run: str) -> tuple[Policy, str, Path]:
    """The policy of a run's folder, or of the zoo; its environment; and where its video goes."""
    from arena_lib import zoo
    from arena_lib.core.checkpoints import has_checkpoint
    from arena_lib.rl.training.algorithms import load_trainer

    folder = Path(run)
    if has_checkpoint(folder):
        trainer, config = load_trainer(folder)
        return trainer.policy(), config.env_id, folder
    if run not in zoo.policy_names():
        runs = sorted(str(found) for found in RUNS.glob("*") if has_checkpoint(found))
        here = f"Runs here: {', '.join(runs)}." if runs else "Train one: arena rl train ppo"
        raise UsageError(
            f"what is watched must be the folder of a run, or one of {', '.join(zoo.policy_names())}: got {run!r}, which "
            f"holds no run. {here}"
        )
    policy = zoo.load_policy(run)
    return policy, policy.env_id, RUNS / run
