"""An autoencoder's recipe: a shortened run, its folder, its figures."""

import pytest
import torch

from arena_lib.saes.formats.saelens import load_sae
from arena_lib.saes.training.config import SAETrainingConfig
from arena_lib.saes.training.store import StoreConfig
from arena_lib.zoo.recipes.saes.running import FIGURES, SAERecipe, make_batches, measure, run_recipe, shorten

RECIPE = SAERecipe(
    model="tiny-llama",
    hook="blocks.0.hook_resid_post",
    variant="jumprelu",
    d_sae=30,
    settings={"l0_coef": 0.1},
    training=SAETrainingConfig(n_steps=40, sparsity_warmup=20, warmup=4, seed=3),
    store=StoreConfig(batch_size=128, chunk_batches=2),
)


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    monkeypatch.setenv("ARENA_QUIET", "1")


def test_a_run_leaves_checkpoint_and_autoencoder_and_says_what_it_reaches(tmp_path, monkeypatch):
    monkeypatch.setattr("arena_lib.zoo.recipes.saes.running.EVALUATION_ROWS", 4)
    figures = run_recipe(RECIPE, tmp_path, steps=6)
    sae = load_sae(tmp_path / "model")
    assert {weight.dtype for weight in sae.parameters()} == {torch.bfloat16}
    assert (tmp_path / "run" / "state.json").exists()
    assert (sae.cfg.model_name, sae.cfg.hook_name) == ("tiny-llama", "blocks.0.hook_resid_post")
    assert tuple(figures) == FIGURES
    assert figures == measure(sae.float(), 4)
    kept = (tmp_path / "model" / "sae_weights.safetensors").read_bytes()
    run_recipe(RECIPE, tmp_path / "again", steps=6)
    assert (tmp_path / "again" / "model" / "sae_weights.safetensors").read_bytes() == kept


def test_a_shortened_run_has_shorter_warm_ups():
    short = shorten(RECIPE.training, 10)
    assert (short.n_steps, short.sparsity_warmup, short.warmup, short.seed) == (10, 5, 1, 3)


def test_rows_of_two_seeds_differ():
    first, again, other = (make_batches(seed)(torch.Generator()).tokens for seed in (0, 0, 1))
    assert first.shape == (16, 128)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
