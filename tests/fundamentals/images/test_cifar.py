import re

import numpy as np
import pytest
import torch

from arena_lib.errors import ConfigError, ZooError
from arena_lib.fundamentals.images import load_cifar10


@pytest.fixture
def folder(tmp_path):
    """Files of two records each, but for the last, which has one."""
    rng = np.random.default_rng(0)
    for number, name in enumerate([*(f"data_batch_{k}" for k in range(1, 6)), "test_batch"]):
        records = rng.integers(0, 256, (1 if number == 5 else 2, 3073), np.uint8)
        records[:, 0] = number + np.arange(len(records))
        (tmp_path / f"{name}.bin").write_bytes(records.tobytes())
    return tmp_path


def test_the_training_files_are_read_in_order(folder):
    images, labels, classes = load_cifar10(folder=folder)
    assert images.shape == (10, 3, 32, 32)
    assert labels.tolist() == [0, 1, 1, 2, 2, 3, 3, 4, 4, 5]
    assert classes[3] == "cat"
    assert load_cifar10("test", folder=str(folder)).labels.tolist() == [5]


def test_red_comes_first_and_rows_before_columns(folder):
    record = np.zeros(3073, np.uint8)
    record[0], record[1 + 2], record[1 + 1024 + 32], record[1 + 2048] = 7, 255, 51, 102
    (folder / "test_batch.bin").write_bytes(record.tobytes())
    image = load_cifar10("test", folder=folder).images[0]
    expected = torch.zeros(3, 32, 32)
    expected[0, 0, 2], expected[1, 1, 0], expected[2, 0, 0] = 1, 0.2, 0.4
    torch.testing.assert_close(image, expected)


def test_a_missing_file_says_which_version_to_unpack(folder):
    (folder / "data_batch_3.bin").unlink()
    with pytest.raises(ZooError, match=r"data_batch_3.bin must be in .*Unpack the binary version of CIFAR-10"):
        load_cifar10(folder=folder)
    (folder / "data_batch_3").write_bytes(b"\x80\x02}")
    with pytest.raises(ZooError, match="data_batch_3 is the version for Python, which is pickled and isn't read"):
        load_cifar10(folder=folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (bytes(3073 + 1000), "must hold records of 3,073 bytes: got 4,073 bytes, which is 1.33 records"),
        (b"", "got 0 bytes"),
        (b"\x0b" + bytes(3072), "must begin each record with a label from 0 to 9: got 11. CIFAR-100 has two labels"),
    ],
    ids=["a broken record", "empty", "another data set"],
)
def test_a_damaged_file_is_refused(folder, content, message):
    (folder / "test_batch.bin").write_bytes(content)
    with pytest.raises(ZooError, match=re.escape(message)):
        load_cifar10("test", folder=folder)


def test_a_split_that_is_not_there_is_refused(folder):
    with pytest.raises(ConfigError, match="split must be one of train, test: got 'valid'"):
        load_cifar10("valid", folder=folder)
