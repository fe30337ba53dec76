import numpy as np
import pytest

from arena_lib.errors import ConfigError, TrainingError
from arena_lib.fundamentals.backprop.classifier import (
    MLP,
    SGD,
    compute_accuracy,
    make_digits,
    predict,
    train_classifier,
    training_step,
)


@pytest.fixture(scope="module")
def data():
    return make_digits(3000, 500)


@pytest.mark.parametrize("seed", range(3))
def test_digits_are_learned(data, seed):
    model = MLP(data.n_pixels, 48, 10, np.random.default_rng(seed))
    before = compute_accuracy(model, data.test_images, data.test_labels)
    losses = train_classifier(model, SGD(model.parameters(), lr=0.3), data, n_epochs=12, seed=seed)
    assert before < 0.3
    assert losses[0] == pytest.approx(np.log(10), abs=0.2)
    assert np.mean(losses[-20:]) < 0.3
    assert compute_accuracy(model, data.test_images, data.test_labels) > 0.8


def test_every_picture_is_seen_once_in_an_epoch_in_another_order_each_time(data):
    seen = []

    def step(model, optimizer, images, labels):
        seen.append(images)
        return 0.0

    model = MLP(data.n_pixels, 2, 10)
    losses = train_classifier(model, SGD(model.parameters(), 0.1), data, n_epochs=2, batch_size=1300, step=step)
    assert [len(images) for images in seen] == [1300, 1300, 400] * 2
    assert len(losses) == 6
    epochs = [np.concatenate(part).reshape(3000, -1) for part in (seen[:3], seen[3:])]
    assert not np.array_equal(*epochs)
    assert all(
        np.array_equal(np.unique(epoch, axis=0), np.unique(data.train_images.reshape(3000, -1), axis=0))
        for epoch in epochs
    )


def test_a_step_returns_the_loss_before_it_and_lowers_it(data):
    model = MLP(data.n_pixels, 8, 10, np.random.default_rng(0))
    optimizer = SGD(model.parameters(), 0.1)
    first, second = (training_step(model, optimizer, data.train_images[:32], data.train_labels[:32]) for _ in range(2))
    assert type(first) is float
    assert second < first


def test_a_loss_that_is_not_finite_stops_training(data):
    model = MLP(data.n_pixels, 8, 10, np.random.default_rng(0))
    model.hidden.weight.array[0, 0] = np.nan
    with pytest.raises(TrainingError, match="got nan in step 0"):
        train_classifier(model, SGD(model.parameters(), 0.1), data, n_epochs=1)


@pytest.mark.parametrize("wrong", [{"n_epochs": 0}, {"n_epochs": 1, "batch_size": 0}])
def test_settings_that_cannot_work_are_refused(data, wrong):
    model = MLP(data.n_pixels, 2, 10)
    with pytest.raises(ConfigError, match="at least 1"):
        train_classifier(model, SGD(model.parameters(), 0.1), data, **wrong)


def test_predictions_leave_no_trace(data):
    model = MLP(data.n_pixels, 4, 10)
    guesses = predict(model, data.test_images)
    assert guesses.shape == data.test_labels.shape
    assert all(parameter.grad is None for parameter in model.parameters())
