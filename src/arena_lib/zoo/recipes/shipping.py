"""From a finished run to a bundled model: its files beside the others, and its card with measured figures.

    from arena_lib.zoo.recipes import shipping, tiny_gpt
    shipping.ship("tiny-gpt", "runs/tiny-gpt/model", tiny_gpt.DESCRIPTION)

For maintainers, in a checkout. Every figure comes from the weights as they ship.

Raises:  CheckpointError for a folder without a model.
Source:  own derivation; the card's format is in `zoo/cards.py`.
"""

import shutil
from pathlib import Path

import torch

from arena_lib.storyworld import VERSION
from arena_lib.transformer.fast.attention_only import AttentionOnly
from arena_lib.transformer.fast.gpt2 import GPT2
from arena_lib.transformer.fast.model import Transformer
from arena_lib.transformer.huggingface import load_pretrained
from arena_lib.zoo.cards import CARDS
from arena_lib.zoo.evaluation import evaluate_all
from arena_lib.zoo.places import WEIGHTS
from arena_lib.zoo.recipes.formatting import compute_sha256, format_lines

DECIMALS = 4
DATA = (
    f"Storyworld version {VERSION} (arena_lib.storyworld): generated stories and in-context tasks, "
    "no text by others; names and sentence frames that figures call held out are in no training text of the task"
)


def ship(
    name: str,
    model_folder: Path | str,
    description: str,
    *,
    weights: Path = WEIGHTS,
    cards: Path = CARDS,
    seed: int = 0,
) -> dict[str, float]:
    """Copy the model of a finished run to the bundled ones, write its card, and return its figures."""
    model = load_pretrained(model_folder, dtype=torch.float32)
    figures = {figure: round(value, DECIMALS) for figure, value in evaluate_all(model).items()}
    shutil.copytree(model_folder, weights / name, dirs_exist_ok=True)
    card = format_card(name, model, weights / name / "model.safetensors", description, seed)
    (cards / f"{name}.toml").write_text(f"{card}\n[reached]\n{format_lines(figures)}", encoding="utf-8")
    return figures


def format_card(name: str, model: Transformer, file: Path, description: str, seed: int) -> str:
    """The card of a bundled model up to its figures, as TOML."""
    form = "attention-only" if isinstance(model, AttentionOnly) else "gpt2" if isinstance(model, GPT2) else "llama"
    head = {
        "name": name,
        "form": form,
        "source": "bundled",
        "description": description,
        "data": DATA,
        "licence": "MIT",
        "recipe": f"arena zoo train {name}",
        "seed": seed,
        "parameters": sum(weight.numel() for weight in model.parameters()),
        "size": file.stat().st_size,
        "sha256": compute_sha256(file),
    }
    return format_lines(head)
