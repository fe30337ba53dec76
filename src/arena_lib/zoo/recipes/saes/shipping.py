"""From a finished run of an autoencoder's recipe to a bundled autoencoder: its files beside the others, and its card.

    from arena_lib.zoo.recipes.saes import sae_tiny_llama_topk as recipe, shipping
    shipping.ship("sae-tiny-llama-topk", "output/zoo/sae-tiny-llama-topk", recipe.RECIPE, recipe.DESCRIPTION)

For maintainers, in a checkout. Every figure comes from the files as they ship.

Raises:  CheckpointError for a folder without an autoencoder.
Source:  own derivation; the card's format is in `zoo/cards.py`.
"""

import dataclasses
import shutil
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from arena_lib.saes.autoencoders.base import SAE
from arena_lib.saes.formats.saelens import WEIGHTS_FILE, load_sae
from arena_lib.saes.training.config import SAETrainingConfig
from arena_lib.saes.training.store import StoreConfig
from arena_lib.storyworld import VERSION
from arena_lib.zoo.cards import CARDS
from arena_lib.zoo.places import WEIGHTS
from arena_lib.zoo.recipes.formatting import compute_sha256, format_lines
from arena_lib.zoo.recipes.saes.running import (
    EVALUATION_ROWS,
    EVALUATION_SEED,
    MODEL_FOLDER,
    SAERecipe,
    measure,
)

DECIMALS = 4
TOLERANCE = 0.005
"""By how much figures may differ elsewhere: rounding can change which latent is the last of the largest."""


def ship(
    name: str,
    folder: Path | str,
    recipe: SAERecipe,
    description: str,
    *,
    weights: Path = WEIGHTS,
    cards: Path = CARDS,
) -> dict[str, float]:
    """Copy the autoencoder of a finished run to the bundled ones, write its card, and return its figures."""
    shutil.copytree(Path(folder) / MODEL_FOLDER, weights / name, dirs_exist_ok=True)
    sae: SAE = load_sae(weights / name).float()
    file = weights / name / WEIGHTS_FILE
    figures = {figure: round(value, DECIMALS) for figure, value in measure(sae).items()}
    head = {
        "name": name,
        "form": "sae",
        "source": "bundled",
        "description": description,
        "data": f"activations of {recipe.model} at {recipe.hook} on Storyworld version {VERSION}, generated anew",
        "licence": "MIT",
        "recipe": f"arena zoo train {name}",
        "seed": recipe.training.seed,
        "parameters": sum(weight.numel() for weight in sae.parameters()),
        "size": file.stat().st_size,
        "sha256": compute_sha256(file),
    }
    facts = {
        "model": recipe.model,
        "hook": recipe.hook,
        "variant": recipe.variant,
        "steps": recipe.training.n_steps,
        "evaluation_seed": EVALUATION_SEED,
        "evaluation_rows": EVALUATION_ROWS,
        "tolerance": TOLERANCE,
    }
    tables: dict[str, Mapping[str, Any]] = {
        "reached": figures,
        "sae": facts,
        "sae.settings": list_settings(recipe),
        "sae.versions": {"torch": version("torch")},
    }
    text = format_lines(head) + "".join(f"\n[{table}]\n{format_lines(values)}" for table, values in tables.items())
    (cards / f"{name}.toml").write_text(text, encoding="utf-8")
    return figures


def list_settings(recipe: SAERecipe) -> dict[str, Any]:
    """Sizes, the variant's settings, and what of training and store isn't a default."""
    plain = {"training": SAETrainingConfig(n_steps=recipe.training.n_steps), "store": StoreConfig()}
    own = {
        name: value
        for part, default in plain.items()
        for name, value in dataclasses.asdict(getattr(recipe, part)).items()
        if value != getattr(default, name) and name != "seed"
    }
    return {"d_sae": recipe.d_sae, **recipe.settings, **own}
