"""The command line as a learner calls it, in this process, with a home of its own."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import arena_lib.cli


@dataclass
class Outcome:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder for progress, and another to work in."""
    folder = tmp_path / "home"
    monkeypatch.setenv("ARENA_HOME", str(folder))
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return folder


@pytest.fixture
def arena(home: Path):
    """Runs `arena` with these words."""

    def run(*words: object) -> Outcome:
        result = CliRunner().invoke(arena_lib.cli.arena, [str(word) for word in words], prog_name="arena")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Outcome(result.exit_code, result.stdout, result.stderr)

    return run


CAUSAL_MASK = """\
import torch

def causal_mask(scores):
    return scores.masked_fill(torch.ones_like(scores, dtype=torch.bool).triu(1), -torch.inf)
"""


@pytest.fixture
def solved(home: Path) -> Path:
    """A file in which one exercise is right."""
    path = Path("mine.py").absolute()
    path.write_text(CAUSAL_MASK)
    return path
