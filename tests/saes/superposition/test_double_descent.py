"""Few examples again and again: the data, the schedule, and memorising."""

import pytest
import torch

from arena_lib.core.seeds import make_generator
from arena_lib.errors import ConfigError
from arena_lib.saes.superposition.double_descent import (
    DoubleDescentConfig,
    draw_points,
    normalize_points,
    summed_losses,
    train_on_points,
    warmup_cosine,
)
from arena_lib.saes.superposition.model import ToyModel, ToyModelConfig

SMALL = {"n_feats": 40, "feature_probability": 0.1, "n_inst": 3, "n_steps": 400, "warmup": 20}


def test_examples_have_length_one_and_the_given_density():
    points = draw_points(2_000, 50, 0.2, make_generator(0))
    torch.testing.assert_close(points.norm(dim=-1), torch.ones(2_000))
    assert ((points > 0).float().mean() - 0.2).abs() < 0.01


def test_an_example_without_features_stays_zero():
    assert normalize_points(torch.tensor([[0.0, 0.0], [3.0, 4.0]])).tolist() == [
        [0.0, 0.0],
        [pytest.approx(0.6), pytest.approx(0.8)],
    ]


def test_the_loss_by_hand_sums_features_and_averages_examples():
    model = ToyModel(ToyModelConfig(n_inst=2, n_feats=3, d_hidden=1), 0.5)
    with torch.no_grad():
        model.W.zero_()
        model.b_final[1] = 1.0
    points = torch.tensor([[1.0, 0.0, 2.0], [0.0, 1.0, 0.0]])
    assert summed_losses(model, points).tolist() == [(5.0 + 1.0) / 2, (2.0 + 2.0) / 2]


def test_the_learning_rate_warms_up_and_falls_to_zero():
    shares = [warmup_cosine(step, 100, 10) for step in range(100)]
    assert shares[:10] == pytest.approx([(step + 1) / 10 for step in range(10)])
    assert shares[9:] == sorted(shares[9:], reverse=True)
    assert 0 < shares[-1] < 0.01
    assert warmup_cosine(0, 5, 0) == 1.0


def test_a_handful_of_examples_is_memorised_and_nothing_is_learned_of_others():
    run = train_on_points(DoubleDescentConfig(n_points=4, **SMALL), n_test=500)
    assert run.train_losses.max() < 0.3
    assert run.test_losses.min() > 0.8  # an empty model has 1
    assert run.W.shape == (3, 2, 40)
    assert run.hidden.shape == (3, 2, 4)


def test_runs_repeat_themselves_by_seed():
    runs = [
        train_on_points(DoubleDescentConfig(n_points=4, **SMALL | {"n_steps": 30}, seed=seed), n_test=50)
        for seed in (0, 0, 1)
    ]
    assert torch.equal(runs[0].W, runs[1].W)
    assert not torch.equal(runs[0].W, runs[2].W)
    assert not torch.equal(runs[0].hidden[0], runs[0].hidden[1])  # instances start apart


def test_a_warmup_longer_than_the_run_is_refused():
    with pytest.raises(ConfigError, match="warmup must be below n_steps = 10: got 10"):
        DoubleDescentConfig(n_points=4, n_steps=10, warmup=10)
