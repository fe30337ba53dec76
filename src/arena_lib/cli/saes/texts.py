"""What `arena saes` reads: Storyworld for the models that speak it, a file of texts for every other.

Raises:  ConfigError for a model that needs texts, or a file with too few of them.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from arena_lib.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor

    from arena_lib.saes.training.reading import TokenSource

BATCH_SIZE, SEQ = 16, 128
"""Texts for which the model is run at once, and the tokens that are read of each."""
HELD_OUT = 20
"""One text in so many is kept for measuring."""


def speaks_storyworld(model_name: str) -> bool:
    """Whether the model is one of the bundled language models."""
    from arena_lib import zoo

    return model_name in zoo.names() and zoo.info(model_name).source == "bundled" and zoo.info(model_name).sae is None


def make_source(model_name: str, model: Any, texts: Path | None, seed: int) -> TokenSource:
    """Batches of tokens to train on."""
    from arena_lib.saes.training.sources import TextBatches
    from arena_lib.zoo.recipes.saes.running import make_batches

    if texts is None and speaks_storyworld(model_name):
        return make_batches(seed)
    lines = [text for idx, text in enumerate(_read_texts(model_name, texts)) if idx % HELD_OUT]
    return TextBatches(model, lines, min(len(lines), BATCH_SIZE), n_ctx=SEQ)


def make_evaluation_tokens(
    model_name: str, model: Any, texts: Path | None, n_rows: int
) -> tuple[Tensor, Tensor | None]:
    """Tokens to measure on, which `make_source` doesn't give, and their mask."""
    import torch

    from arena_lib.storyworld import make_rows
    from arena_lib.zoo.recipes.saes.running import EVALUATION_SEED

    if texts is None and speaks_storyworld(model_name):
        return torch.from_numpy(make_rows(n_rows, SEQ, seed=EVALUATION_SEED)), None
    lines = _read_texts(model_name, texts)[::HELD_OUT][:n_rows]
    tokens, is_real = model.to_padded_tokens(lines, padding_side="right")
    return tokens[:, :SEQ], is_real[:, :SEQ]


def _read_texts(model_name: str, texts: Path | None) -> list[str]:
    if texts is None:
        raise ConfigError(
            f"{model_name} must be given texts to read: got none. Pass --texts FILE, a file with one text in a line."
        )
    lines = [line.strip() for line in texts.read_text(encoding="utf-8").splitlines() if line.strip()]
    if len(lines) < 2:
        raise ConfigError(f"{texts} must hold at least two texts, one in a line: got {len(lines)}. Add some.")
    return lines
