import errno
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch

from arena_lib.core import checkpoints
from arena_lib.core.checkpoints import (
    has_checkpoint,
    load_checkpoint,
    remove_checkpoint,
    restoring,
    save_checkpoint,
    write_atomically,
)
from arena_lib.errors import CheckpointError, ConfigError


def save(folder, value=1.0, **state):
    return save_checkpoint(folder, tensors={"w": torch.full((2, 3), value)}, state=state)


def test_tensors_and_state_come_back_exactly(tmp_path):
    tensors = {
        "float": torch.randn(2, 3),
        "half": torch.randn(5).bfloat16(),
        "ids": torch.arange(4),
        "mask": torch.tensor([True, False]),
        "bytes": torch.get_rng_state(),
        "scalar": torch.tensor(0.1, dtype=torch.float64),
        "empty": torch.zeros(0, 3),
    }
    state = {"step": 3, "loss": 0.1 + 0.2, "best": float("inf"), "names": ["Ġé", None], "nested": {"a": [1, True]}}
    assert save_checkpoint(tmp_path / "new" / "folder", tensors=tensors, state=state) == tmp_path / "new" / "folder"
    loaded, loaded_state = load_checkpoint(tmp_path / "new" / "folder")
    assert loaded_state == state
    assert loaded.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert loaded[name].dtype == tensor.dtype
        assert torch.equal(loaded[name], tensor)


def test_views_tied_and_transposed_tensors_and_gradients_are_kept(tmp_path):
    weight = torch.randn(3, 4, requires_grad=True)
    tensors = {"a": weight, "tied": weight, "view": weight[1:], "turned": weight.T, "last": weight.detach()[2]}
    save_checkpoint(tmp_path, tensors=tensors, state={})
    loaded, _ = load_checkpoint(tmp_path)
    for name, tensor in tensors.items():
        assert torch.equal(loaded[name], tensor.detach())


def test_a_second_save_replaces_the_first_and_leaves_no_other_file(tmp_path):
    save(tmp_path, 1.0, step=1)
    (tmp_path / "metrics.csv").write_text("mine")
    save(tmp_path, 2.0, step=2)
    tensors, state = load_checkpoint(tmp_path)
    assert state == {"step": 2}
    assert torch.equal(tensors["w"], torch.full((2, 3), 2.0))
    assert len(list(tmp_path.iterdir())) == 3


def test_has_checkpoint(tmp_path):
    assert not has_checkpoint(tmp_path / "none")
    save(tmp_path)
    assert has_checkpoint(tmp_path)


def test_removing_a_checkpoint_leaves_other_files(tmp_path):
    save(tmp_path)
    (tmp_path / "metrics.csv").write_text("mine")
    for _ in range(2):
        remove_checkpoint(tmp_path)
        assert [file.name for file in tmp_path.iterdir()] == ["metrics.csv"]
    remove_checkpoint(tmp_path / "none")


