"""Runs of recipes: their parts, their resumption and what they write."""

import importlib
from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer

from arena_lib.core.checkpoints import load_checkpoint
from arena_lib.storyworld import encode_words, vocabulary
from arena_lib.transformer.fast.gpt2 import GPT2, GPT2Config
from arena_lib.transformer.huggingface import load_pretrained
from arena_lib.zoo import evaluation
from arena_lib.zoo.recipes import running
from arena_lib.zoo.recipes.running import Plan, align_embeddings, make_sinusoids, run_recipe
from arena_lib.zoo.recipes.story_batches import Stage

RECIPES = ("attn_only_2l", "tiny_gpt", "tiny_llama")
PLAN = Plan(stages=(Stage(mixture={"countries": 1.0}, seq=32),), steady_steps=4, cooling_steps=2, batch_tokens=64)


def make_model() -> GPT2:
    cfg = GPT2Config(d_model=8, n_heads=2, d_head=4, d_mlp=12, d_vocab=len(vocabulary()), n_ctx=128, n_layers=1)
    return GPT2(cfg, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def quick_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "evaluate_briefly", lambda model: {"loss": 0.0})
    monkeypatch.setattr(
        evaluation, "evaluate_all", lambda logits_of: {"size": float(logits_of(torch.zeros(1, 2).long()).numel())}
    )


@pytest.mark.usefixtures("quick_figures")
def test_a_run_has_a_steady_and_a_cooling_part_and_writes_the_model_in_bfloat16(tmp_path: Path) -> None:
    model = make_model()
    before = model.embed.W_E.detach().clone()
    figures = run_recipe(model, PLAN, tmp_path)
    assert figures == {"size": 2.0 * len(vocabulary())}
    steps = [load_checkpoint(tmp_path / part)[1]["step"] for part in ("steady", "cooling")]
    assert steps == [4, 2]
    assert not torch.equal(model.embed.W_E, before)
    shipped = load_pretrained(tmp_path / "model")
    assert shipped.embed.W_E.dtype == torch.bfloat16
    assert torch.equal(shipped.embed.W_E, model.embed.W_E.bfloat16())
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "model")
    assert tokenizer("Mary had a hat.")["input_ids"] == encode_words(["Mary", "had", "a", "hat", "."])


@pytest.mark.usefixtures("quick_figures")
def test_cooling_goes_on_with_the_rows_after_the_steady_part_and_lowers_the_rate(tmp_path: Path) -> None:
    run_recipe(make_model(), PLAN, tmp_path)
    states = {part: load_checkpoint(tmp_path / part)[1] for part in ("steady", "cooling")}
    assert states["steady"]["batches"] == {"position": 4}
    assert states["cooling"]["batches"] == {"position": 6}
    assert states["steady"]["config"]["schedule"] == "constant"
    assert states["cooling"]["config"]["schedule"] == "cosine"
    assert states["cooling"]["config"]["final_lr_fraction"] == 0.05


@pytest.mark.usefixtures("quick_figures")
def test_a_finished_run_resumed_has_the_same_weights(tmp_path: Path) -> None:
    first, second = make_model(), make_model()
    run_recipe(first, PLAN, tmp_path)
    run_recipe(second, PLAN, tmp_path)
    assert torch.equal(first.embed.W_E, second.embed.W_E)


def test_a_plan_can_be_shortened() -> None:
    short = PLAN.shortened(10)
    assert (short.steady_steps, short.cooling_steps, short.stages, short.batch_tokens) == (8, 2, PLAN.stages, 64)
    assert (PLAN.shortened(1).steady_steps, PLAN.shortened(1).cooling_steps) == (1, 1)


def test_embeddings_start_aligned() -> None:
    model = make_model()
    align_embeddings(model, torch.Generator().manual_seed(0), std=0.5, scale=0.2)
    assert torch.equal(model.unembed.W_U, 0.2 * model.embed.W_E.T)
    assert model.embed.W_E.std().item() == pytest.approx(0.5, rel=0.05)


def test_sinusoids_by_hand() -> None:
    table = make_sinusoids(3, 4)
    angles = torch.tensor([1.0, 0.1])
    torch.testing.assert_close(table[0], torch.tensor([0.0, 0.0, 1.0, 1.0]))
    torch.testing.assert_close(table[2], torch.cat([(2 * angles).sin(), (2 * angles).cos()]))


def test_a_brief_evaluation_has_the_same_figures_as_a_whole_one() -> None:
    figures = running.evaluate_briefly(make_model())
    assert {"story_loss", "indirect_object_held_out_both", "second_copy_loss_20", "holders_3_things"} <= set(figures)
    assert "adjectives_five_shot" in figures


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_trains_and_has_one_to_five_million_parameters(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = importlib.import_module(f"arena_lib.zoo.recipes.{name}")
    model = recipe.make_model()
    assert 0.9e6 < sum(weight.numel() for weight in model.parameters()) < 5e6
    assert torch.equal(model.embed.W_E, recipe.make_model().embed.W_E)
    assert model.cfg.d_vocab == len(vocabulary())
    assert max(stage.seq for stage in recipe.PLAN.stages) == model.cfg.n_ctx
    monkeypatch.setattr(running, "evaluate_briefly", lambda model: {"loss": 0.0})
    monkeypatch.setattr(evaluation, "evaluate_all", lambda logits_of: {"done": 1.0})
    assert recipe.train(tmp_path, steps=2) == {"done": 1.0}
    assert (tmp_path / "model" / "model.safetensors").exists()
