import hashlib
import re
import tomllib

import numpy as np
import pytest
import torch

from arena_lib.errors import ConfigError, ZooError
from arena_lib.fundamentals.images import FASHION_CLASSES, load_fashion_mnist, load_mnist, write_idx
from arena_lib.fundamentals.images.idx import BUNDLED


@pytest.fixture
def folder(tmp_path):
    """A small data set: 7 training and 4 test images of random bytes."""
    rng = np.random.default_rng(0)
    for stem, n_images in (("train", 7), ("t10k", 4)):
        write_idx(tmp_path / f"{stem}-images-idx3-ubyte", rng.integers(0, 256, (n_images, 28, 28), np.uint8))
        write_idx(tmp_path / f"{stem}-labels-idx1-ubyte", np.arange(n_images, dtype=np.uint8) + 1)
    return tmp_path


@pytest.mark.parametrize(("split", "n_images", "n_per_class"), [("train", 6000, 600), ("test", 1000, 100)])
def test_the_bundled_images_are_balanced_and_of_the_published_brightness(split, n_images, n_per_class):
    images, labels, classes = load_fashion_mnist(split)
    assert images.shape == (n_images, 1, 28, 28)
    assert images.dtype == torch.float32
    assert labels.dtype == torch.int64
    assert labels.bincount().tolist() == [n_per_class] * 10
    assert classes == FASHION_CLASSES
    assert images.min() == 0
    assert images.max() == 1
    assert images.mean().item() == pytest.approx(0.286, abs=0.003)
    assert images.std().item() == pytest.approx(0.353, abs=0.003)


def test_the_bundled_images_show_what_their_labels_say():
    images, labels, classes = load_fashion_mnist()
    means = torch.stack([images[labels == label].mean(dim=(0, 1)) for label in range(10)])
    test = load_fashion_mnist("test")
    distances = (test.images[:, 0, None] - means).square().sum(dim=(-1, -2))
    accuracy = (distances.argmin(dim=-1) == test.labels).float().mean().item()
    assert accuracy > 0.6  # the nearest mean image, with no training at all
    trousers = means[classes.index("Trouser")]
    assert trousers[20, 14] < trousers[20, 10]  # between the legs it is darker than on one


def test_the_images_that_ship_fit_within_three_megabytes():
    assert sum(file.stat().st_size for file in BUNDLED.iterdir()) < 3_000_000
    assert "Zalando" in (BUNDLED / "LICENSE").read_text()


def test_the_card_says_what_the_files_are():
    card = tomllib.loads((BUNDLED / "card.toml").read_text())
    assert card["licence"] == "MIT"
    assert card["sha256"] == {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in BUNDLED.glob("*.xz")}
    assert card["images"] == {split: len(load_fashion_mnist(split).labels) for split in ("train", "test")}


def test_labels_are_not_in_order():
    labels = load_fashion_mnist().labels
    assert labels[:200].bincount(minlength=10).min() > 5


def test_a_folder_of_ones_own_is_read(folder):
    images, labels, classes = load_mnist(folder=folder)
    assert images.shape == (7, 1, 28, 28)
    assert labels.tolist() == [1, 2, 3, 4, 5, 6, 7]
    assert classes == tuple("0123456789")
    assert load_fashion_mnist("test", str(folder)).labels.tolist() == [1, 2, 3, 4]
    assert len(load_fashion_mnist("test", folder).classes[9]) > 1


def test_bytes_become_floats_from_0_to_1(folder):
    pixels = np.zeros((7, 28, 28), np.uint8)
    pixels[2, 3, 5], pixels[2, 5, 3] = 255, 51
    write_idx(folder / "train-images-idx3-ubyte", pixels)
    image = load_mnist("train", folder=folder).images[2]
    assert image[0, 3, 5] == 1
    assert image[0, 5, 3] == pytest.approx(0.2)
    assert image.sum().item() == pytest.approx(1.2)


def test_names_with_a_dot_and_packed_files_are_found(folder):
    for file in list(folder.glob("train*")):
        write_idx(folder / (file.name.replace("-idx", ".idx") + ".xz"), load_and_remove(file))
    assert load_mnist(folder=folder).images.shape == (7, 1, 28, 28)


def load_and_remove(file):
    from arena_lib.fundamentals.images import read_idx

    array = read_idx(file)
    file.unlink()
    return array


def test_take_gives_the_first_ones(folder):
    whole = load_mnist(folder=folder)
    part = whole.take(3)
    assert part.labels.tolist() == [1, 2, 3]
    torch.testing.assert_close(part.images, whole.images[:3])
    assert part.classes == whole.classes
    assert len(whole.take(7).labels) == 7
    for wrong in (0, 8):
        with pytest.raises(ConfigError, match=f"between 1 and 7, the images that are there: got {wrong}"):
            whole.take(wrong)


def test_a_split_that_is_not_there_is_refused():
    with pytest.raises(ConfigError, match="split must be one of train, test: got 'valid'"):
        load_fashion_mnist("valid")


def test_a_missing_file_is_named_with_what_the_folder_holds(folder, tmp_path):
    (folder / "train-labels-idx1-ubyte").unlink()
    message = "must hold train-labels-idx1-ubyte, plain or with .gz or .xz: it holds t10k-images-idx3-ubyte, t10k"
    with pytest.raises(ZooError, match=re.escape(message)):
        load_mnist(folder=folder)
    with pytest.raises(ZooError, match=r"the folder of the data set must be there: .*nowhere isn't"):
        load_mnist(folder=tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ZooError, match="it holds nothing"):
        load_mnist(folder=tmp_path / "empty")


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("images-idx3", np.zeros((7, 28, 32), np.uint8), "must hold images of 28 x 28 pixels: got an array of shape"),
        ("images-idx3", np.zeros(7, np.uint8), "must hold images of 28 x 28 pixels: got an array of shape (7,)"),
        ("labels-idx1", np.zeros(6, np.uint8), "must hold 7 labels, one for each image: got an array of shape (6,)"),
        ("labels-idx1", np.full(7, 10, np.uint8), "must hold labels from 0 to 9: got 10"),
    ],
)
def test_files_that_do_not_fit_together_are_refused(folder, name, array, message):
    write_idx(folder / f"train-{name}-ubyte", array)
    with pytest.raises(ZooError, match=re.escape(message)):
        load_mnist(folder=folder)
