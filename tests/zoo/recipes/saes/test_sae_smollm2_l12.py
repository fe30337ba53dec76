"""The recipe of sae-smollm2-l12, at toy size: on tiny-llama, and on texts of Storyworld."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from arena_lib import storyworld, zoo
from arena_lib.saes.autoencoders.topk import TopKSAE
from arena_lib.saes.formats.saelens import load_sae
from arena_lib.zoo.datasets import LabelledText
from arena_lib.zoo.recipes.saes import sae_smollm2_l12 as recipe
from arena_lib.zoo.recipes.saes import text_rows


@pytest.fixture
def toy(monkeypatch):
    """The recipe for another model and other texts."""
    tokens = torch.from_numpy(storyworld.make_rows(60, 64, seed=5))
    texts = [LabelledText(zoo.load_tokenizer("tiny-llama").decode(row[1:]), 0) for row in tokens]
    monkeypatch.setattr(text_rows, "load_dataset", lambda name: texts)
    monkeypatch.setenv("ARENA_QUIET", "1")
    small = replace(
        recipe.RECIPE,
        model="tiny-llama",
        hook="blocks.1.hook_resid_post",
        d_sae=40,
        settings={"k": 5},
        store=replace(recipe.RECIPE.store, batch_size=64, chunk_batches=2),
        texts=("fruit",),
        evaluation_rows=1,
    )
    monkeypatch.setattr(recipe, "RECIPE", small)
    return small


def test_its_sizes_are_what_it_says():
    sizes = recipe.RECIPE
    assert f"{sizes.d_sae:,} latents" in recipe.DESCRIPTION
    assert f"{sizes.settings['k']} latents" in recipe.DESCRIPTION
    assert set(sizes.texts) == set(zoo.info("sae-probes").sets)
    assert sizes.hook == "blocks.12.hook_resid_post"


def test_a_short_run_leaves_an_autoencoder_and_goes_on_from_its_checkpoint(toy, tmp_path: Path):
    figures = recipe.train(tmp_path, steps=4)
    sae = load_sae(tmp_path / "model")
    assert (type(sae), sae.cfg.hook_name, sae.cfg.model_name) == (TopKSAE, toy.hook, "tiny-llama")
    assert sae.W_dec.shape == (40, 128)
    assert figures["l0"] == 5
    kept = (tmp_path / "model" / "sae_weights.safetensors").read_bytes()
    assert recipe.train(tmp_path, steps=4) == figures
    assert recipe.train(tmp_path, steps=4, resume=False) == figures
    assert (tmp_path / "model" / "sae_weights.safetensors").read_bytes() == kept
