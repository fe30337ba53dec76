"""What a machine lacks is found, one thing at a time, with the one fix."""

import errno
import json
import os
import platform
import shutil
import subprocess
import sys
from collections import namedtuple
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

from arena_lib import zoo
from arena_lib.course import health
from arena_lib.course.content import catalog
from arena_lib.course.health import Finding, examine
from arena_lib.course.record.progress import ProgressStore
from arena_lib.errors import AuthoringError, ZooError

REINSTALL = "Run: pip install --force-reinstall arena-lib"
TORCH = {"version": "2.9", "built_for": None, "cuda": False, "mps": False}


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    """A home and a cache of this test's own, neither made yet."""
    monkeypatch.setenv("ARENA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ARENA_CACHE", str(tmp_path / "cache"))
    return tmp_path


@pytest.fixture
def torch_says(monkeypatch):
    """Puts other words into the mouth of the process that looks at torch."""
    return lambda **found: monkeypatch.setattr(health, "_LOOK_AT_TORCH", f"print({json.dumps(TORCH | found)!r})")


def well(name, detail):
    return Finding(name=name, is_ok=True, detail=detail, fix="")


def ill(name, detail, fix):
    return Finding(name=name, is_ok=False, detail=detail, fix=fix)


def test_everything_is_looked_at_in_the_order_of_mending(torch_says):
    torch_says()
    names = [finding.name for finding in examine()]
    assert names == [
        "Python", "packages", "extra rl", "torch", "GPU", "course", "models", "disk", "cache", "progress", "progress file",
    ]  # fmt: skip


# Python and its packages


@pytest.mark.parametrize("running", [(3, 11), (3, 11, 9), (3, 12, 0), (4, 0, 0)])
def test_python_is_new_enough(monkeypatch, running):
    monkeypatch.setattr(sys, "version_info", running)
    assert health._python() == [well("Python", f"{platform.python_version()} at {sys.executable}")]


@pytest.mark.parametrize("running", [(3, 10, 99), (2, 12, 0)])
def test_an_old_python_is_said_with_the_one_to_install(monkeypatch, running):
    monkeypatch.setattr(sys, "version_info", running)
    (finding,) = health._python()
    assert not finding.is_ok
    assert finding.fix == "Install Python 3.11 or later, and make a new virtual environment with it."


def test_packages_that_are_there_are_counted(monkeypatch):
    required = ["pytest>=1", "torch", "nowhere>=1; extra == 'real'", "nowhere; python_version < '3'"]
    monkeypatch.setattr(health, "requires", {"arena-lib": required}.get)
    assert health._packages() == [well("packages", "all 2 are there")]


def test_a_requirement_whose_marker_holds_counts(monkeypatch):
    monkeypatch.setattr(health, "requires", lambda _: ["pytest; python_version >= '3'"])
    assert health._packages() == [well("packages", "all 1 are there")]


def test_missing_and_old_packages_are_each_said(monkeypatch):
    monkeypatch.setattr(health, "requires", lambda _: ["nowhere>=1.5", "pytest", "torch>=99"])
    assert health._packages() == [
        ill("nowhere", "missing, must be >=1.5", "Run: pip install 'nowhere>=1.5'"),
        ill("torch", f"{version('torch')}, must be >=99", "Run: pip install 'torch>=99'"),
    ]


def test_a_version_before_its_release_will_do(monkeypatch):
    monkeypatch.setattr(health, "requires", lambda _: ["torch>=2"])
    monkeypatch.setattr(health, "version", lambda _: "3.0rc1")
    assert health._packages() == [well("packages", "all 1 are there")]


def test_a_package_without_requirements_is_well(monkeypatch):
    monkeypatch.setattr(health, "requires", lambda _: None)
    assert health._packages() == [well("packages", "all 0 are there")]


@pytest.mark.parametrize(
    ("others", "detail"),
    [
        ([], "all 2 packages of the chapter on agents are there"),
        (["nowhere"], "nowhere aren't installed. For the chapter on agents run: pip install 'arena-lib[rl]'"),
    ],
)
def test_the_extra_for_agents_is_looked_at_and_may_be_absent(monkeypatch, others, detail):
    extra = [f"{name}>=0; extra == 'rl'" for name in ["pytest", "torch", *others]]
    monkeypatch.setattr(health, "requires", lambda _: ["gone", "gone2; python_version >= '3'", *extra])
    assert health._agents() == [well("extra rl", detail)]


