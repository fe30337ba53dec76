import gzip
import lzma
import re

import numpy as np
import pytest

from arena_lib.errors import ZooError
from arena_lib.fundamentals.images.idx import MOST_BYTES, read_idx, write_idx

ARRAY = np.arange(2 * 3 * 5, dtype=np.uint8).reshape(2, 3, 5) * 7
HEAD = bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 5])


def write(tmp_path, content, name="some-idx3-ubyte"):
    file = tmp_path / name
    file.write_bytes(content)
    return file


def test_the_bytes_of_an_array_are_read_by_hand_written_head(tmp_path):
    array = read_idx(write(tmp_path, HEAD + ARRAY.tobytes()))
    assert array.dtype == np.uint8
    np.testing.assert_array_equal(array, ARRAY)


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress])
def test_a_packed_file_is_known_by_its_bytes_not_by_its_name(tmp_path, pack):
    np.testing.assert_array_equal(read_idx(str(write(tmp_path, pack(HEAD + ARRAY.tobytes()), "images"))), ARRAY)


@pytest.mark.parametrize("name", ["a-idx3-ubyte", "a-idx3-ubyte.xz"])
def test_what_is_written_is_read_back(tmp_path, name):
    write_idx(tmp_path / name, ARRAY)
    np.testing.assert_array_equal(read_idx(tmp_path / name), ARRAY)
    assert (tmp_path / name).read_bytes().startswith(b"\xfd7zXZ" if name.endswith("xz") else HEAD)


def test_more_than_255_images_have_a_size_of_two_bytes(tmp_path):
    array = np.arange(300, dtype=np.uint16).astype(np.uint8)
    write_idx(tmp_path / "labels", array)
    assert (tmp_path / "labels").read_bytes()[:8] == bytes([0, 0, 8, 1, 0, 0, 1, 44])
    np.testing.assert_array_equal(read_idx(tmp_path / "labels"), array)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "which begins with 00 00 08 and the number of its axes: got an empty file"),
        (b"\x89PNG\r\n", "got 89 50 4e 47. Is it the file that you mean?"),
        (bytes([0, 0, 13, 3]) + HEAD[4:], "got 00 00 0d 03"),
        (bytes([0, 0, 8, 0]), "got 00 00 08 00"),
        (HEAD[:11], "must state the size of 3 axes: it ends before. Get the file again."),
        (HEAD + ARRAY.tobytes()[:-1], "must hold 2 x 3 x 5 = 30 bytes after its head: got 29 bytes. Get the file"),
        (HEAD + ARRAY.tobytes() + b"x", "must hold 2 x 3 x 5 = 30 bytes after its head: got more"),
        (HEAD[:4] + b"\xff" * 12, f"must hold at most {MOST_BYTES:,} bytes"),
        (gzip.compress(HEAD + ARRAY.tobytes())[:-12], "It is damaged or incomplete: get the file again."),
        (b"\x1f\x8bnothing of gzip", "It is damaged or incomplete"),
        (lzma.compress(HEAD + ARRAY.tobytes())[:-20], "It is damaged or incomplete"),
        (b"\xfd7zXZ\x00" + b"nothing of xz", "It is damaged or incomplete"),
    ],
    ids=range(12),  # packed bytes have the time in them
)
def test_a_file_that_is_not_what_it_should_be_is_refused(tmp_path, content, message):
    with pytest.raises(ZooError, match=re.escape(message)):
        read_idx(write(tmp_path, content))


def test_a_missing_file_is_named_with_its_folder(tmp_path):
    with pytest.raises(ZooError, match=re.escape(f"nothing must be in {tmp_path}: it isn't.")):
        read_idx(tmp_path / "nothing")


def test_a_python_without_lzma_says_so(tmp_path, monkeypatch):
    file = write(tmp_path, lzma.compress(HEAD + ARRAY.tobytes()))
    monkeypatch.setitem(__import__("sys").modules, "lzma", None)
    with pytest.raises(ZooError, match="this Python was built without it"):
        read_idx(file)
