import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
import torch

import arena_lib
from arena_lib.core import manifest as module
from arena_lib.core.manifest import find_commit, find_versions, make_manifest, read_manifest, write_manifest


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A repository with one commit of a stand-in for the package."""
    package = tmp_path / "src"
    package.mkdir()
    (package / "__init__.py").write_text("")

    def git(*arguments):
        settings = ["-c", "user.name=t", "-c", "user.email=t@t", "-c", "commit.gpgsign=false"]
        command = ["git", *settings, "-C", str(tmp_path), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    monkeypatch.setattr(arena_lib, "__file__", str(package / "__init__.py"))
    git("init", "-q")
    return package, git


def test_commit_of_a_checkout_says_whether_files_differ(checkout):
    package, git = checkout
    git("add", ".")
    git("commit", "-qm", "one")
    commit = git("rev-parse", "HEAD")
    assert find_commit() == commit
    (package / "new.py").write_text("")
    assert find_commit() == commit
    (package / "__init__.py").write_text("changed")
    assert find_commit() == commit + "+changes"


def test_a_package_inside_another_projects_checkout_has_no_commit(checkout):
    _, git = checkout
    git("commit", "-q", "--allow-empty", "-m", "theirs")
    assert find_commit() is None


def test_without_git_there_is_no_commit(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert find_commit() is None


def test_versions(monkeypatch):
    versions = find_versions()
    assert versions["torch"] == metadata.version("torch")
    assert versions["arena_lib"] == arena_lib.__version__
    assert versions["python"] == ".".join(map(str, sys.version_info[:3]))
    monkeypatch.setattr(module, "PACKAGES", ("torch", "no-such-package"))
    assert find_versions()["no-such-package"] is None


def test_a_manifest_says_what_made_the_result_and_comes_back(tmp_path):
    manifest = make_manifest({"lr": 0.1}, 7)
    assert (manifest["config"], manifest["seed"]) == ({"lr": 0.1}, 7)
    assert manifest["commit"] == find_commit()
    assert manifest["machine"]["n_threads"] == torch.get_num_threads()
    path = write_manifest(tmp_path / "new", manifest)
    assert path == tmp_path / "new" / "manifest.json"
    assert read_manifest(tmp_path / "new") == manifest


@pytest.mark.parametrize("text", [None, "", "[]"])
def test_a_manifest_that_cannot_be_read_is_none(tmp_path, text):
    if text is not None:
        Path(tmp_path / "manifest.json").write_text(text)
    assert read_manifest(tmp_path) is None