def test_a_library_that_is_not_installed_is_said(monkeypatch):
    def fail(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(health, "requires", fail)
    told = ill("packages", "arena-lib isn't installed", "Run: pip install -e . (in the checkout)")
    assert health._packages() == [told]
    assert health._agents() == []


# torch and what it computes on


def test_the_torch_of_this_machine_computes():
    torch, gpu = health._torch()
    assert torch == well("torch", version("torch"))
    assert (gpu.name, gpu.is_ok) == ("GPU", True)


@pytest.mark.parametrize(
    ("found", "told"),
    [
        ({}, "none, so everything runs on the CPU"),
        ({"mps": True}, "Apple's (MPS); tests run on the CPU"),
        ({"cuda": True, "name": "Tesla", "built_for": "12.4"}, "Tesla, CUDA 12.4"),
    ],
)
def test_what_torch_computes_on_is_said(monkeypatch, torch_says, found, told):
    monkeypatch.setattr(shutil, "which", lambda _: "/usr/bin/nvidia-smi")
    torch_says(**found)
    assert health._torch() == [well("torch", "2.9"), well("GPU", told)]


def test_a_driver_that_torch_cannot_use_is_said(monkeypatch, torch_says):
    torch_says(built_for="13.0")
    monkeypatch.setattr(shutil, "which", {"nvidia-smi": "/usr/bin/nvidia-smi"}.get)
    detail = "there is an NVIDIA driver, but torch for CUDA 13.0 can't use it"
    fix = "Update the NVIDIA driver, or install a torch that is built for the one you have."
    assert health._torch() == [well("torch", "2.9"), ill("GPU", detail, fix)]
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert health._torch()[1] == well("GPU", "none, so everything runs on the CPU")


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("raise OSError('libtorch.so: cannot open')", "OSError: libtorch.so: cannot open"),
        ("import sys; sys.exit('first\\nlast')", "last"),
        ("import os; os._exit(3)", "no answer"),
        ("print('no JSON')", "no answer"),
    ],
)
def test_a_torch_that_fails_is_said_in_its_last_words(monkeypatch, script, said):
    monkeypatch.setattr(health, "_LOOK_AT_TORCH", script)
    assert health._torch() == [ill("torch", f"it can't compute ({said})", "Run: pip install --force-reinstall torch")]


def test_only_the_last_line_of_what_it_prints_counts(monkeypatch):
    monkeypatch.setattr(health, "_LOOK_AT_TORCH", f"print('hello'); print({json.dumps(TORCH)!r})")
    assert health._torch()[0] == well("torch", "2.9")


def test_a_torch_that_hangs_is_left(monkeypatch):
    monkeypatch.setattr(health, "_LOOK_AT_TORCH", "import time; time.sleep(60)")
    monkeypatch.setattr(health, "_TORCH_LIMIT", 0.2)
    (finding,) = health._torch()
    assert not finding.is_ok
    assert finding.detail.startswith("it can't compute (Command ")
    assert finding.detail.endswith("timed out after 0.2 seconds)")


@pytest.fixture
def torchvision_is_there(monkeypatch):
    """A torchvision 0.28.0 is installed, whose import is the given script."""

    def put(script):
        monkeypatch.setattr(health, "_is_installed", lambda name: name == "torchvision")
        monkeypatch.setattr(health, "version", lambda name: "0.28.0")
        monkeypatch.setattr(health, "_LOOK_AT_TORCHVISION", script)

    return put


WITHOUT_TORCHVISION = "Run: pip uninstall -y torchvision (arena-lib doesn't need it)"


def test_a_torchvision_made_for_another_torch_is_said_with_the_one_fix(torchvision_is_there):
    torchvision_is_there("raise RuntimeError('operator torchvision::nms does not exist')")
    detail = "0.28.0: it was made for another torch (RuntimeError: operator torchvision::nms does not exist)"
    assert health._torchvision() == [ill("torchvision", detail, WITHOUT_TORCHVISION)]


def test_a_torchvision_that_fails_otherwise_or_hangs_is_said_too(torchvision_is_there, monkeypatch):
    torchvision_is_there("raise ImportError('libcudart.so.13')")
    assert health._torchvision() == [ill("torchvision", "0.28.0: ImportError: libcudart.so.13", WITHOUT_TORCHVISION)]
    torchvision_is_there("import os; os._exit(3)")
    assert health._torchvision() == [ill("torchvision", "0.28.0: no answer", WITHOUT_TORCHVISION)]
    torchvision_is_there("import time; time.sleep(60)")
    monkeypatch.setattr(health, "_TORCH_LIMIT", 0.5)
    (finding,) = health._torchvision()
    assert not finding.is_ok
    assert "timed out" in finding.detail


def test_a_torchvision_that_fits_is_well_and_none_is_not_mentioned(torchvision_is_there, monkeypatch):
    torchvision_is_there("pass")
    assert health._torchvision() == [well("torchvision", "0.28.0, which fits torch")]
    monkeypatch.setattr(health, "_is_installed", lambda name: False)
    assert health._torchvision() == []


def test_the_look_at_torch_waits_two_minutes(monkeypatch):
    seen = {}

    def run(command, **options):
        seen.update(options, command=command)
        return subprocess.CompletedProcess(command, 0, json.dumps(TORCH), "")

    monkeypatch.setattr(subprocess, "run", run)
    health._torch()
    assert seen["command"] == [sys.executable, "-c", health._LOOK_AT_TORCH]
    assert seen["timeout"] == 120


# the course and its models


def test_the_course_is_counted(monkeypatch):
    there = catalog.load_catalog()
    monkeypatch.setattr(catalog, "load_catalog", lambda: catalog.Catalog(there.sections[:1]))
    (found,) = health._course()
    assert found == well("course", f"1 section, {len(there.sections[0].exercises)} exercises")


