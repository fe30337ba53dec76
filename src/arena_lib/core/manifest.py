"""What made a result: commit, configuration, seed, versions and machine, as JSON beside it.

Raises:  OSError if the folder cannot be written.
"""

import json
import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

import arena_lib
from arena_lib.core.files import write_atomically

PACKAGES = ("torch", "numpy", "safetensors", "transformers", "tokenizers")
"""The packages whose versions may change a result."""

MANIFEST_FILE = "manifest.json"


def find_commit() -> str | None:
    """Return the commit of the checkout that arena_lib runs from, with "+changes" if files differ from it.

    None where arena_lib is installed from a wheel, or git is not there.
    """
    folder = Path(arena_lib.__file__).parent
    try:
        _git(folder, "ls-files", "--error-unmatch", "__init__.py")  # fails if another project's checkout surrounds us
        commit = _git(folder, "rev-parse", "HEAD")
        changes = _git(folder, "status", "--porcelain", "--untracked-files=no", ".")
    except (OSError, subprocess.SubprocessError):
        return None
    return commit + ("+changes" if changes else "")


def make_manifest(config: dict[str, Any], seed: int) -> dict[str, Any]:
    """Describe a run that starts now with this JSON-able config and this seed."""
    return {
        "commit": find_commit(),
        "config": config,
        "seed": seed,
        "versions": find_versions(),
        "machine": {
            "system": platform.platform(),
            "processor": platform.machine(),
            "cuda": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
            "n_threads": torch.get_num_threads(),
        },
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def find_versions() -> dict[str, str | None]:
    """Return the versions of Python, arena_lib and PACKAGES; None for a package that is not installed."""
    versions: dict[str, str | None] = {"python": platform.python_version(), "arena_lib": arena_lib.__version__}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = None
    return versions


def write_manifest(folder: str | os.PathLike[str], manifest: dict[str, Any]) -> Path:
    """Write `manifest.json` into `folder`; a run that continues is added to the first one's `resumed` list."""
    path = Path(folder) / MANIFEST_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, (json.dumps(manifest, indent=1, ensure_ascii=False) + "\n").encode())
    return path


def read_manifest(folder: str | os.PathLike[str]) -> dict[str, Any] | None:
    """Return the manifest in `folder`, or None if there is none that can be read."""
    try:
        manifest = json.loads((Path(folder) / MANIFEST_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return manifest if isinstance(manifest, dict) else None


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
