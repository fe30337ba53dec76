import numpy as np
import pytest

from arena_lib.errors import ConfigError, ShapeError
from arena_lib.fundamentals.backprop.classifier import ImageData, draw_digits, make_digits


def test_one_seed_makes_one_data_set():
    one, same, other = (make_digits(40, 20, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(one.train_images, same.train_images)
    assert not np.array_equal(one.train_images, other.train_images)
    assert (one.n_pixels, one.n_classes) == (196, 10)
    assert (one.train_images.min(), one.train_images.max()) == (0, 1)


def test_every_digit_is_there_and_no_two_pictures_are_alike():
    data = make_digits(300, 100, noise=0.0, side=12)
    assert set(data.train_labels.tolist()) == set(data.test_labels.tolist()) == set(range(10))
    assert len(np.unique(data.train_images.reshape(300, -1), axis=0)) == 300


def test_a_one_is_a_stroke_down_the_middle_and_a_zero_has_a_hole():
    mean = [draw_digits(np.full(200, digit), np.random.default_rng(0), noise=0.0).mean(axis=0) for digit in (0, 1)]
    assert mean[0][7, 7] < 0.2 < mean[0][7].max()
    assert mean[1][7, 5:9].max() > 0.4
    assert mean[1][7, :3].max() < 0.05


def test_the_nearest_mean_picture_is_often_wrong_so_that_there_is_something_to_learn():
    data = make_digits(1000, 500)
    means = np.stack([data.train_images[data.train_labels == digit].mean(axis=0).ravel() for digit in range(10)])
    distances = ((data.test_images.reshape(500, 1, -1) - means) ** 2).sum(axis=-1)
    assert 0.5 < (distances.argmin(axis=1) == data.test_labels).mean() < 0.85


@pytest.mark.parametrize("wrong", [{"side": 3}, {"noise": -0.1}])
def test_pictures_that_cannot_be_drawn_are_refused(wrong):
    with pytest.raises(ConfigError, match="digits go from 0 to 9"):
        draw_digits(np.array([1, 2]), np.random.default_rng(0), **wrong)
    with pytest.raises(ConfigError, match="labels from 1 to 10"):
        draw_digits(np.array([1, 10]), np.random.default_rng(0))


def test_a_set_needs_a_picture_of_each_digit():
    with pytest.raises(ConfigError, match="got 9 and 10"):
        make_digits(9, 10)


def test_pictures_and_labels_must_fit(without_types):
    images, labels = np.zeros((4, 3, 2)), np.array([0, 1, 2, 1])
    good = {"train_images": images, "train_labels": labels, "test_images": images, "test_labels": labels}
    assert ImageData(**good).n_classes == 3
    with pytest.raises(ShapeError, match=r"train_images.*\(4, 3, 2\) and \(3,\)"):
        ImageData(**good | {"train_labels": labels[:3]})
    with pytest.raises(ShapeError, match="one size"):
        ImageData(**good | {"test_images": np.zeros((4, 2, 3))})