@pytest.mark.parametrize("n_writes", [0, 1])
def test_a_save_that_dies_at_any_write_leaves_the_one_before_whole(tmp_path, monkeypatch, n_writes):
    save(tmp_path, 1.0, step=1)
    done = []

    def die(path, data):
        if len(done) == n_writes:
            raise SystemError("killed")  # no cleaning up happens, as with kill -9
        done.append(path)
        write_atomically(path, data)

    monkeypatch.setattr(checkpoints, "write_atomically", die)
    with pytest.raises(SystemError):
        save(tmp_path, 2.0, step=2)
    monkeypatch.undo()
    assert load_checkpoint(tmp_path)[1] == {"step": 1}
    assert len(list(tmp_path.glob("tensors-*"))) == 1 + n_writes
    save(tmp_path, 3.0, step=3)
    assert load_checkpoint(tmp_path)[1] == {"step": 3}
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
@pytest.mark.parametrize("n_writes", [0, 1])
def test_a_full_disk_is_said_and_the_checkpoint_before_is_kept(tmp_path, monkeypatch, code, n_writes):
    save(tmp_path, 1.0, step=1)
    done = []

    def fail(descriptor):
        if len(done) == n_writes:
            raise OSError(code, os.strerror(code))
        done.append(descriptor)

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(CheckpointError, match=r"must fit on the disk: there is no space .* Free some space") as caught:
        save(tmp_path, 2.0, step=2)
    assert str(tmp_path) in str(caught.value)
    monkeypatch.undo()
    assert load_checkpoint(tmp_path)[1] == {"step": 1}
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.skipif(sys.platform == "win32", reason="resource limits are POSIX")
def test_a_disk_that_is_really_full_is_said(tmp_path):
    program = """
        import resource, sys, torch
        from arena_lib.core.checkpoints import load_checkpoint, save_checkpoint
        from arena_lib.errors import CheckpointError, ConfigError
        save_checkpoint(sys.argv[1], tensors={"w": torch.zeros(10)}, state={"step": 1})
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
        try:
            save_checkpoint(sys.argv[1], tensors={"w": torch.zeros(10_000)}, state={"step": 2})
        except CheckpointError as error:
            print(error, load_checkpoint(sys.argv[1])[1])
    """
    command = [sys.executable, "-c", textwrap.dedent(program), str(tmp_path)]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "a checkpoint of 0.0 MB must fit on the disk" in out
    assert "{'step': 1}" in out


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(CheckpointError, match=r"file must be a folder that can be written: .* Choose another folder"):
        save(file)


def test_a_missing_checkpoint_names_the_missing_file(tmp_path):
    with pytest.raises(CheckpointError, match=r"state\.json is missing\. Delete the folder to start over"):
        load_checkpoint(tmp_path)
    save(tmp_path)
    next(tmp_path.glob("tensors-*")).unlink()
    with pytest.raises(CheckpointError, match=r"tensors-\w+\.safetensors is missing"):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"tensors": 3}', "\x00\xff"])
def test_a_damaged_state_is_named(tmp_path, text):
    save(tmp_path)
    (tmp_path / "state.json").write_text(text)
    with pytest.raises(CheckpointError, match=r"state\.json must be the state of a checkpoint"):
        load_checkpoint(tmp_path)


def test_damaged_tensors_are_noticed(tmp_path):
    save(tmp_path)
    file = next(tmp_path.glob("tensors-*"))
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    with pytest.raises(CheckpointError, match=r"must have the sha256 in state\.json: its bytes differ"):
        load_checkpoint(tmp_path)


def change_state(folder: Path, **changes):
    file = folder / "state.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def test_a_newer_format_is_refused(tmp_path):
    save(tmp_path)
    change_state(tmp_path, format=2)
    with pytest.raises(CheckpointError, match=r"format 1 or older: .* has 2\. Upgrade"):
        load_checkpoint(tmp_path)


def test_a_file_that_is_not_safetensors_is_named(tmp_path):
    save(tmp_path)
    next(tmp_path.glob("tensors-*")).write_bytes(b"no tensors")
    change_state(tmp_path, sha256="13ebd7ff06a0f3ff38b13d44b3ed9fd0d4a3e8e8e8e8e8e8e8e8e8e8e8e8e8e8")
    with pytest.raises(CheckpointError, match="must have the sha256"):
        load_checkpoint(tmp_path)
    import hashlib

    change_state(tmp_path, sha256=hashlib.sha256(b"no tensors").hexdigest())
    with pytest.raises(CheckpointError, match="must be a safetensors file"):
        load_checkpoint(tmp_path)


def test_what_fits_no_more_is_an_error_of_checkpoints_and_our_own_errors_pass(tmp_path):
    for error in (KeyError("rng"), RuntimeError("size mismatch"), ValueError("three values")):
        with pytest.raises(CheckpointError, match=r"written by another version") as caught, restoring(tmp_path):
            raise error
        assert caught.value.__cause__ is error
    with pytest.raises(ConfigError, match="as it is"), restoring(tmp_path):
        raise ConfigError("as it is")
    with pytest.raises(ZeroDivisionError), restoring(tmp_path):
        raise ZeroDivisionError
