"""Checkpoints that survive a crash at any moment: tensors as safetensors, everything else as JSON.

A checkpoint is a folder with `state.json` and the one tensor file that it names.
Saving writes a new tensor file, then replaces `state.json` in one step, then removes
the tensor file before. So a reader, and a run that was killed while it saved, finds
either the whole old checkpoint or the whole new one. Nothing is ever unpickled.

Raises:  CheckpointError if it cannot be written (no space, no rights) or read (missing, damaged).
Source:  own derivation; rename over a file is atomic on POSIX and, by `os.replace`, on Windows.
"""

import contextlib
import hashlib
import json
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from arena_lib.core.files import NO_SPACE, write_atomically
from arena_lib.errors import ArenaError, CheckpointError

FORMAT = 1
"""Version of the layout above; a reader refuses newer ones."""

STATE_FILE = "state.json"


def has_checkpoint(folder: str | os.PathLike[str]) -> bool:
    """Say whether `folder` holds a checkpoint (whole or damaged)."""
    return (Path(folder) / STATE_FILE).exists()


def remove_checkpoint(folder: str | os.PathLike[str]) -> None:
    """Remove the checkpoint in `folder`, if there is one; other files stay."""
    (Path(folder) / STATE_FILE).unlink(missing_ok=True)
    for tensor_file in Path(folder).glob("tensors-*.safetensors"):
        tensor_file.unlink(missing_ok=True)


def save_checkpoint(folder: str | os.PathLike[str], *, tensors: dict[str, Tensor], state: dict[str, Any]) -> Path:
    """Write a checkpoint into `folder`, over the one that is there, and return the folder."""
    path = Path(folder)
    data = safetensors.torch.save(_apart(tensors))
    tensor_file = path / f"tensors-{uuid.uuid4().hex[:12]}.safetensors"
    record = {
        "format": FORMAT,
        "tensors": tensor_file.name,
        "sha256": hashlib.sha256(data).hexdigest(),
        "state": state,
    }
    text = json.dumps(record, indent=1, ensure_ascii=False)
    try:
        path.mkdir(parents=True, exist_ok=True)
        write_atomically(tensor_file, data)
        write_atomically(path / STATE_FILE, text.encode())
        for old in path.glob("tensors-*.safetensors"):
            if old != tensor_file:
                old.unlink(missing_ok=True)
    except OSError as error:
        _remove_unless_named(tensor_file)
        raise CheckpointError(_explain_write(path, len(data), error)) from error
    return path


def load_checkpoint(folder: str | os.PathLike[str]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read the checkpoint in `folder` and return (tensors on the CPU, state)."""
    path = Path(folder)
    advice = "Delete the folder to start over, or restore it from a copy."
    try:
        record = json.loads((path / STATE_FILE).read_text(encoding="utf-8"))
        data = (path / record["tensors"]).read_bytes()
        newer = record["format"] > FORMAT
        is_whole = hashlib.sha256(data).hexdigest() == record["sha256"]
        state = record["state"]
    except FileNotFoundError as error:
        problem = f"{error.filename} is missing"
        raise CheckpointError(
            f"a checkpoint must hold {STATE_FILE} and the file it names: {problem}. {advice}"
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path / STATE_FILE} must be the state of a checkpoint: {error!r}. {advice}") from error
    if newer:
        raise CheckpointError(
            f"a checkpoint must have format {FORMAT} or older: {path} has {record['format']}. Upgrade arena_lib."
        )
    if not is_whole:
        raise CheckpointError(
            f"{path / record['tensors']} must have the sha256 in {STATE_FILE}: its bytes differ. {advice}"
        )
    try:
        return safetensors.torch.load(data), state
    except SafetensorError as error:
        raise CheckpointError(f"{path / record['tensors']} must be a safetensors file: {error}. {advice}") from error


@contextlib.contextmanager
def restoring(folder: str | os.PathLike[str]) -> Iterator[None]:
    """Around code that puts a checkpoint's content back: what isn't there, or doesn't fit, becomes a CheckpointError.

    A checkpoint is whole, and yet of another version of the code that kept other things.
    """
    try:
        yield
    except ArenaError:
        raise
    except (KeyError, IndexError, TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(
            f"the checkpoint in {folder} must hold what this version of the code goes on from: {error!r}. It was probably "
            "written by another version; use that one, give another folder, or pass resume=False to start over there."
        ) from error


def _apart(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Give each tensor bytes of its own on the CPU: safetensors takes neither views nor tied tensors."""
    apart: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, tensor in tensors.items():
        tensor = tensor.detach().cpu().contiguous()
        storage = tensor.untyped_storage()
        if storage.data_ptr() in seen or storage.nbytes() != tensor.nbytes:
            tensor = tensor.clone()
        seen.add(tensor.untyped_storage().data_ptr())
        apart[name] = tensor
    return apart


def _remove_unless_named(tensor_file: Path) -> None:
    """Remove the new tensor file after a failed save, unless the new state already names it."""
    state_file = tensor_file.with_name(STATE_FILE)
    try:
        if not state_file.exists() or tensor_file.name not in state_file.read_text(encoding="utf-8"):
            tensor_file.unlink(missing_ok=True)
    except OSError:
        pass  # the save's own error says more than this one would


def _explain_write(path: Path, size: int, error: OSError) -> str:
    if error.errno in NO_SPACE:
        advice = "Free some space or choose another folder; the checkpoint before this one is untouched."
        return f"a checkpoint of {size / 1e6:.1f} MB must fit on the disk: there is no space for it in {path}. {advice}"
    return f"{path} must be a folder that can be written: {error}. Choose another folder."
