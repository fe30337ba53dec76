"""Judges one exercise of a learner's file in this process, and leaves the Result in a file.

Raises:  nothing; whatever the learner's code raises is in the Result.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback
from collections.abc import Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any

from arena_lib.checking.reports.messages import spoken
from arena_lib.checking.results import Result
from arena_lib.course.content.catalog_types import ExerciseEntry
from arena_lib.course.judging.cells import CellProblem, read_learner_file
from arena_lib.course.judging.collect import collect, expression_of, parse_file
from arena_lib.course.judging.earlier_failures import causes_of_missing, explain_missing


def judge_job(job: dict[str, Any], answer: Path) -> None:
    """Judges one job (`judging.make_job`) and writes its Result, all at once."""
    try:
        result = judge_here(job)
    except BaseException as error:  # SystemExit and KeyboardInterrupt of the learner's code too
        text = "".join(traceback.format_exception_only(error)).strip()
        result = spoken(job["exercise"], "error", f"your code must run to its end: it raised {text}.")
    unfinished = answer.with_suffix(".part")
    unfinished.write_text(result.to_json(), encoding="utf-8")
    os.replace(unfinished, answer)


def judge_here(job: dict[str, Any]) -> Result:
    """Collects the learner's object and runs the test on it, in the folder of the learner's file."""
    path = Path(job["path"])
    os.chdir(path.parent)
    # As Python does for a script and Jupyter for a notebook, so that the learner's own modules can be imported.
    sys.path.insert(0, str(path.parent))
    entry = ExerciseEntry(
        id=job["exercise"], name=job["name"], title="", difficulty=1, importance=1, minutes=1,
        reference=job["reference"], test=job["test"],
    )  # fmt: skip
    parsed = parse_file(read_learner_file(path))
    expression = expression_of(parsed, entry)
    root, _, rest = expression.partition(".")
    collected = collect(parsed, root)
    if root not in collected.namespace:
        causes = causes_of_missing(parsed, collected, root) or collected.problems[-3:]
        return spoken(entry.id, "error", _undefined(root, causes))
    obj = collected.namespace[root]
    obj = attrgetter(rest)(obj) if rest else obj

    from arena_lib.checking.running import judge

    module, _, name = job["test"].partition(":")
    test = getattr(importlib.import_module(module), name)
    outcome = judge(test, obj, device=job["device"], exercise_id=entry.id)
    return explain_missing(outcome.result, outcome.error, parsed, collected)


def _undefined(name: str, causes: Sequence[CellProblem]) -> str:
    """Why the learner's definition didn't come to be, the first cause first."""
    told = ", then ".join(f"{problem.message} ({problem.where})" for problem in causes)
    return f"{name} must be defined when its cell runs: it isn't. What went wrong: {told or 'nothing was raised'}."


if __name__ == "__main__":
    judge_job(json.loads(sys.argv[1]), Path(sys.argv[2]))
