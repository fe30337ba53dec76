from dataclasses import replace

import pytest

from arena_lib.course import fingerprints
from arena_lib.course.content.catalog import load_catalog
from arena_lib.course.fingerprints import notebook_fingerprint, reached_files


@pytest.fixture(autouse=True)
def forget():
    """Files are read once in a process, and these tests change some."""
    fingerprints._imports_of.cache_clear()
    fingerprints._files.cache_clear()
    yield
    fingerprints._imports_of.cache_clear()
    fingerprints._files.cache_clear()


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package in place of ours: `top` imports `middle.part`, which imports `low` inside a function."""
    root = tmp_path / "arena_lib"
    (root / "middle").mkdir(parents=True)
    (root / "__init__.py").touch()
    (root / "middle" / "__init__.py").touch()
    (root / "top.py").write_text("import torch\nfrom arena_lib.middle import part\n")
    (root / "middle" / "part.py").write_text("def f():\n    import arena_lib.low\n")
    (root / "low.py").touch()
    (root / "other.py").touch()
    monkeypatch.setattr(fingerprints, "PACKAGE", root)
    return root


def test_imports_are_followed_through_packages_and_functions(package):
    reached = [path.relative_to(package).as_posix() for path in reached_files("from arena_lib.top import anything")]
    assert reached == ["__init__.py", "low.py", "middle/__init__.py", "middle/part.py", "top.py"]


def test_other_packages_are_not_followed(package):
    assert reached_files("import numpy.linalg\nfrom torch import nn") == []


def test_a_change_of_text_of_code_or_of_scale_is_another_fingerprint(course, monkeypatch, package):
    section = load_catalog([course], strict=True).sections[0]
    monkeypatch.setattr(fingerprints, "reached_files", lambda code: [package / "low.py"])
    before = notebook_fingerprint(section, "tiny")
    assert notebook_fingerprint(section, "tiny") == before
    assert notebook_fingerprint(section, "full") != before
    assert notebook_fingerprint(replace(section, title="Another title"), "tiny") != before
    (package / "low.py").write_text("changed = True\n")
    assert notebook_fingerprint(section, "tiny") != before
