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
    EVALUATION_SEED,
    MODEL_FOLDER,
    SAERecipe,
    measure,
)

DECIMALS = 4
TOLERANCE = 0.005
"""By how much figures may differ elsewhere: rounding can change which latent is the last of the largest."""
TRAINED_TOLERANCE = 0.05
"""The same of one that is trained elsewhere, where every update rounds in its own way."""


def ship(
    name: str,
    folder: Path | str,
    recipe: SAERecipe,
    description: str,
    *,
    weights: Path | None = WEIGHTS,
    cards: Path = CARDS,
    cost: Mapping[str, Any] | None = None,
) -> dict[str, float]:
    """Copy the autoencoder of a finished run to the bundled ones, write its card, and return its figures.

    With `weights` None it doesn't ship: the card says how it is trained, and by `cost` what that took.
    """
    made = Path(folder) / MODEL_FOLDER
    if weights is not None:
        shutil.copytree(made, weights / name, dirs_exist_ok=True)
        made = weights / name
    sae: SAE = load_sae(made).float()
    file = made / WEIGHTS_FILE
    figures = {figure: round(value, DECIMALS) for figure, value in measure(sae, recipe).items()}
    head = {
        "name": name,
        "form": "sae",
        "source": "trained" if weights is None else "bundled",
        "description": description,
        "data": describe_data(recipe),
        "licence": describe_licence(recipe),
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
        "evaluation_rows": recipe.evaluation_rows,
        "tolerance": TRAINED_TOLERANCE if weights is None else TOLERANCE,
    }
    tables: dict[str, Mapping[str, Any]] = {
        "reached": figures,
        "sae": facts,
        "sae.settings": list_settings(recipe),
        "sae.versions": {"torch": version("torch")},
        **({"sae.cost": cost} if cost else {}),
    }
    text = format_lines(head) + "".join(f"\n[{table}]\n{format_lines(values)}" for table, values in tables.items())
    (cards / f"{name}.toml").write_text(text, encoding="utf-8")
    return figures


def describe_data(recipe: SAERecipe) -> str:
    """What its activations come from."""
    texts = (
        f"the texts of {', '.join(recipe.texts)}" if recipe.texts else f"Storyworld version {VERSION}, generated anew"
    )
    return f"activations of {recipe.model} at {recipe.hook} on {texts}"


def describe_licence(recipe: SAERecipe) -> str:
    """What may be done with it: of weights that were trained on others' texts we can say less."""
    if not recipe.texts:
        return "MIT"
    return "made by you: texts and model keep their own licences, some of which forbid commercial use or aren't stated"


def list_settings(recipe: SAERecipe) -> dict[str, Any]:
    """Sizes, the variant's settings, and what of training and store isn't a default."""
    plain = {"training": SAETrainingConfig(n_steps=recipe.training.n_steps), "store": StoreConfig()}
    own = {
        name: list(value) if isinstance(value, tuple) else value  # as TOML has it
        for part, default in plain.items()
        for name, value in dataclasses.asdict(getattr(recipe, part)).items()
        if value != getattr(default, name) and name != "seed"
    }
    return {"d_sae": recipe.d_sae, **recipe.settings, **own}
