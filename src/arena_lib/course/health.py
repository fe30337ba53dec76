"""What a machine needs for the course, looked at one thing at a time: for `arena doctor`.

Raises:  nothing; what can't be looked at counts as wrong.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from arena_lib.wording import counted

OLDEST_PYTHON = (3, 11)
LEAST_FREE_BYTES = 1_000_000_000
"""Enough for a fetched model and a learner's checkpoints."""
_TORCH_LIMIT = 120.0

_LOOK_AT_TORCH = """
import json, torch
assert float((torch.ones(2, 3) @ torch.ones(3, 1)).sum()) == 6
report = {"version": torch.__version__, "built_for": torch.version.cuda, "cuda": torch.cuda.is_available()}
if report["cuda"]:
    report["name"] = torch.cuda.get_device_name()
    report["sum"] = float(torch.ones(3, device="cuda").sum())
report["mps"] = bool(getattr(torch.backends, "mps", None) and torch.backends.mps.is_available())
print(json.dumps(report))
"""


_LOOK_AT_TORCHVISION = "import torchvision"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at."""

    name: str
    is_ok: bool
    detail: str
    fix: str = ""
    """The one thing to do, if it isn't well."""


def examine() -> list[Finding]:
    """Everything, in the order in which it should be fixed."""
    looks: list[Callable[[], list[Finding]]] = [
        _python,
        _packages,
        _agents,
        _torch,
        _torchvision,
        _course,
        _models,
        _fetched,
        _disk,
        _folders,
    ]
    return [finding for look in looks for finding in look()]


def _python() -> list[Finding]:
    is_ok = sys.version_info[:2] >= OLDEST_PYTHON
    oldest = ".".join(map(str, OLDEST_PYTHON))
    fix = f"Install Python {oldest} or later, and make a new virtual environment with it."
    return [_finding("Python", is_ok, f"{platform.python_version()} at {sys.executable}", fix)]


def _packages() -> list[Finding]:
    """Whether each package that we require is there, in a version that we take."""
    from packaging.requirements import Requirement

    try:
        required = [Requirement(text) for text in requires("arena-lib") or []]
    except PackageNotFoundError:
        return [_finding("packages", False, "arena-lib isn't installed", "Run: pip install -e . (in the checkout)")]
    wrong, n_looked_at = [], 0
    for requirement in required:
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        n_looked_at += 1
        try:
            installed = version(requirement.name)
        except PackageNotFoundError:
            wrong.append((requirement, "missing"))
            continue
        if not requirement.specifier.contains(installed, prereleases=True):
            wrong.append((requirement, installed))
    if not wrong:
        return [_finding("packages", True, f"all {n_looked_at} are there")]
    return [
        _finding(str(r.name), False, f"{got}, must be {r.specifier}", f"Run: pip install '{r}'") for r, got in wrong
    ]


def _agents() -> list[Finding]:
    """Whether the packages of the extra `rl` are there; without them much of the course works, so it's no fault."""
    from packaging.requirements import Requirement

    try:
        required = [Requirement(text) for text in requires("arena-lib") or []]
    except PackageNotFoundError:
        return []
    markers = [(str(r.name), r.marker) for r in required if r.marker is not None]
    names = [
        name for name, marker in markers if marker.evaluate({"extra": "rl"}) and not marker.evaluate({"extra": ""})
    ]
    missing = [name for name in names if not _is_installed(name)]
    if not missing:
        return [_finding("extra rl", True, f"all {len(names)} packages of the chapter on agents are there")]
    detail = f"{', '.join(missing)} aren't installed. For the chapter on agents run: pip install 'arena-lib[rl]'"
    return [_finding("extra rl", True, detail)]


def _is_installed(name: str) -> bool:
    try:
        version(name)
    except PackageNotFoundError:
        return False
    return True


def _torch() -> list[Finding]:
    """Computes with torch in a process of its own, since a broken one may crash."""
    command = [sys.executable, "-c", _LOOK_AT_TORCH]
    try:
        completed = subprocess.run(command, capture_output=True, text=True, timeout=_TORCH_LIMIT, check=False)
        report = json.loads(completed.stdout.splitlines()[-1])
    except (subprocess.TimeoutExpired, ValueError, IndexError) as error:
        reason = (
            str(error)
            if isinstance(error, subprocess.TimeoutExpired)
            else (completed.stderr.strip() or "no answer").splitlines()[-1]
        )
        return [_finding("torch", False, f"it can't compute ({reason})", "Run: pip install --force-reinstall torch")]
    torch = _finding("torch", True, report["version"])
    if report["cuda"]:
        return [torch, _finding("GPU", True, f"{report['name']}, CUDA {report['built_for']}")]
    if report["mps"]:
        return [torch, _finding("GPU", True, "Apple's (MPS); tests run on the CPU")]
    if report["built_for"] and shutil.which("nvidia-smi"):
        fix = "Update the NVIDIA driver, or install a torch that is built for the one you have."
        detail = f"there is an NVIDIA driver, but torch for CUDA {report['built_for']} can't use it"
        return [torch, _finding("GPU", False, detail, fix)]
    return [torch, _finding("GPU", True, "none, so everything runs on the CPU")]


