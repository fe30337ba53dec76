"""From a finished run of a policy's recipe to a bundled policy: its files beside the others, and its card.

    from arena_lib.zoo.recipes.policies import ppo_cartpole, shipping
    shipping.ship("ppo-cartpole", "output/zoo/ppo-cartpole", ppo_cartpole.SETTINGS, ppo_cartpole.DESCRIPTION)

For maintainers, in a checkout. Every figure comes from the files as they ship; the curve is that of the run.

Raises:  CheckpointError for a folder without a run or a policy.
Source:  own derivation; the card's format is in `zoo/cards.py`.
"""

import shutil
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from arena_lib.core.checkpoints import load_checkpoint
from arena_lib.rl.ppo.policies import WEIGHTS as WEIGHT_FILE
from arena_lib.rl.ppo.policies import PPOPolicy, load_policy
from arena_lib.rl.training.curves import sample_curve
from arena_lib.rl.training.evaluation import EVALUATION_SEED
from arena_lib.zoo.cards import CARDS
from arena_lib.zoo.places import WEIGHTS
from arena_lib.zoo.recipes.formatting import compute_sha256, format_lines
from arena_lib.zoo.recipes.policies.running import MODEL_FOLDER, RUN_FOLDER, compute_figures, play

DECIMALS = 2
N_POINTS = 40
"""Of the curve on a card."""
PACKAGES = {"MinAtar/": "minatar", "Hopper-": "mujoco"}
"""Of some environments the package whose version matters beside gymnasium's and torch's, by how their id begins."""


def ship(
    name: str,
    folder: Path | str,
    settings: Mapping[str, Any],
    description: str,
    *,
    tolerance: float = 0.0,
    weights: Path = WEIGHTS,
    cards: Path = CARDS,
) -> dict[str, float]:
    """Copy the policy of a finished run to the bundled ones, write its card, and return its figures."""
    shutil.copytree(Path(folder) / MODEL_FOLDER, weights / name, dirs_exist_ok=True)
    _, state = load_checkpoint(Path(folder) / RUN_FOLDER)
    episodes = [(step, total, length) for step, total, length in state["episodes"]]
    policy = load_policy(weights / name)
    played, random = play(policy)
    figures = {figure: round(value, DECIMALS) for figure, value in compute_figures(played, random).items()}
    facts = {
        "environment": policy.env_id,
        "algorithm": state["algorithm"],
        "steps": state["step"],
        "evaluation_seed": EVALUATION_SEED,
        "returns": _rounded(played.returns),
        "random_returns": _rounded(random.returns),
        "tolerance": tolerance,
        "curve": compute_curve(episodes, state["step"]),
    }
    text = format_card(name, policy, weights / name / WEIGHT_FILE, description, state["config"]["seed"])
    tables = {
        "reached": figures,
        "policy": facts,
        "policy.settings": settings,
        "policy.versions": _find_versions(policy.env_id),
    }
    text += "".join(f"\n[{table}]\n{format_lines(values)}" for table, values in tables.items())
    (cards / f"{name}.toml").write_text(text, encoding="utf-8")
    return figures


def compute_curve(episodes: Sequence[tuple[int, float, int]], n_steps: int) -> list[list[float | int]]:
    """The mean return of the last 20 episodes at evenly spaced steps; points before the first episode's end are left out."""
    steps = np.linspace(0, n_steps, N_POINTS + 1).round().astype(int)[1:]
    returns = sample_curve(episodes, steps)
    return [
        [int(step), round(float(value), DECIMALS)]
        for step, value in zip(steps, returns, strict=True)
        if np.isfinite(value)
    ]


def format_card(name: str, policy: PPOPolicy, file: Path, description: str, seed: int) -> str:
    """The card of a bundled policy up to its tables, as TOML."""
    head = {
        "name": name,
        "form": "policy",
        "source": "bundled",
        "description": description,
        "data": f"its own steps in {policy.env_id}, nothing else",
        "licence": "MIT",
        "recipe": f"arena zoo train {name}",
        "seed": seed,
        "parameters": sum(weight.numel() for weight in policy.parameters()),
        "size": file.stat().st_size,
        "sha256": compute_sha256(file),
    }
    return format_lines(head)


def _find_versions(env_id: str) -> dict[str, str]:
    packages = ["torch", "gymnasium", *(package for start, package in PACKAGES.items() if env_id.startswith(start))]
    return {package: version(package) for package in packages}


def _rounded(returns: Sequence[float]) -> list[float]:
    return [round(total, DECIMALS) for total in returns]
