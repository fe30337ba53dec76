import hashlib

import torch

from arena_lib import zoo
from arena_lib.storyworld import vocabulary
from arena_lib.transformer.fast.gpt2 import GPT2, GPT2Config
from arena_lib.transformer.huggingface import save_pretrained
from arena_lib.zoo.recipes import shipping


def test_a_shipped_model_is_one_of_the_zoo_with_its_figures_on_the_card(zoo_folder, tmp_path, monkeypatch):
    cfg = GPT2Config(d_model=8, n_heads=2, d_head=4, d_mlp=12, d_vocab=len(vocabulary()), n_ctx=16, n_layers=1)
    run = save_pretrained(GPT2(cfg, generator=torch.Generator().manual_seed(0)), tmp_path / "run")
    monkeypatch.setattr(shipping, "evaluate_all", lambda model: {"loss": 1.23456, "size": 2.0})
    figures = shipping.ship("mini", run, 'It says "hello".', weights=zoo_folder.weights, cards=zoo_folder.cards, seed=7)
    zoo_folder.forget()
    card = zoo.info("mini")
    assert figures == dict(card.reached) == {"loss": 1.2346, "size": 2.0}
    assert (card.form, card.source, card.seed, card.description) == ("gpt2", "bundled", 7, 'It says "hello".')
    weights = zoo.path("mini") / "model.safetensors"
    assert card.sha256 == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert card.size == weights.stat().st_size
    assert card.parameters == sum(weight.numel() for weight in GPT2(cfg).parameters())