def _torchvision() -> list[Finding]:
    """A torchvision that was made for another torch: nothing here needs one, but transformers fails beside a broken one."""
    if not _is_installed("torchvision"):
        return []
    command = [sys.executable, "-c", _LOOK_AT_TORCHVISION]
    try:
        completed = subprocess.run(command, capture_output=True, text=True, timeout=_TORCH_LIMIT, check=False)
    except subprocess.TimeoutExpired as error:
        reason = str(error)
    else:
        if completed.returncode == 0:
            return [_finding("torchvision", True, f"{version('torchvision')}, which fits torch")]
        reason = (completed.stderr.strip() or "no answer").splitlines()[-1]
    if "torchvision::nms" in reason:
        reason = f"it was made for another torch ({reason})"
    detail = f"{version('torchvision')}: {reason}"
    return [_finding("torchvision", False, detail, "Run: pip uninstall -y torchvision (arena-lib doesn't need it)")]


def _course() -> list[Finding]:
    from arena_lib.course.content.catalog import load_catalog

    catalog = load_catalog()
    if catalog.problems:
        return [
            _finding("course", False, str(problem), "Run: pip install --force-reinstall arena-lib")
            for problem in catalog.problems
        ]
    detail = f"{counted(len(catalog.sections), 'section')}, {counted(len(catalog.exercises), 'exercise')}"
    return [_finding("course", bool(catalog.sections), detail, "Run: pip install --force-reinstall arena-lib")]


def _models() -> list[Finding]:
    from arena_lib import zoo
    from arena_lib.errors import ArenaError

    try:
        missing = [name for name in zoo.names() if zoo.info(name).source == "bundled" and not zoo.is_available(name)]
    except ArenaError as error:
        return [_finding("models", False, str(error), "Run: pip install --force-reinstall arena-lib")]
    detail = f"{', '.join(missing)} missing" if missing else "the bundled ones are here"
    return [_finding("models", not missing, detail, "Run: pip install --force-reinstall arena-lib")]


def _fetched() -> list[Finding]:
    """Fetched models and data sets that are damaged; those that are whole, or were never fetched, aren't listed."""
    from arena_lib import zoo
    from arena_lib.zoo.fetching import fetched_folder, is_whole

    cards = [zoo.info(name) for name in zoo.names()]
    damaged = [
        card.name for card in cards if card.download and fetched_folder(card.name).exists() and not is_whole(card)
    ]
    return [
        _finding(name, False, f"{fetched_folder(name)} is damaged", f"Run: arena zoo fetch {name}") for name in damaged
    ]


def _disk() -> list[Finding]:
    from arena_lib.zoo.places import cache_folder

    free = shutil.disk_usage(_nearest(cache_folder())).free
    fix = "Free some disk, or set ARENA_CACHE to a folder on another one."
    return [_finding("disk", free >= LEAST_FREE_BYTES, f"{free / 1e9:.1f} GB free", fix)]


def _folders() -> list[Finding]:
    """Whether the cache can be written, and progress read and written."""
    from arena_lib.course.record.progress import ProgressStore
    from arena_lib.zoo.places import cache_folder

    store = ProgressStore()
    findings = [
        _writable("cache", cache_folder(), "Set ARENA_CACHE to a folder of yours."),
        _writable("progress", store.path.parent, "Set ARENA_HOME to a folder of yours."),
    ]
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        n_events = len(store.events())
    if warned:
        findings.append(
            _finding(
                "progress file", False, str(warned[0].message), "Run arena doctor again; if this stays, set ARENA_HOME."
            )
        )
    else:
        findings.append(_finding("progress file", True, f"{counted(n_events, 'event')} in {store.path}"))
    return findings


def _writable(name: str, folder: Path, fix: str) -> Finding:
    nearest = _nearest(folder)
    try:
        with tempfile.TemporaryFile(dir=nearest):
            pass
    except OSError as error:
        return _finding(name, False, f"{error.strerror} for {folder}", fix)
    return _finding(name, True, str(folder))


def _nearest(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    folder = folder.absolute()
    while not os.path.lexists(folder) and folder != folder.parent:
        folder = folder.parent
    return folder


def _finding(name: str, is_ok: bool, detail: str, fix: str = "") -> Finding:
    return Finding(name=name, is_ok=is_ok, detail=detail, fix="" if is_ok else fix)
