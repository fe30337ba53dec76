"""From a run's folder to a card that the zoo reads."""

import hashlib
from dataclasses import replace

from arena_lib import zoo
from arena_lib.rl.ppo.discrete import PPOTrainer
from arena_lib.rl.training import EVALUATION_SEED, evaluate
from arena_lib.zoo.recipes.policies import ppo_cartpole, shipping
from arena_lib.zoo.recipes.policies.running import run_recipe

SETTINGS = {**ppo_cartpole.SETTINGS, "n_epochs": 2, "clip_values": True}


def test_a_shipped_policy_is_one_of_the_zoo_with_its_figures_on_the_card(zoo_folder, tmp_path):
    config = replace(ppo_cartpole.CONFIG, seed=7, n_epochs=2, clip_values=True)
    run_recipe(PPOTrainer, config, tmp_path / "run", steps=1024)
    figures = shipping.ship(
        "mini",
        tmp_path / "run",
        SETTINGS,
        'It says "hello".',
        tolerance=0.05,
        weights=zoo_folder.weights,
        cards=zoo_folder.cards,
    )
    zoo_folder.forget()
    card, policy = zoo.info("mini"), zoo.load_policy("mini")
    played = evaluate(policy, "CartPole-v1")
    facts = card.policy
    assert dict(card.reached) == figures
    assert tuple(facts.returns) == played.returns
    assert figures["mean_return"] == round(played.mean, 2)
    assert (card.form, card.source, card.seed, card.description) == ("policy", "bundled", 7, 'It says "hello".')
    assert (facts.environment, facts.algorithm, facts.steps) == ("CartPole-v1", "ppo", 1024)
    assert (facts.evaluation_seed, facts.tolerance, facts.settings) == (EVALUATION_SEED, 0.05, SETTINGS)
    assert set(facts.versions) == {"torch", "gymnasium"}
    assert facts.curve[-1][0] == 1024
    weights = zoo.path("mini") / "model.safetensors"
    assert card.sha256 == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert card.size == weights.stat().st_size
    assert card.parameters == 4610 + 4545


def test_the_curve_is_the_mean_of_the_last_episodes_at_even_steps():
    episodes = [(step, float(step), 10) for step in range(30, 401, 10)]
    curve = shipping.compute_curve(episodes, 400)
    assert curve[0] == [30, 30.0], "nothing had ended by 10 and 20 steps"
    assert curve[3] == [60, 45.0]
    assert curve[-1] == [400, (210 + 400) / 2]
    assert len(curve) == 38


def test_the_versions_are_those_of_what_the_environment_needs():
    assert set(shipping._find_versions("MinAtar/Breakout-v1")) == {"torch", "gymnasium", "minatar"}
    assert set(shipping._find_versions("Hopper-v5")) == {"torch", "gymnasium", "mujoco"}
