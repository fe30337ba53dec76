"""`arena bench`: every word reaches the suite of the checkout, and its exit code comes back."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import arena_lib

ECHO = """\
import json, os, sys
print(json.dumps({"words": sys.argv[1:], "folder": os.getcwd(), "paths": os.environ["PYTHONPATH"].split(os.pathsep)}))
sys.exit(7)
"""


def make_checkout(folder, *, layout="src", has_suite=True):
    """A checkout whose suite writes what it was given and exits with 7."""
    package = folder / layout / "arena_lib"
    package.mkdir(parents=True)
    if has_suite:
        (folder / "benchmarks").mkdir()
        (folder / "benchmarks" / "__init__.py").touch()
        (folder / "benchmarks" / "__main__.py").write_text(ECHO)
    return package / "__init__.py"


@pytest.mark.parametrize(
    "words",
    [
        ["run", "forward", "--size", "tiny", "--json", "run.json"],
        ["--help"],
        ["run", "--help"],
        ["compare", "old.json", "new.json"],
        ["--version", "run"],
    ],
)
def test_every_word_reaches_the_suite_in_the_callers_folder(arena, tmp_path, monkeypatch, capfd, words):
    monkeypatch.setattr(arena_lib, "__file__", str(make_checkout(tmp_path / "checkout")))
    monkeypatch.setenv("PYTHONPATH", "elsewhere")
    assert arena("bench", *words).code == 7
    seen = json.loads(capfd.readouterr().out)
    assert seen["words"] == words
    assert seen["folder"] == str(Path.cwd())
    assert seen["paths"] == [str(tmp_path / "checkout"), "elsewhere"]


SUITE = """\
import json, sys
words = sys.argv[1:]
print("a row")
if "--json" in words:
    json.dump({"rows": [1]}, open(words[words.index("--json") + 1], "w"))
sys.exit(2 if "wrong" in words else 1 if "slower" in words else 0)
"""


@pytest.mark.parametrize(
    ("words", "code", "document"),
    [
        (["run", "forward"], 0, {"rows": [1]}),
        (["compare", "old", "slower"], 1, {"lines": ["a row"]}),
        (["report", "wrong"], 2, {"error": "a row", "kind": "UsageError"}),
    ],
)
def test_json_as_the_last_word_prints_one_document(arena, tmp_path, monkeypatch, words, code, document):
    monkeypatch.setattr(arena_lib, "__file__", str(make_checkout(tmp_path / "checkout")))
    (tmp_path / "checkout" / "benchmarks" / "__main__.py").write_text(SUITE)
    done = arena("bench", *words, "--json")
    assert (done.code, done.json) == (code, document)
    assert "a row" in done.err


@pytest.mark.parametrize("settings", [{"has_suite": False}, {"layout": "site-packages"}])
def test_outside_a_checkout_it_says_how_to_get_one(arena, tmp_path, monkeypatch, settings):
    monkeypatch.setattr(arena_lib, "__file__", str(make_checkout(tmp_path / "installed", **settings)))
    done = arena("bench", "run")
    assert done.code == 2
    assert "arena bench must run from a checkout" in done.err
    assert "Clone the repository, run there: pip install -e ." in done.err


def test_a_suite_that_ends_well_is_no_error(arena, tmp_path, monkeypatch, capfd):
    file = make_checkout(tmp_path / "checkout")
    (tmp_path / "checkout" / "benchmarks" / "__main__.py").write_text("")
    monkeypatch.setattr(arena_lib, "__file__", str(file))
    assert arena("bench").code == 0


def test_ctrl_c_waits_for_what_the_suite_keeps(arena, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(arena_lib, "__file__", str(make_checkout(tmp_path / "checkout")))
    waits = iter([KeyboardInterrupt, KeyboardInterrupt])
    wait = subprocess.Popen.wait

    def interrupted(self, timeout=None):
        for error in waits:
            raise error
        return wait(self, timeout)

    monkeypatch.setattr(subprocess.Popen, "wait", interrupted)
    assert arena("bench", "run").code == 7


def test_the_command_loads_no_torch(home):
    code = (
        "import sys; sys.argv = ['arena', 'bench', 'nothing']\nfrom arena_lib.cli import main\n"
        "try:\n    main()\nfinally:\n    sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


def test_it_stands_in_the_help(arena):
    assert "bench" in arena("--help").out
