"""From a run's folder to a card that the zoo reads."""

import hashlib
from dataclasses import replace

import pytest

from arena_lib import zoo
from arena_lib.saes.formats.saelens import save_sae
from arena_lib.saes.training.config import SAETrainingConfig
from arena_lib.saes.training.store import StoreConfig
from arena_lib.zoo import cards, places
from arena_lib.zoo.recipes.saes import shipping
from arena_lib.zoo.recipes.saes.running import SAERecipe

RECIPE = SAERecipe(
    model="tiny-llama",
    hook="blocks.1.hook_resid_post",
    variant="topk",
    d_sae=30,
    settings={"k": 3},
    training=SAETrainingConfig(n_steps=40, lr=3e-3, seed=3),
    store=StoreConfig(batch_size=128),
)


def test_a_shipped_autoencoder_is_one_of_the_zoo_with_its_figures_on_the_card(tmp_path, monkeypatch):
    monkeypatch.setattr(shipping, "measure", lambda sae, recipe: {"l0": 3.0, "added_loss": 0.123456})
    sae = RECIPE.make_sae()
    sae.cfg = replace(sae.cfg, hook_name=RECIPE.hook)
    save_sae(sae.bfloat16(), tmp_path / "run" / "model")
    folders = {"weights": tmp_path / "weights", "cards": tmp_path / "cards"}
    for folder in folders.values():
        folder.mkdir()
    figures = shipping.ship("mini", tmp_path / "run", RECIPE, 'It says "hello".', **folders)
    card = cards.read_card(tmp_path / "cards" / "mini.toml")
    assert card.reached == figures == {"l0": 3.0, "added_loss": 0.1235}
    assert (card.form, card.source, card.seed, card.description) == ("sae", "bundled", 3, 'It says "hello".')
    assert card.sae.settings == {"d_sae": 30, "k": 3, "lr": 3e-3, "batch_size": 128}
    assert (card.sae.model, card.sae.hook, card.sae.variant) == ("tiny-llama", "blocks.1.hook_resid_post", "topk")
    assert (card.sae.steps, card.sae.tolerance) == (40, shipping.TOLERANCE)
    assert set(card.sae.versions) == {"torch"}
    file = tmp_path / "weights" / "mini" / "sae_weights.safetensors"
    assert (card.size, card.sha256) == (file.stat().st_size, hashlib.sha256(file.read_bytes()).hexdigest())
    assert card.parameters == 2 * 30 * 128 + 30 + 128
    monkeypatch.setattr(cards, "CARDS", folders["cards"])
    monkeypatch.setattr(places, "WEIGHTS", folders["weights"])
    cards.names.cache_clear()
    cards.info.cache_clear()
    try:
        assert zoo.load_sae("mini").cfg == sae.cfg
    finally:
        cards.names.cache_clear()
        cards.info.cache_clear()


def test_what_does_not_ship_gets_a_card_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(shipping, "measure", lambda sae, recipe: {"l0": 3.0})
    of_texts = replace(RECIPE, texts=("fruit", "mood"), evaluation_rows=9)
    save_sae(of_texts.make_sae().bfloat16(), tmp_path / "run" / "model")
    cost = {"tokens": 70, "minutes": 1.5}
    shipping.ship("mini", tmp_path / "run", of_texts, "A toy.", weights=None, cards=tmp_path, cost=cost)
    card = cards.read_card(tmp_path / "mini.toml")
    assert (card.source, card.sae.cost, card.sae.evaluation_rows) == ("trained", cost, 9)
    assert card.data == "activations of tiny-llama at blocks.1.hook_resid_post on the texts of fruit, mood"
    assert card.licence.startswith("made by you")
    assert list(tmp_path.glob("*/sae_weights.safetensors")) == []


@pytest.mark.parametrize("field", ["seed", "n_steps"])
def test_settings_are_what_is_no_default(field):
    assert field not in shipping.list_settings(RECIPE)
    plain = replace(RECIPE, training=SAETrainingConfig(n_steps=7), store=StoreConfig())
    assert shipping.list_settings(plain) == {"d_sae": 30, "k": 3}
