"""The recipe of sae-tiny-llama-topk: what it starts from, and a run of a few updates."""

from dataclasses import replace
from pathlib import Path

import torch

from arena_lib.saes.autoencoders.topk import TopKSAE
from arena_lib.saes.formats.saelens import load_sae
from arena_lib.zoo.recipes.saes import sae_tiny_llama_topk as recipe


def test_it_starts_as_the_variant_of_its_sizes():
    sae = recipe.RECIPE.make_sae()
    assert type(sae) is TopKSAE
    assert sae.W_dec.shape == (recipe.RECIPE.d_sae, 128)
    assert f"{recipe.RECIPE.d_sae:,} latents" in recipe.DESCRIPTION
    assert torch.equal(sae.W_dec, recipe.RECIPE.make_sae().W_dec)


def test_a_short_run_leaves_an_autoencoder_of_its_hook(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("ARENA_QUIET", "1")
    monkeypatch.setattr(recipe, "RECIPE", replace(recipe.RECIPE, evaluation_rows=2))
    figures = recipe.train(tmp_path, steps=2)
    sae = load_sae(tmp_path / "model")
    assert (type(sae), sae.cfg.hook_name, sae.cfg.model_name) == (TopKSAE, recipe.RECIPE.hook, "tiny-llama")
    assert figures["added_loss"] > 0
