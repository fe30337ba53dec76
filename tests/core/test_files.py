"""Files that are whole or not there."""

import os

import pytest

from arena_lib.core.files import write_atomically


def test_writing_atomically_leaves_the_old_bytes_when_it_fails(tmp_path, monkeypatch):
    file = tmp_path / "file"
    write_atomically(file, b"old")

    def fail(source, target):
        raise OSError("no")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="no"):
        write_atomically(file, b"new")
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]
