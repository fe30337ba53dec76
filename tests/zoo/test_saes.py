"""The sparse autoencoders that ship: each is what its card says, and is told from a language model and a policy."""

import importlib

import pytest
import torch

from arena_lib import zoo
from arena_lib.errors import FetchError, HashError, UnknownNameError, ZooError
from arena_lib.saes.autoencoders.topk import TopKSAE, TopKSAEConfig
from arena_lib.saes.formats.saelens import load_sae, save_sae
from arena_lib.saes.training.variants import VARIANTS
from arena_lib.storyworld import make_rows
from arena_lib.zoo.recipes.saes.running import measure
from arena_lib.zoo.recipes.saes.shipping import list_settings

SAES = ("sae-tiny-llama-jumprelu", "sae-tiny-llama-topk")
MOST_BYTES = 1_200_000  # each
MOST_ADDED_LOSS, MOST_DEAD = 0.15, 0.02


def load_recipe(name: str):
    return importlib.import_module(f"arena_lib.zoo.recipes.saes.{name.replace('-', '_')}")


def test_these_ship_and_stay_small():
    assert {name for name in zoo.sae_names() if zoo.info(name).source == "bundled"} == set(SAES)
    for name in SAES:
        assert sum(file.stat().st_size for file in zoo.path(name).iterdir()) < MOST_BYTES


@pytest.mark.parametrize("name", SAES)
def test_an_autoencoder_reaches_what_its_card_says(name):
    facts, expected = zoo.info(name).sae, zoo.info(name).reached
    recipe = load_recipe(name).RECIPE
    reached = measure(zoo.load_sae(name), recipe, n_rows=facts.evaluation_rows, seed=facts.evaluation_seed)
    assert reached.keys() == expected.keys()
    for figure, value in reached.items():
        assert value == pytest.approx(expected[figure], abs=facts.tolerance * max(1, abs(expected[figure]))), figure
    assert expected["added_loss"] <= MOST_ADDED_LOSS
    assert expected["dead_share"] < MOST_DEAD


@pytest.mark.parametrize("name", zoo.sae_names())
def test_a_card_says_how_the_autoencoder_was_trained(name):
    card, recipe = zoo.info(name), load_recipe(name).RECIPE
    facts = card.sae
    assert card.recipe == f"arena zoo train {name}"
    assert card.description == load_recipe(name).DESCRIPTION
    assert (facts.model, facts.hook, facts.variant) == (recipe.model, recipe.hook, recipe.variant)
    assert (facts.steps, card.seed) == (recipe.training.n_steps, recipe.training.seed)
    assert facts.settings == list_settings(recipe)
    assert facts.evaluation_rows == recipe.evaluation_rows
    assert bool(facts.cost) == (card.source == "trained")


@pytest.mark.parametrize("name", SAES)
def test_an_autoencoder_is_of_the_kind_that_its_card_says(name):
    facts, recipe, sae = zoo.info(name).sae, load_recipe(name).RECIPE, zoo.load_sae(name)
    assert type(sae) is VARIANTS[facts.variant]
    assert (sae.cfg.model_name, sae.cfg.hook_name, sae.cfg.d_sae) == (facts.model, facts.hook, recipe.d_sae)


@pytest.mark.parametrize("name", SAES)
def test_the_weights_are_those_of_the_card_in_half_precision(name):
    card = zoo.info(name)
    assert (zoo.path(name) / "sae_weights.safetensors").stat().st_size == card.size
    assert {weight.dtype for weight in load_sae(zoo.path(name)).parameters()} == {torch.bfloat16}
    sae = zoo.load_sae(name)
    assert sum(weight.numel() for weight in sae.parameters()) == card.parameters
    assert {weight.dtype for weight in sae.parameters()} == {torch.float32}
    assert not sae.training
    assert zoo.load_sae(name, dtype=torch.float64).W_dec.dtype == torch.float64


@pytest.mark.parametrize("name", SAES)
def test_latents_of_a_text_are_sparse(name):
    sae = zoo.load_sae(name)
    model = zoo.load(sae.cfg.model_name)
    tokens = torch.from_numpy(make_rows(2, 64, seed=3))
    latents = sae.encode(model.run_with_cache(tokens)[1][sae.cfg.hook_name])
    assert latents.shape == (2, 64, sae.cfg.d_sae)
    assert 3 < (latents > 0).sum(dim=-1).float().mean() < 30


