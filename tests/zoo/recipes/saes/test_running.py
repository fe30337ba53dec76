"""An autoencoder's recipe: a shortened run, its folder, its figures."""

from dataclasses import replace

import pytest
import torch

from arena_lib.saes.formats.saelens import load_sae
from arena_lib.saes.training.config import SAETrainingConfig
from arena_lib.saes.training.store import StoreConfig
from arena_lib.zoo.recipes.saes import running
from arena_lib.zoo.recipes.saes.running import FIGURES, SAERecipe, make_batches, measure, run_recipe, shorten
from arena_lib.zoo.recipes.saes.text_rows import TextRows

RECIPE = SAERecipe(
    model="tiny-llama",
    hook="blocks.0.hook_resid_post",
    variant="jumprelu",
    d_sae=30,
    settings={"l0_coef": 0.1},
    training=SAETrainingConfig(n_steps=40, sparsity_warmup=20, warmup=4, seed=3),
    store=StoreConfig(batch_size=128, chunk_batches=2),
    evaluation_rows=4,
)


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    monkeypatch.setenv("ARENA_QUIET", "1")


def test_a_run_leaves_checkpoint_and_autoencoder_and_says_what_it_reaches(tmp_path):
    figures = run_recipe(RECIPE, tmp_path, steps=6)
    sae = load_sae(tmp_path / "model")
    assert {weight.dtype for weight in sae.parameters()} == {torch.bfloat16}
    assert (tmp_path / "run" / "state.json").exists()
    assert (sae.cfg.model_name, sae.cfg.hook_name) == ("tiny-llama", "blocks.0.hook_resid_post")
    assert tuple(figures) == FIGURES
    assert figures == measure(sae.float(), RECIPE)
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


def test_a_recipe_with_texts_trains_on_some_and_is_measured_on_others(monkeypatch):
    rows = TextRows(torch.zeros(40, 128, dtype=torch.int64), 1 + torch.arange(12)[:, None].expand(12, 128))
    monkeypatch.setattr(running, "make_text_rows", lambda tokenizer, sets, seq: rows)
    of_texts = replace(RECIPE, texts=("fruit",))
    batch = running.make_source(of_texts)(torch.Generator())
    assert batch.tokens.shape == (16, 128)
    assert not batch.tokens.any()
    chosen = [running.make_evaluation_rows(of_texts, 5, seed) for seed in (1, 1, 2)]
    assert torch.equal(chosen[0], chosen[1])
    assert not torch.equal(chosen[0], chosen[2])
    assert len(chosen[0].unique()) == 5
    assert running.make_evaluation_rows(RECIPE, 3).shape == (3, 128)
    assert not torch.equal(running.make_evaluation_rows(RECIPE, 3, 1), running.make_evaluation_rows(RECIPE, 3, 2))


def test_what_a_store_leaves_out_is_left_out_of_the_figures():
    sae = RECIPE.make_sae()
    sae.cfg = replace(sae.cfg, hook_name=RECIPE.hook)
    first_skipped = replace(RECIPE, store=replace(RECIPE.store, skip_first=True))
    figures = [measure(sae, recipe, n_rows=2) for recipe in (RECIPE, first_skipped)]
    assert figures[0]["fvu"] != figures[1]["fvu"]
    assert figures[0]["clean_loss"] == figures[1]["clean_loss"]
