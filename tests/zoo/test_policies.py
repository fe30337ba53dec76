"""The agents that ship: each plays as its card says, and is told from a language model."""

import importlib
import re

import numpy as np
import pytest
import torch

from arena_lib import zoo
from arena_lib.errors import HashError, MissingDependencyError, UnknownNameError, ZooError
from arena_lib.rl.environments import making, minatar
from arena_lib.rl.training import EVALUATION_SEED, evaluate, make_random_policy

POLICIES = {"ppo-cartpole": 20, "ppo-hopper": 3, "ppo-minatar-breakout": 20}
"""With how many of the card's episodes are played again."""
SIZES = {"ppo-cartpole": ((4,), 2), "ppo-hopper": ((11,), 3), "ppo-minatar-breakout": ((4, 10, 10), 3)}
BETTER_THAN_CHANCE = {"ppo-cartpole": 10, "ppo-hopper": 20, "ppo-minatar-breakout": 8}
"""How many times as much as a random policy each brings, at least."""
MOST_BYTES = 2_000_000  # all of them together


def load_recipe(name: str):
    return importlib.import_module(f"arena_lib.zoo.recipes.policies.{name.replace('-', '_')}")


def test_these_ship_and_stay_small():
    assert set(zoo.policy_names()) == set(POLICIES)
    sizes = [file.stat().st_size for name in POLICIES for file in zoo.path(name).iterdir()]
    assert sum(sizes) < MOST_BYTES


@pytest.mark.parametrize("name", POLICIES)
def test_a_policy_brings_what_its_card_says(name):
    facts, policy = zoo.info(name).policy, zoo.load_policy(name)
    n_episodes = POLICIES[name]
    played = evaluate(policy, policy.env_id, n_episodes=n_episodes, seed=facts.evaluation_seed)
    expected = np.array(facts.returns[:n_episodes])
    if facts.tolerance:
        assert np.mean(played.returns) == pytest.approx(expected.mean(), rel=facts.tolerance)
    else:
        assert list(played.returns) == expected.tolist()


@pytest.mark.parametrize("name", POLICIES)
def test_the_same_episodes_at_random_bring_what_the_card_says(name):
    facts = zoo.info(name).policy
    random = make_random_policy(facts.environment, facts.evaluation_seed)
    played = evaluate(random, facts.environment, n_episodes=20, seed=facts.evaluation_seed)
    np.testing.assert_allclose(played.returns, facts.random_returns, atol=0.0051, rtol=facts.tolerance)


@pytest.mark.parametrize("name", POLICIES)
def test_the_figures_of_a_card_are_those_of_its_returns(name):
    card = zoo.info(name)
    returns, random = np.array(card.policy.returns), np.array(card.policy.random_returns)
    assert len(returns) == len(random) == 20
    expected = {
        "mean_return": returns.mean(),
        "lowest_return": returns.min(),
        "highest_return": returns.max(),
        "random_mean_return": random.mean(),
    }
    assert card.reached == pytest.approx(expected, abs=0.0101)
    assert returns.mean() > BETTER_THAN_CHANCE[name] * random.mean()


@pytest.mark.parametrize("name", POLICIES)
def test_a_card_says_how_the_policy_was_trained(name):
    card, recipe = zoo.info(name), load_recipe(name)
    facts, config = card.policy, recipe.CONFIG
    assert card.recipe == f"arena zoo train {name}"
    assert card.description == recipe.DESCRIPTION
    assert facts.settings == recipe.SETTINGS
    assert (facts.environment, card.seed) == (config.env_id, config.seed)
    assert facts.evaluation_seed == EVALUATION_SEED
    assert facts.steps == config.total_phases * config.batch_size
    steps, returns = zip(*facts.curve, strict=True)
    assert list(steps) == sorted(set(steps))
    assert steps[-1] == facts.steps
    assert returns[-1] > 2 * returns[0]


@pytest.mark.parametrize("name", POLICIES)
def test_a_policy_has_the_networks_of_its_card(name):
    card, policy = zoo.info(name), zoo.load_policy(name)
    assert sum(weight.numel() for weight in policy.parameters()) == card.parameters
    assert {weight.dtype for weight in policy.parameters()} == {torch.float32}
    assert (policy.config.obs_shape, policy.config.n_actions) == SIZES[name]
    assert (zoo.path(name) / "model.safetensors").stat().st_size == card.size


def test_a_hidden_layer_can_be_watched():
    policy, seen = zoo.load_policy("ppo-minatar-breakout"), {}
    policy.actor[4].register_forward_hook(lambda module, inputs, output: seen.update(hidden=output))
    actions = policy(np.zeros((2, 4, 10, 10), dtype=np.float32))
    assert (seen["hidden"].shape, actions.shape) == ((2, 128), (2,))


@pytest.mark.parametrize("load", [zoo.load, zoo.load_tokenizer, zoo.load_bridge, zoo.load_nnsight])
def test_a_policy_is_no_language_model(load):
    message = r"'ppo-cartpole' is an agent's policy. Use zoo.load_policy\('ppo-cartpole'\)"
    with pytest.raises(ZooError, match=message):
        load("ppo-cartpole")


def test_a_language_model_is_no_policy():
    names = ", ".join(zoo.policy_names())
    expected = (
        f"what is loaded as a policy must be one of {names}: 'tiny-gpt' is a language model. Use zoo.load('tiny-gpt')."
    )
    for use in (zoo.load_policy, zoo.plot_curve):
        with pytest.raises(ZooError) as caught:
            use("tiny-gpt")
        assert str(caught.value) == expected
    with pytest.raises(ZooError, match=r"'sae-probes' is texts. Use zoo.load_dataset with one of truth-science"):
        zoo.load_policy("sae-probes")
    with pytest.raises(UnknownNameError, match=r"no policy is called 'ppo-cartpol'. Did you mean 'ppo-cartpole'"):
        zoo.load_policy("ppo-cartpol")


@pytest.mark.parametrize(
    ("name", "module", "package"), [("ppo-hopper", making, "mujoco"), ("ppo-minatar-breakout", minatar, "minatar")]
)
def test_a_policy_loads_without_its_environments_package_and_playing_says_what_to_install(
    name, module, package, monkeypatch
):
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    minatar.load_game.cache_clear()
    policy = zoo.load_policy(name)
    message = re.escape(f"needs the package '{package}', which is not installed. Run: pip install 'arena-lib[rl]'")
    with pytest.raises(MissingDependencyError, match=message):
        evaluate(policy, policy.env_id)


def test_damaged_weights_are_refused(zoo_folder):
    zoo_folder.add_policy("toy")
    (zoo_folder.weights / "toy" / "model.safetensors").write_bytes(b"y")
    with pytest.raises(HashError, match=r"It is damaged or was changed\. Reinstall arena-lib"):
        zoo.load_policy("toy")


def test_the_curve_is_drawn_with_what_the_policy_brings_and_with_chance(zoo_folder):
    zoo_folder.add_policy("toy")
    figure = zoo.plot_curve("toy")
    assert (list(figure.data[0].x), list(figure.data[0].y)) == ([100, 200], [1.5, 7.0])
    assert figure.layout.title.text == "toy: CartPole-v1"
    assert [shape.name for shape in figure.layout.shapes] == ["policy 8", "random 2"]
