"""New courses and new exercises from templates, which hold from the start: `arena verify` passes on them.

Raises:  AuthoringError for a name that can't be used, or a file that is there already: nothing is written over.
"""

from __future__ import annotations

import ast
import keyword
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from string import Template

import arena_lib
from arena_lib.course.content.catalog_types import Section
from arena_lib.course.content.references import module_path
from arena_lib.errors import AuthoringError

FIRST_EXERCISE = "center_rows"


@dataclass(frozen=True, kw_only=True)
class SectionFiles:
    """Where the three pieces of a section's exercises are."""

    chapter: Path
    """The chapter's file."""
    tests: Path
    """The `__init__.py` of its judges' package."""
    tests_module: str
    library: Path
    """The folder of its references."""
    library_package: str


def new_course(name: str, folder: Path) -> list[Path]:
    """Writes the package `name`, with one section and one exercise, into `folder/name`; gives the files."""
    _check_name("a course", name)
    root = folder / name
    if root.exists():
        raise AuthoringError(f"a new course must have a folder of its own: got {root}, which is there. Name another.")
    distribution = name.replace("_", "-")
    section, slug = f"{distribution}.1", f"{name}_basics"
    words = {
        "package": name,
        "distribution": distribution,
        "version": arena_lib.__version__,
        "title": _title(name),
        "section": section,
        "slug": slug,
    }
    package = root / "src" / name
    section_files = SectionFiles(
        chapter=package / "chapters" / f"{distribution}_{name}" / f"{section}_{slug}.py",
        tests=package / "tests" / slug / "__init__.py",
        tests_module=f"{name}.tests.{slug}",
        library=package,
        library_package=name,
    )
    places = {
        "pyproject.toml": root / "pyproject.toml",
        "README.md": root / "README.md",
        "package.py": package / "__init__.py",
        "tests.py": package / "tests" / "__init__.py",
        "section.py": section_files.tests,
        "chapter.py": section_files.chapter,
    }
    for template, path in places.items():
        _write(path, _fill(f"course/{template}", words))
    written = new_exercise(section_files, FIRST_EXERCISE)
    return [*places.values(), *(path for path in written if path not in places.values())]


def find_section_files(section: Section, standing_in: Path) -> SectionFiles:
    """Where a new exercise of the section belongs; the section must be in the project of the current folder."""
    project = next((path for path in (standing_in, *standing_in.parents) if (path / "pyproject.toml").is_file()), None)
    if project is None or not section.path.resolve().is_relative_to(project.resolve()):
        raise AuthoringError(
            f"a new exercise must belong to the course that you stand in: got section {section.id} of {section.path}, "
            f"and you stand in {standing_in}. Change into that course's folder."
        )
    references = [entry.reference for entry in section.exercises if entry.reference]
    tests = module_path(section.tests_module)
    if tests is None or tests.name != "__init__.py" or not references:
        raise AuthoringError(
            f"section {section.id} must have a package of tests with one exercise in it: got {tests}. "
            "Write its first exercise by hand."
        )
    module = references[-1].partition(":")[0]
    path = module_path(module)
    assert path is not None  # the catalogue has read it
    is_package = path.name == "__init__.py"
    return SectionFiles(
        chapter=section.path,
        tests=tests,
        tests_module=section.tests_module,
        library=path.parent,
        library_package=module if is_package else module.rpartition(".")[0],
    )


def new_exercise(section: SectionFiles, name: str) -> list[Path]:
    """Writes the reference, the judge and the cell of an exercise; gives the files that it wrote or changed."""
    _check_name("an exercise", name)
    words = {"name": name, "title": _title(name), "reference": f"{section.library_package}.{name}"}
    reference, judge = section.library / f"{name}.py", section.tests.parent / f"{name}.py"
    chapter = section.chapter.read_text(encoding="utf-8")
    for path in (reference, judge):
        if path.exists():
            raise AuthoringError(f"a new exercise must have files of its own: got {path}, which is there. Rename one.")
    if f'exercise="{name}"' in chapter:
        raise AuthoringError(
            f"the exercises of a section must have different names: got {name!r}, which {section.chapter} has. "
            "Choose another."
        )
    exports = _with_export(section.tests.read_text(encoding="utf-8"), f"{section.tests_module}.{name}", f"test_{name}")
    _write(reference, _fill("exercise/reference.py", words))
    _write(judge, _fill("exercise/judge.py", words))
    section.tests.write_text(exports, encoding="utf-8")
    section.chapter.write_text(chapter.rstrip("\n") + "\n" + _fill("exercise/cell.py", words), encoding="utf-8")
    return [reference, judge, section.tests, section.chapter]


def _check_name(what: str, name: str) -> None:
    if (
        not (name.isidentifier() and name.isascii() and name.islower())
        or name.startswith("_")
        or keyword.iskeyword(name)
    ):
        raise AuthoringError(
            f"the name of {what} must be a lower-case name in Python, in ASCII: got {name!r}. Use underscores."
        )


def _title(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _fill(template: str, words: Mapping[str, str]) -> str:
    text = files("arena_lib.course").joinpath("templates", f"{template}.template").read_text(encoding="utf-8")
    return Template(text).substitute(words)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _with_export(source: str, module: str, name: str) -> str:
    """The source of an `__init__.py` that also imports a name, and has it in its `__all__`."""
    tree = ast.parse(source)
    lines = source.splitlines()
    is_docstring = bool(tree.body) and isinstance(tree.body[0], ast.Expr)
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    place = next((node.lineno - 1 for node in imports if (node.module or "") > module), None)
    if place is None:
        before = imports[-1:] or tree.body[: int(is_docstring)]
        place = before[0].end_lineno or 0 if before else 0
    new_lines = [f"from {module} import {name}"]
    new_lines = new_lines if imports else ["", *new_lines]
    for node in tree.body:
        if not isinstance(node, ast.Assign):
            continue
        if ast.unparse(node.targets[0]) == "__all__" and isinstance(node.value, ast.List):
            names = sorted([*ast.literal_eval(node.value), name])
            exports = ["__all__ = [", *(f'    "{export}",' for export in names), "]"]
            lines[node.lineno - 1 : node.end_lineno] = exports
    lines[place:place] = new_lines
    return "\n".join(lines) + "\n"
