"""A small course in a temporary package, with an exercise of each kind."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from arena_lib.course.content.catalog import Course

CHAPTER = """\
# ---
# arena: {id: "7.2", slug: little, title: "Little things", hours: 1.5, needs: [tiny-gpt]}
# objectives: ["Add and scale", "Find the largest"]
# ---
# %% [markdown]
# ## Adding
#
# The sum of `a` and `b`.
# %%
import math

N_RUNS = 2 if SCALE == "tiny" else 50
# %% exercise="plus" title="Add two numbers" difficulty=1 importance=5 minutes=3
# hint: What is a sum?
# hint: Python has an operator for it,
#       and it takes two lines to say so:
#           a ? b
# hint: The operator is a cross.
# %% exercise="scaler" title="Scale and shift" difficulty=3 importance=2 minutes=12
# hint: first
# hint: second
# hint: third
# %% result
# The number seven, and nothing else.
shown = plus(3, 4)
# %% exercise="find_largest" difficulty=2 importance=3 minutes=10
numbers = [3, 9, 4]
# region solution
largest = max(numbers)
# endregion
assert largest == 9, "the largest of 3, 9 and 4 is 9"
"""

LIBRARY = '''\
"""References of the little course."""

import functools
from dataclasses import dataclass

import math as maths

OFFSET = 10


def helper(x: float) -> float:
    return x + OFFSET


# The line above a decorator belongs to nobody.
@functools.cache
def plus(
    a: int,  # the left one
    b: int = 0,
) -> int:
    """The sum of a and b.

    >>> plus(1, 2)
    3
    """
    # cross
    return a + b


@dataclass
class Settings:
    factor: float = 2.0


class Scaler:
    """Multiplies, then shifts by ten."""

    kind = "linear"

    def __init__(self, settings: Settings) -> None:
        # kept for later
        self.factor = settings.factor

    def scale(self, x: float) -> float:
        return self.factor * plus(x)

    @property
    def root(self) -> float: return maths.sqrt(self.factor)

    def forward(self, x: float) -> float:
        """Scales and shifts x."""
        return helper(self.scale(x))
'''

TESTS = """\
from arena_lib.checking import exercise
from littlecourse import library
from littlecourse.face import Scaler as TheScaler

test_plus = exercise(reference=library.plus, cases=None)
test_scaler = exercise(reference=TheScaler, cases=None, keep=["__init__"])
test_plus_only_zero = test_plus.part("zero")
"""


@pytest.fixture
def course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Course]:
    """The course as written above; its package can be found but isn't imported."""
    package = tmp_path / "littlecourse"
    tests = package / "tests" / "little"
    chapter = package / "chapters" / "7_small"
    for folder in (tests, chapter):
        folder.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "library.py").write_text(LIBRARY)
    (package / "face.py").write_text("from .library import Scaler\n")
    (package / "tests" / "__init__.py").write_text("")
    (tests / "__init__.py").write_text("from .sums import test_plus, test_scaler\n")
    (tests / "sums.py").write_text(TESTS)
    (chapter / "7.2_little.py").write_text(CHAPTER)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    yield Course("little", "littlecourse", package / "chapters")
    for name in [name for name in sys.modules if name.split(".")[0] == "littlecourse"]:
        del sys.modules[name]