@pytest.mark.parametrize("load", [zoo.load, zoo.load_tokenizer, zoo.load_bridge, zoo.load_nnsight])
def test_an_autoencoder_is_no_language_model(zoo_folder, load):
    zoo_folder.add_sae("toy")
    with pytest.raises(ZooError, match=r"'toy' is a sparse autoencoder for tiny-llama\. Use zoo\.load_sae\('toy'\)"):
        load("toy")


def test_an_autoencoder_is_no_policy_and_a_language_model_no_autoencoder():
    with pytest.raises(ZooError, match=r"'sae-tiny-llama-topk' is a sparse autoencoder\. Use zoo\.load_sae\("):
        zoo.load_policy("sae-tiny-llama-topk")
    with pytest.raises(
        ZooError, match=r"must be one of sae-tiny-llama-jumprelu, sae-tiny-llama-topk, .*: 'tiny-gpt' is of"
    ):
        zoo.load_sae("tiny-gpt")
    with pytest.raises(UnknownNameError, match=r"no sparse autoencoder is called 'sae-tiny-lama-topk'\. Did you mean"):
        zoo.load_sae("sae-tiny-lama-topk")


def test_damaged_weights_are_refused(zoo_folder):
    zoo_folder.add_sae("toy")
    assert zoo.is_available("toy")
    (zoo_folder.weights / "toy" / "sae_weights.safetensors").write_bytes(b"y")
    with pytest.raises(HashError, match=r"It is damaged or was changed\. Reinstall arena-lib"):
        zoo.load_sae("toy")


def test_the_card_of_an_autoencoder_is_read_whole(zoo_folder):
    zoo_folder.add_sae("toy")
    facts = zoo.info("toy").sae
    assert (facts.settings, facts.steps, facts.tolerance) == ({"d_sae": 9, "k": 2}, 200, 0.01)
    assert zoo.info("toy").to_dict()["sae"]["hook"] == "blocks.2.hook_resid_post"
    file = zoo_folder.cards / "toy.toml"
    text = file.read_text()
    for old, new, message in (
        ("steps = 200\n", "", r"toy.toml \[sae\] must have the key 'steps'"),
        ("steps = 200", 'steps = "many"', r"steps of toy.toml \[sae\] must be of type int"),
        (
            'form = "sae"',
            'form = "gpt2"',
            r"\[sae\] of toy.toml must be there for sparse autoencoders and only for them",
        ),
        (
            text[text.index("[sae]") :],
            "",
            r"\[sae\] of toy.toml must be there for sparse autoencoders and only for them",
        ),
    ):
        file.write_text(text.replace(old, new))
        zoo_folder.forget()
        with pytest.raises(ZooError, match=message):
            zoo.info("toy")


def test_what_is_trained_here_is_kept_whole_and_found_by_its_name(zoo_folder, tmp_path):
    zoo_folder.add_sae("toy", source="trained")
    with pytest.raises(FetchError, match=r"toy must be trained before it is loaded: .* Run: arena zoo train toy"):
        zoo.load_sae("toy")
    assert not zoo.is_available("toy")
    for k in (2, 3):  # the second takes the first one's place
        save_sae(TopKSAE(TopKSAEConfig(d_in=5, d_sae=9, k=k)), tmp_path / f"made-{k}")
        assert zoo.keep_trained("toy", tmp_path / f"made-{k}") == zoo.path("toy") == zoo_folder.cache / "toy"
        assert zoo.load_sae("toy").cfg.k == k
    assert zoo.is_available("toy")
    assert sorted(file.name for file in zoo_folder.cache.iterdir() if not file.is_file()) == ["toy"]
    (zoo.path("toy") / "sae_weights.safetensors").write_bytes(b"y")
    with pytest.raises(HashError, match=r"Run: arena zoo train toy"):
        zoo.load_sae("toy")


@pytest.mark.real
@pytest.mark.skipif(not zoo.is_available("sae-smollm2-l12"), reason="run: arena zoo train sae-smollm2-l12")
def test_an_autoencoder_of_smollm2_reaches_about_what_its_card_says():
    facts, expected = zoo.info("sae-smollm2-l12").sae, zoo.info("sae-smollm2-l12").reached
    reached = measure(zoo.load_sae("sae-smollm2-l12"), load_recipe("sae-smollm2-l12").RECIPE)
    for figure, value in reached.items():
        assert value == pytest.approx(expected[figure], abs=facts.tolerance * max(1, abs(expected[figure]))), figure
