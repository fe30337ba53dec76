"""Training: it finds the pentagon, repeats itself, and stops at NaN."""

import pytest
import torch

from arena_lib.core.seeds import make_generator
from arena_lib.errors import ConfigError, TrainingError
from arena_lib.saes.superposition.geometry import compute_dimensionality, compute_feature_norms
from arena_lib.saes.superposition.model import ToyModel, ToyModelConfig
from arena_lib.saes.superposition.training import (
    ToyTrainingConfig,
    constant_lr,
    cosine_lr,
    evaluate_losses,
    linear_lr,
    train_toy_model,
)

SHORT = ToyTrainingConfig(n_steps=7, batch_size=5, log_every=3)


def make_model(n_inst: int = 4, feature_probability: float | torch.Tensor = 0.05) -> ToyModel:
    return ToyModel(ToyModelConfig(n_inst=n_inst), feature_probability, generator=make_generator(0))


def test_dense_features_stay_orthogonal_and_sparse_ones_make_a_pentagon():
    probability = torch.tensor([1.0, 1.0, 0.03, 0.03])[:, None]
    model = ToyModel(ToyModelConfig(n_inst=4), probability, 0.7 ** torch.arange(5), make_generator(0))
    history = train_toy_model(model, ToyTrainingConfig(n_steps=1_200, batch_size=128, lr=1e-2, schedule=linear_lr))
    norms = compute_feature_norms(model.W)
    assert (norms[:2].round() == torch.tensor([1.0, 1, 0, 0, 0])).all()  # the two most important ones
    assert norms[2:].min() > 0.8
    torch.testing.assert_close(compute_dimensionality(model.W)[2:], torch.full((2, 5), 0.4), rtol=0, atol=0.05)
    assert (history.losses[-1] < 0.6 * history.losses[0]).all()
    held_out = evaluate_losses(model, 20_000, make_generator(9))
    torch.testing.assert_close(held_out, history.losses[-1], rtol=0.3, atol=0)


def test_rows_are_written_when_due_and_at_the_end():
    model = make_model()
    history = train_toy_model(model, SHORT)
    assert history.steps.tolist() == [3, 6, 7]
    assert history.losses.shape == (3, 4)


def test_a_row_is_the_mean_over_the_updates_since_the_row_before():
    each = train_toy_model(make_model(), ToyTrainingConfig(n_steps=6, batch_size=5, log_every=1))
    threes = train_toy_model(make_model(), ToyTrainingConfig(n_steps=6, batch_size=5, log_every=3))
    torch.testing.assert_close(threes.losses, torch.stack([each.losses[:3].mean(0), each.losses[3:].mean(0)]))


def test_equal_seeds_give_equal_weights_and_others_do_not():
    weights = []
    for seed in (0, 0, 1):
        model = make_model()
        train_toy_model(model, ToyTrainingConfig(n_steps=7, batch_size=5, seed=seed))
        weights.append(model.W.detach())
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_the_schedule_scales_every_update():
    model, still = make_model(), make_model()
    train_toy_model(model, ToyTrainingConfig(n_steps=3, schedule=lambda step, n_steps: float(step == 0)))
    train_toy_model(still, ToyTrainingConfig(n_steps=1))
    assert torch.equal(model.W, still.W)


def test_schedules_start_at_one_and_end_near_zero():
    assert [constant_lr(step, 8) for step in (0, 7)] == [1.0, 1.0]
    assert [linear_lr(step, 8) for step in (0, 4, 7)] == [1.0, 0.5, 0.125]
    assert [cosine_lr(step, 8) for step in (0, 4)] == pytest.approx([1.0, 0.5])
    assert 0 < cosine_lr(7, 8) < 0.05


def test_a_loss_that_is_not_finite_names_instance_and_step():
    model = make_model()
    with torch.no_grad():
        model.W[2] = torch.nan
    with pytest.raises(TrainingError, match="got nan in instance 2 by step 3"):
        train_toy_model(model, SHORT)


def test_bad_configurations_are_refused(without_types):
    for wrong in ({"n_steps": 0}, {"batch_size": 1.5}, {"lr": 0.0}, {"seed": -1}):
        with pytest.raises(ConfigError):
            ToyTrainingConfig(**wrong)
