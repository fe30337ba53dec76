"""Cards as text: what is written is read back."""

import hashlib
import tomllib

from arena_lib.zoo.recipes.formatting import compute_sha256, format_lines


def test_what_is_written_is_read_back():
    values = {
        "name": 'She said "hello": Hägele',
        "size": 1_234_567,
        "negative": -12_345,
        "share": 0.0059,
        "small": 1e-3,
        "is_scaled": True,
        "curve": [[1, 0.5], [2000, 1.5]],
        "tokens": [],
    }
    text = format_lines(values)
    assert tomllib.loads(text) == values
    assert "size = 1_234_567\n" in text
    assert "is_scaled = true\n" in text


def test_tuples_become_lists():
    assert tomllib.loads(format_lines({"betas": (0.9, 0.999)})) == {"betas": [0.9, 0.999]}


def test_the_hash_is_that_of_the_files_bytes(tmp_path):
    (tmp_path / "file").write_bytes(b"weights")
    assert compute_sha256(tmp_path / "file") == hashlib.sha256(b"weights").hexdigest()
