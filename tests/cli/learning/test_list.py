"""`arena list` and what starts with it: keys, marks, and how little is loaded and parsed."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import arena_lib.tests
from arena_lib.checking.results import Result
from arena_lib.course.content import references
from arena_lib.course.content.catalog import load_catalog
from arena_lib.course.content.judge_hashes import current_test_hash
from arena_lib.course.record.progress import ProgressStore

MASK = "1.1/causal_mask"
TESTS = Path(arena_lib.tests.__file__).parent


def test_json_has_the_keys_of_the_contract(arena):
    done = arena("list", "--json")
    assert done.code == 0
    section = next(s for s in done.json["sections"] if s["id"] == "1.1")
    assert set(section) == {"id", "slug", "title", "chapter", "minutes", "exercises"}
    exercise = next(e for e in section["exercises"] if e["id"] == MASK)
    assert set(exercise) == {"id", "name", "title", "difficulty", "importance", "minutes", "reference", "test"}
    assert exercise["reference"] == "arena_lib.transformer.lesson:causal_mask"


def test_one_section_can_be_asked_for(arena):
    assert [s["id"] for s in arena("list", "transformer_from_scratch", "--json").json["sections"]] == ["1.1"]
    done = arena("list", "1.7")
    assert done.code == 2
    assert "no section is called '1.7'. Did you mean '1.2' or '1.1'" in done.err


@pytest.mark.parametrize(("is_current", "mark"), [(True, "✓"), (False, "~")])
def test_what_is_done_is_marked_and_what_is_stale_differently(arena, is_current, mark):
    entry = load_catalog().exercise(MASK)
    test_hash = current_test_hash(entry) if is_current else "another"
    ProgressStore().record(Result(exercise=MASK, status="passed", test_hash=test_hash))
    lines = arena("list").out.splitlines()
    (line,) = [line for line in lines if MASK in line]
    assert line.split()[0] == mark
    (head,) = [line for line in lines if line.startswith("1.1 ")]
    assert f"{int(is_current)} of" in head
    assert any("check it again" in line for line in lines) is not is_current


@pytest.mark.parametrize("words", [["list"], ["--help"], ["progress"], ["hint", "causal_mask"]])
def test_no_torch_is_loaded(words, home):
    code = f"import sys; sys.argv = {['arena', *words]!r}\nfrom arena_lib.cli import main\ntry:\n    main()\nfinally:\n    sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


def test_the_package_itself_loads_nothing_heavy():
    code = "import sys, arena_lib; sys.exit(any(m in sys.modules for m in ('torch', 'numpy', 'click', 'yaml')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_nothing_that_is_slow_to_load_is_loaded(home):
    """Processor time is what these take; the numbers of modules are the same on every machine."""
    slow = {"torch", "numpy", "plotly", "rich", "jaxtyping", "IPython", "asyncio", "pydantic", "typer"}
    code = (
        "import sys; sys.argv = ['arena', 'list']\nfrom arena_lib.cli import main\n"
        f"try:\n    main()\nfinally:\n    print(*sorted({slow!r} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.strip()) == (0, "")


def test_no_file_of_the_library_is_parsed_whole(arena, monkeypatch):
    """What `arena list` asks for stands in a file's imports and the heads of its tests, a fraction of its text."""
    references._read.cache_clear()
    n_parsed, parse = [], ast.parse

    def count(text, *args, **mode):
        n_parsed.append(len(text.split()))
        return parse(text, *args, **mode)

    with monkeypatch.context() as patched:
        patched.setattr(ast, "parse", count)
        assert arena("list").code == 0
    n_words = sum(len(file.read_text(encoding="utf-8").split()) for file in TESTS.rglob("*.py"))
    assert 0 < sum(n_parsed) < n_words / 8
