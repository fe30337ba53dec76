"""A policy's recipe: a shortened run, its folder, its figures."""

from dataclasses import replace

import pytest
import torch

from arena_lib.errors import ConfigError
from arena_lib.rl.ppo.discrete import PPOTrainer
from arena_lib.rl.ppo.policies import load_policy
from arena_lib.rl.training import EVALUATION_SEED, Evaluation, evaluate, make_random_policy, read_run
from arena_lib.zoo.recipes.policies import ppo_cartpole
from arena_lib.zoo.recipes.policies.running import compute_figures, play, run_recipe

CONFIG = replace(ppo_cartpole.CONFIG, n_epochs=2, n_minibatches=2)


def test_a_run_leaves_checkpoint_and_policy_and_says_what_it_reaches(tmp_path):
    figures = run_recipe(PPOTrainer, CONFIG, tmp_path, steps=600)
    description, tensors, _ = read_run(tmp_path / "run")
    assert description["step"] == 512, "two rollouts of 256"
    policy = load_policy(tmp_path / "model")
    assert all(torch.equal(weight, tensors[name]) for name, weight in policy.state_dict().items())
    assert figures["mean_return"] == evaluate(policy, "CartPole-v1").mean
    assert figures["lowest_return"] <= figures["mean_return"] <= figures["highest_return"]


def test_the_same_run_again_gives_the_same_weights_and_a_finished_one_is_not_repeated(tmp_path):
    run_recipe(PPOTrainer, CONFIG, tmp_path / "first", steps=512)
    run_recipe(PPOTrainer, CONFIG, tmp_path / "second", steps=512)
    first, second = (load_policy(tmp_path / name / "model").state_dict() for name in ("first", "second"))
    assert all(torch.equal(weight, second[name]) for name, weight in first.items())
    kept = (tmp_path / "first" / "model" / "model.safetensors").read_bytes()
    run_recipe(PPOTrainer, CONFIG, tmp_path / "first", steps=512)
    assert (tmp_path / "first" / "model" / "model.safetensors").read_bytes() == kept


def test_chance_plays_the_episodes_that_the_policy_plays(tmp_path):
    run_recipe(PPOTrainer, CONFIG, tmp_path, steps=256)
    played, random = play(load_policy(tmp_path / "model"), n_episodes=3)
    assert len(played.returns) == len(random.returns) == 3
    expected = evaluate(make_random_policy("CartPole-v1", EVALUATION_SEED), "CartPole-v1", n_episodes=3)
    assert random.returns == expected.returns


def test_figures_by_hand():
    played, random = Evaluation((1.0, 4.0, 1.0), (1, 1, 1)), Evaluation((0.0, 1.0), (1, 1))
    expected = {"mean_return": 2.0, "lowest_return": 1.0, "highest_return": 4.0, "random_mean_return": 0.5}
    assert compute_figures(played, random) == expected


def test_a_policy_is_trained_on_the_cpu(tmp_path):
    with pytest.raises(ConfigError, match="trained on the CPU, where its environments step: got 'cuda'"):
        run_recipe(PPOTrainer, CONFIG, tmp_path, device="cuda")
