import numpy as np
import pytest
import torch

from arena_lib.errors import ConfigError
from arena_lib.fundamentals.images import load_fashion_mnist, write_idx
from arena_lib.zoo.recipes import fashion_mnist


@pytest.fixture
def whole(tmp_path):
    """A data set of 41 and 23 images, three classes in random order."""
    folder = tmp_path / "whole"
    folder.mkdir()
    rng = np.random.default_rng(1)
    for stem, n_images in (("train", 41), ("t10k", 23)):
        write_idx(folder / f"{stem}-images-idx3-ubyte", rng.integers(0, 256, (n_images, 28, 28), np.uint8))
        write_idx(folder / f"{stem}-labels-idx1-ubyte", rng.permutation(np.arange(n_images) % 3).astype(np.uint8))
    return folder


def test_the_first_of_each_class_are_kept_in_order_with_every_pixel(whole, tmp_path, monkeypatch):
    monkeypatch.setattr(fashion_mnist, "N_PER_CLASS", {"train": 5, "test": 2})
    target = tmp_path / "target"
    target.mkdir()
    fashion_mnist.bundle(whole, target)
    for split, n_per_class in (("train", 5), ("test", 2)):
        images, labels, _ = load_fashion_mnist(split, whole)
        seen = [int((labels[:index] == labels[index]).sum()) for index in range(len(labels))]
        kept = torch.tensor(seen) < n_per_class
        bundled = load_fashion_mnist(split, target)
        assert len(bundled.labels) == 3 * n_per_class
        torch.testing.assert_close(bundled.images, images[kept], rtol=0, atol=0)
        assert bundled.labels.tolist() == labels[kept].tolist()


def test_too_few_images_of_a_class_are_refused():
    with pytest.raises(ConfigError, match="n_per_class must be at most 1, the smallest class: got 2"):
        fashion_mnist.select(np.array([0, 1, 1], np.uint8), 2)


def test_a_folder_without_the_data_set_ends_with_what_to_do(tmp_path, capsys):
    assert fashion_mnist.main([str(tmp_path)]) == 3
    assert "Put the four idx files of the data set there" in capsys.readouterr().err
