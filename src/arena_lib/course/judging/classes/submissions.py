"""Many learners' files, judged one after the other: a row for each learner and exercise.

Nothing is recorded: these verdicts aren't those of the person who asks for them.

Raises:  WorkspaceError for a name that is neither a file nor a folder.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from arena_lib.checking.results import Result
from arena_lib.course.content.catalog import Catalog
from arena_lib.course.content.catalog_types import Section
from arena_lib.course.judging.cells import read_learner_file
from arena_lib.course.judging.judge_file import FileVerdict
from arena_lib.course.judging.targets import find_section, section_of_file
from arena_lib.errors import UnknownNameError, WorkspaceError

JudgeFile = Callable[[Path, Section, set[str]], FileVerdict]
"""Judges the exercises of a section with these ids in a file, each within its limits."""


@dataclass(frozen=True, kw_only=True)
class Submission:
    """A file that someone handed in."""

    learner: str
    path: Path


@dataclass(frozen=True, kw_only=True)
class Row:
    """The verdict on one exercise of one learner, or why their file couldn't be judged."""

    learner: str
    file: str
    section: str = ""
    exercise: str = ""
    """Its id; empty where the file as a whole couldn't be judged."""
    status: str = "error"
    mistake: str = ""
    """The name of the mistake that was recognised."""
    seconds: float = 0.0
    message: str = ""
    """What the learner would read."""


def find_submissions(
    catalog: Catalog, targets: Iterable[Path], section: Section | None = None
) -> tuple[list[Submission], list[Path]]:
    """The files among these and in these folders; then those in a folder that define no exercise of the course.

    In a folder each learner has a file or a folder, whose name is theirs. A file that is named itself is called
    after its learner; one that is still called as `arena start` calls it lies in a folder that is.
    """
    submissions, others = [], []
    for target in targets:
        if target.is_dir():
            for path in _files_in(target):
                if section is not None or _may_be_judged(catalog, path):
                    submissions.append(Submission(learner=_learner_of(catalog, path, target), path=path))
                else:
                    others.append(path)
        elif target.is_file():
            submissions.append(Submission(learner=_learner_of(catalog, target, target.parent), path=target))
        else:
            raise WorkspaceError(
                f"what is judged must be a file or a folder: got {str(target)!r}. Name one that is there."
            )
    return submissions, others


def _learner_of(catalog: Catalog, path: Path, folder: Path) -> str:
    """The first folder below this one, or the file's name; its folder's if it is called as `start` calls it."""
    if path.parent != folder:
        return path.relative_to(folder).parts[0]
    is_named_by_start = any(path.stem.startswith(section.stem) for section in catalog.sections)
    return path.absolute().parent.name if is_named_by_start else path.stem


def _files_in(folder: Path) -> list[Path]:
    """The notebooks and scripts in a folder and those in it, hidden ones aside, in order."""
    paths = (path for path in folder.rglob("*") if path.suffix in (".ipynb", ".py") and path.is_file())
    return sorted(p for p in paths if not any(part.startswith(".") for part in p.relative_to(folder).parts))


def _may_be_judged(catalog: Catalog, path: Path) -> bool:
    """Whether the file is of a section, or can't be read, which its learner must be told."""
    try:
        return find_section(catalog, read_learner_file(path)) is not None
    except (WorkspaceError, UnknownNameError):
        return True


def judge_submissions(
    catalog: Catalog,
    submissions: Iterable[Submission],
    judge: JudgeFile,
    *,
    section: Section | None = None,
    only: Collection[str] = (),
) -> Iterator[list[Row]]:
    """The rows of each file, of all exercises with a test or of those in `only`; what one holds costs no other."""
    for submission in submissions:
        learner, file = submission.learner, str(submission.path)
        try:
            chosen = section or section_of_file(catalog, read_learner_file(submission.path))
            ids = {entry.id for entry in chosen.exercises if entry.test and (not only or entry.id in only)}
            results = judge(submission.path, chosen, ids).results if ids else ()
        except (WorkspaceError, UnknownNameError) as error:
            yield [Row(learner=learner, file=file, message=str(error))]
        else:
            yield [_row_of(result, chosen, learner=learner, file=file) for result in results]


def _row_of(result: Result, section: Section, *, learner: str, file: str) -> Row:
    return Row(
        learner=learner,
        file=file,
        section=section.id,
        exercise=result.exercise,
        status=result.status,
        mistake=result.diagnosis.mistake if result.diagnosis else "",
        seconds=round(result.seconds, 3),
        message=result.message,
    )
