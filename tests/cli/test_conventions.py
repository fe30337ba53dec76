"""What every verb keeps to: JSON, help, version, completion, quoted commands, and messages in place of tracebacks."""

import json
import os
import shlex
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import arena_lib
from arena_lib.cli import VERBS
from arena_lib.cli.support.output import EXIT_CODES

MASK = "1.1/causal_mask"
MISUSES = {
    "demo": ["--model", "tiny-gtp"],
    "list": ["9.9"],
    "start": ["9.9"],
    "check": ["gone.py"],
    "hint": ["casual_mask"],
    "reset": ["casual_mask"],
    "solution": ["casual_mask"],
    "progress": ["--import", "gone.jsonl"],
    "verify": ["9.9"],
    "new": ["exercise", "nothing"],
    "zoo": ["info", "tiny-gtp"],
    "rl": ["train", "pop"],
    "saes": ["train", "--variant", "topkk"],
    "bench": ["run"],
    "docs": ["--port", "0"],
    "doctor": ["--nonsense"],
}
"""For each verb words that it can't work with."""
USES = {
    "list": [],
    "start": ["1.1"],
    "check": ["mine.py", "-e", MASK],
    "hint": [MASK],
    "solution": [MASK, "--give-up"],
    "progress": [],
    "zoo": ["list"],
}
"""Words that do something quickly; the other verbs have tests of their own."""


@pytest.mark.parametrize("group", [[], ["rl"], ["saes"], ["zoo"]])
def test_what_a_command_does_is_said_whole_in_its_groups_help(arena, group):
    listing = arena(*group, "--help").out.partition("Commands:")[2]
    assert listing
    assert "..." not in listing


@pytest.mark.parametrize("verb", VERBS)
def test_a_wrong_use_of_any_verb_is_one_json_document_and_the_code_2(arena, monkeypatch, tmp_path, verb):
    if verb in ("bench", "docs"):  # as where there is no checkout
        monkeypatch.setattr(arena_lib, "__file__", str(tmp_path / "site-packages" / "arena_lib" / "__init__.py"))
    done = arena(verb, *MISUSES[verb], "--json")
    assert done.code == 2, done.err
    assert set(done.json) == {"error", "kind"}
    assert done.json["error"].splitlines()[0] in done.err


@pytest.mark.parametrize("verb", USES)
def test_every_verb_prints_one_json_document(arena, solved, verb):
    done = arena(verb, *USES[verb], "--json")
    assert done.code == 0
    assert isinstance(done.json, dict)


def test_help_isnt_cut_at_80_columns_and_says_the_exit_codes(arena, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    for words in (["--help"], ["-h"], ["zoo", "-h"]):
        shown = arena(*words).out
        assert "..." not in shown.replace("[ARGS]...", "")
    assert EXIT_CODES in " ".join(arena("--help").out.split())


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb != "bench"])
def test_h_is_help(arena, verb):
    assert arena(verb, "-h").out == arena(verb, "--help").out


def test_the_version_is_that_of_the_package(arena):
    assert arena("--version").out == f"arena {version('arena-lib')}\n"


def test_shells_can_complete_the_verbs():
    words = {"_ARENA_COMPLETE": "bash_complete", "COMP_WORDS": "arena so", "COMP_CWORD": "1"}
    code = "import sys; sys.argv = ['arena']\nfrom arena_lib.cli import main\nmain()"
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | words, capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["plain,solution"]


def test_printed_commands_can_be_pasted(arena):
    for file_format in ("ipynb", "py"):
        command = arena("start", "1.1", "--folder", "a b/ünï", "--format", file_format).out.split("run: ")[1]
        *words, path = shlex.split(command.splitlines()[0])
        assert words == ["arena", "check"]
        assert Path(path).exists()


FULL = Path("/dev/full")
needs_full_disk = pytest.mark.skipif(not FULL.exists(), reason="there is no device that is always full")


@needs_full_disk
@pytest.mark.parametrize("words", [["list"], ["list", "--json"], ["progress", "--export", "-"]])
def test_output_that_finds_no_room_is_a_message(home, words):
    with FULL.open("w") as full:
        command = [sys.executable, "-m", "arena_lib", "hint", MASK]
        subprocess.run(command, check=True, capture_output=True)
        command = [sys.executable, "-m", "arena_lib", *words]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 3
    assert "there must be room on the disk" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_export_that_finds_no_room_leaves_the_old_one(arena, monkeypatch):
    arena("hint", MASK)
    arena("progress", "--export", "events.jsonl")
    before = Path("events.jsonl").read_text()
    arena("hint", MASK)

    def be_full(file):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", be_full)
    done = arena("progress", "--export", "events.jsonl", "--json")
    assert (done.code, done.json["kind"]) == (3, "DiskError")
    assert "--export must have room on its disk" in done.err
    assert Path("events.jsonl").read_text() == before
    assert [path.name for path in Path().iterdir()] == ["events.jsonl"]


def test_warnings_as_errors_dont_reach_the_learner(solved, home):
    home.write_text("a file, where a folder should be")
    command = [sys.executable, "-W", "error::UserWarning", "-m", "arena_lib", "hint", MASK, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert json.loads(done.stdout)["tier"] == 1
    assert "set ARENA_HOME" in done.stderr
