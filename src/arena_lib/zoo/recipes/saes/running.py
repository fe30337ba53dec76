"""One run of an autoencoder's recipe: from fresh weights to a folder that the zoo can load, and what it reaches.

Source:  own derivation; what is measured is in `saes/training/evaluation.py`.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from arena_lib import zoo
from arena_lib.core.batches import ShuffledBatches
from arena_lib.saes.autoencoders.base import SAE
from arena_lib.saes.formats.saelens import load_sae, save_sae
from arena_lib.saes.training.config import SAETrainingConfig
from arena_lib.saes.training.evaluation import evaluate_sae
from arena_lib.saes.training.reading import TokenSource
from arena_lib.saes.training.store import StoreConfig
from arena_lib.saes.training.trainer import train_sae
from arena_lib.saes.training.variants import make_sae
from arena_lib.storyworld import make_rows
from arena_lib.storyworld.corpus import MIXTURE
from arena_lib.zoo.recipes.saes.text_rows import make_text_rows
from arena_lib.zoo.recipes.story_batches import Stage, StoryBatches

RUN_FOLDER, MODEL_FOLDER = "run", "model"
"""Where, in a recipe's folder, the checkpoints and the finished autoencoder are."""
BATCH_TOKENS, SEQ = 2048, 128
"""Tokens for which the model is run at once, and those of a row."""
EVALUATION_SEED, EVALUATION_ROWS = 7_700_000_000, 256
"""Of the rows on which autoencoders are measured; no recipe's rows of Storyworld have this seed."""
ROWS_AT_ONCE = 8
"""Rows that are measured at once: logits over a vocabulary of 49,152 tokens take 200 KB each."""
FIGURES = (
    "l0",
    "added_loss",
    "loss_recovered",
    "loss_recovered_zero",
    "clean_loss",
    "fvu",
    "cosine",
    "relative_bias",
    "dead_share",
    "dense_share",
)
"""What of an evaluation a card says."""


@dataclass(frozen=True, kw_only=True)
class SAERecipe:
    """All that decides a shipped autoencoder."""

    model: str
    """Whose activations: a name of the zoo."""
    hook: str
    """Where they are read."""
    variant: str
    """As `training/variants.py` names it."""
    d_sae: int
    """Number of latents."""
    settings: Mapping[str, Any]
    """Of the variant."""
    training: SAETrainingConfig
    """How long and how fast."""
    store: StoreConfig = field(default_factory=StoreConfig)
    """How activations are batched, and which are left out."""
    texts: tuple[str, ...] = ()
    """Sets of real texts that are read, by their names for `zoo.load_dataset`; without, Storyworld."""
    evaluation_rows: int = EVALUATION_ROWS
    """How many rows of tokens it is measured on."""

    def make_sae(self) -> SAE:
        """The autoencoder at the start."""
        width = zoo.load(self.model).cfg.d_model
        return make_sae(
            self.variant,
            d_in=width,
            d_sae=self.d_sae,
            seed=self.training.seed,
            settings=self.settings,
            model_name=self.model,
        )


def make_batches(seed: int) -> StoryBatches:
    """Rows of Storyworld without end; seed 0 is kept for the models' own recipes."""
    return StoryBatches(batch_tokens=BATCH_TOKENS, seed=1 + seed, stages=[Stage(mixture=MIXTURE, seq=SEQ)])


def make_source(recipe: SAERecipe) -> TokenSource:
    """What a recipe trains on."""
    if not recipe.texts:
        return make_batches(recipe.training.seed)
    rows = make_text_rows(zoo.load_tokenizer(recipe.model), recipe.texts, SEQ).train
    return ShuffledBatches(rows, BATCH_TOKENS // SEQ)


def make_evaluation_rows(recipe: SAERecipe, n_rows: int, seed: int = EVALUATION_SEED) -> Int[Tensor, "n_rows seq"]:
    """What it is measured on, none of which it trains on; of texts, `seed` chooses rows among those held out."""
    if not recipe.texts:
        return torch.from_numpy(make_rows(n_rows, SEQ, seed=seed))
    held_out = make_text_rows(zoo.load_tokenizer(recipe.model), recipe.texts, SEQ).held_out
    return held_out[random.Random(seed).sample(range(len(held_out)), min(n_rows, len(held_out)))]


def run_recipe(
    recipe: SAERecipe, folder: Path | str, *, steps: int | None = None, device: str = "cpu", resume: bool = True
) -> dict[str, float]:
    """Train, write the finished autoencoder to `folder/model` in bfloat16, and return its figures as shipped."""
    folder = Path(folder)
    config = recipe.training if steps is None else shorten(recipe.training, steps)
    model, sae = zoo.load(recipe.model, device), recipe.make_sae().to(device)
    batches = make_source(recipe)
    train_sae(model, sae, recipe.hook, batches, config, folder / RUN_FOLDER, store_config=recipe.store, resume=resume)
    save_sae(sae.to(torch.bfloat16), folder / MODEL_FOLDER)
    return measure(load_sae(folder / MODEL_FOLDER).float(), recipe)


def shorten(config: SAETrainingConfig, steps: int) -> SAETrainingConfig:
    """The same run with `steps` updates in all, its warm-ups shortened with it."""
    share = steps / config.n_steps
    return replace(
        config,
        n_steps=steps,
        warmup=int(share * config.warmup),
        sparsity_warmup=int(share * config.sparsity_warmup),
    )


def measure(sae: SAE, recipe: SAERecipe, n_rows: int | None = None, seed: int = EVALUATION_SEED) -> dict[str, float]:
    """What a card says under [reached]: measured on rows that were not trained on, where the recipe's store would read."""
    found = evaluate_sae(
        zoo.load(recipe.model),
        sae,
        make_evaluation_rows(recipe, n_rows or recipe.evaluation_rows, seed),
        skip_first=recipe.store.skip_first,
        skip_tokens=recipe.store.skip_tokens,
        batch_size=ROWS_AT_ONCE,
    ).to_dict()
    return {name: found[name] for name in FIGURES}