def test_an_empty_course_is_said(monkeypatch):
    monkeypatch.setattr(catalog, "load_catalog", lambda: catalog.Catalog(()))
    assert health._course() == [ill("course", "0 sections, 0 exercises", REINSTALL)]


def test_each_broken_chapter_is_said(monkeypatch):
    broken = catalog.Catalog(
        (), ((Path("1.py"), AuthoringError("one is broken")), (Path("2.py"), AuthoringError("and another")))
    )
    monkeypatch.setattr(catalog, "load_catalog", lambda: broken)
    assert health._course() == [
        ill("course", "one is broken", REINSTALL), ill("course", "and another", REINSTALL),
    ]  # fmt: skip


def test_bundled_models_that_are_missing_are_named(monkeypatch):
    Card = namedtuple("Card", "source")
    cards = {"one": Card("bundled"), "real": Card("download"), "two": Card("bundled"), "there": Card("bundled")}
    monkeypatch.setattr(zoo, "names", lambda: list(cards))
    monkeypatch.setattr(zoo, "info", cards.__getitem__)
    monkeypatch.setattr(zoo, "is_available", lambda name: name == "there")
    assert health._models() == [ill("models", "one, two missing", REINSTALL)]
    monkeypatch.setattr(zoo, "is_available", lambda name: name != "real")
    assert health._models() == [well("models", "the bundled ones are here")]


def test_a_broken_card_is_said(monkeypatch):
    def fail():
        raise ZooError("the card of tiny-gpt is broken")

    monkeypatch.setattr(zoo, "names", fail)
    assert health._models() == [ill("models", "the card of tiny-gpt is broken", REINSTALL)]


# disk and folders


@pytest.mark.parametrize(
    ("free", "is_ok", "told"), [(999_999_999, False, "1.0"), (10**9, True, "1.0"), (2_540_000_000, True, "2.5")]
)
def test_there_must_be_a_gigabyte_of_disk(monkeypatch, folders, free, is_ok, told):
    asked = []
    monkeypatch.setattr(shutil, "disk_usage", lambda path: asked.append(path) or namedtuple("Usage", "free")(free))
    (finding,) = health._disk()
    assert (finding.name, finding.is_ok, finding.detail) == ("disk", is_ok, f"{told} GB free")
    assert finding.fix == ("" if is_ok else "Free some disk, or set ARENA_CACHE to a folder on another one.")
    assert asked == [folders]  # the cache isn't there yet: its nearest parent


def test_folders_that_can_be_written_are_named_and_not_made(folders):
    home = folders / "home"
    assert health._folders() == [
        well("cache", str(folders / "cache" / "zoo")),
        well("progress", str(home)),
        well("progress file", f"0 events in {home / 'progress.sqlite3'}"),
    ]
    assert list(folders.iterdir()) == []


def test_a_folder_is_looked_for_from_where_we_are(folders, monkeypatch):
    monkeypatch.chdir(folders)
    monkeypatch.setenv("ARENA_HOME", "deep/home")
    assert health._folders()[1] == well("progress", str(Path("deep/home")))


def test_events_are_counted(folders):
    for _ in range(3):
        ProgressStore().note("hint", "7.2/plus", tier=1)
    assert health._folders()[2].detail == f"3 events in {folders / 'home' / 'progress.sqlite3'}"
    assert os.listdir(folders / "home")[0].startswith("progress")


def test_files_in_place_of_folders_are_said(folders):
    (folders / "cache").write_text("")
    (folders / "home").symlink_to(folders / "nowhere")
    reason = os.strerror(errno.ENOTDIR)
    cache, progress, _ = health._folders()
    assert cache == ill("cache", f"{reason} for {folders / 'cache' / 'zoo'}", "Set ARENA_CACHE to a folder of yours.")
    assert (progress.is_ok, progress.fix) == (False, "Set ARENA_HOME to a folder of yours.")
    assert progress.detail == f"{os.strerror(errno.ENOENT)} for {folders / 'home'}"


def test_a_damaged_progress_file_is_said_and_not_warned_of(folders):
    path = folders / "home" / "progress.sqlite3"
    path.parent.mkdir()
    path.write_bytes(b"this is no database, and longer than a header would be " * 100)
    finding = health._folders()[2]  # a warning would be an error here
    assert (finding.name, finding.is_ok) == ("progress file", False)
    assert f"{path} is damaged" in finding.detail
    assert finding.fix == "Run arena doctor again; if this stays, set ARENA_HOME."


def test_fetched_data_that_is_damaged_is_said_with_the_fix(tmp_path, monkeypatch):
    monkeypatch.setenv("ARENA_CACHE", str(tmp_path))
    assert health._fetched() == []
    (tmp_path / "zoo" / "smollm2").mkdir(parents=True)
    (finding,) = health._fetched()
    assert (finding.name, finding.is_ok, finding.fix) == ("smollm2", False, "Run: arena zoo fetch smollm2")
