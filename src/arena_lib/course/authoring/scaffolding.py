"""New courses and new exercises from templates, which hold from the start: `arena verify` passes on them.

Raises:  AuthoringError for a name that can't be used, or a file that is there already: nothing is written over.
"""

from __future__ import annotations

import ast
import builtins
import keyword
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from string import Template

import arena_lib
from arena_lib.course.content.catalog_types import Section
from arena_lib.course.content.python_source import assigned_names
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
    title: str = ""
    """The section's, which a package of judges that isn't there yet begins with."""


def new_course(name: str, folder: Path) -> list[Path]:
    """Writes the package `name`, with one section and one exercise, into `folder/name`; gives the files."""
    _check_name("a course", name)
    root = folder / name
    if root.exists():
        raise AuthoringError(f"a new course must have a folder of its own: got {root}, which is there. Name another.")
    _check_not_importable("a course", name)
    section, slug = first_section(name), f"{name}_basics"
    distribution = _distribution(name)
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


def first_section(course: str) -> str:
    """The id of the section that a new course of this name begins with.

    >>> first_section("my_course")
    'my-course.1'
    """
    return f"{_distribution(course)}.1"


def _distribution(course: str) -> str:
    return course.replace("_", "-")


def find_section_files(section: Section, standing_in: Path) -> SectionFiles:
    """Where a new exercise of the section belongs; the section must be in the project of the current folder."""
    project = next((path for path in (standing_in, *standing_in.parents) if (path / "pyproject.toml").is_file()), None)
    if project is None or not section.path.resolve().is_relative_to(project.resolve()):
        raise AuthoringError(
            f"a new exercise must belong to the course that you stand in: got section {section.id} of {section.path}, "
            f"and you stand in {standing_in}. Change into that course's folder."
        )
    package = section.tests_module.removesuffix(f".tests.{section.slug}")
    package_path, tests = module_path(package), module_path(section.tests_module)
    if package_path is None or (tests is not None and tests.name != "__init__.py"):
        raise AuthoringError(
            f"section {section.id} must have a package of tests: got {tests or package}. "
            f"Make it a folder with an __init__.py, tests/{section.slug}/."
        )
    references = [entry.reference for entry in section.exercises if entry.reference]
    # A section's first reference goes beside the package's own __init__.py, the others where the last one is.
    module = references[-1].partition(":")[0] if references else package
    path = module_path(module)
    assert path is not None  # the catalogue has read it
    is_package = path.name == "__init__.py"
    return SectionFiles(
        chapter=section.path,
        tests=tests or package_path.parent / "tests" / section.slug / "__init__.py",
        tests_module=section.tests_module,
        library=path.parent,
        library_package=module if is_package else module.rpartition(".")[0],
        title=section.title,
    )


def new_exercise(section: SectionFiles, name: str) -> list[Path]:
    """Writes the reference, the judge and the cell of an exercise; gives the files that it wrote or changed."""
    words = {"name": name, "title": _title(name), "reference": f"{section.library_package}.{name}"}
    _check_name("an exercise", name)
    _check_not_importable("an exercise", name)
    _check_not_in_template(name)
    reference, judge = section.library / f"{name}.py", section.tests.parent / f"{name}.py"
    chapter = section.chapter.read_text(encoding="utf-8")
    for path in (reference, judge, reference.with_suffix(""), judge.with_suffix("")):
        if path.exists():
            raise AuthoringError(f"a new exercise must have files of its own: got {path}, which is there. Rename one.")
    if f'exercise="{name}"' in chapter:
        raise AuthoringError(
            f"the exercises of a section must have different names: got {name!r}, which {section.chapter} has. "
            "Choose another."
        )
    if section.tests.exists():
        exports = section.tests.read_text(encoding="utf-8")
        if f"test_{name}" in assigned_names(exports):
            raise _refused("an exercise", name, f"has a test already: {section.tests} has test_{name}")
    else:
        exports = _fill("course/section.py", {"title": section.title})
    exports = _with_export(exports, f"{section.tests_module}.{name}", f"test_{name}")
    _write(reference, _fill("exercise/reference.py", words))
    _write(judge, _fill("exercise/judge.py", words))
    _write(section.tests, exports)
    section.chapter.write_text(chapter.rstrip("\n") + "\n" + _fill("exercise/cell.py", words), encoding="utf-8")
    return [reference, judge, section.tests, section.chapter]


def _check_name(what: str, name: str) -> None:
    if not (name.isidentifier() and name.isascii() and name.islower()) or name.startswith("_"):
        raise AuthoringError(
            f"the name of {what} must be a lower-case name in Python, in ASCII: got {name!r}. Use underscores."
        )
    if keyword.iskeyword(name) or keyword.issoftkeyword(name):
        raise _refused(what, name, "is a keyword of Python")
    if hasattr(builtins, name):
        raise _refused(what, name, "is a builtin of Python, which it would hide")


def _check_not_importable(what: str, name: str) -> None:
    """Refuses what `import name` finds already: a course would hide it, and an exercise is taken for it."""
    if name in sys.stdlib_module_names:
        raise _refused(what, name, "is a module of Python's standard library")
    path = module_path(name)
    if path is not None:
        raise _refused(what, name, f"is a module that is installed, {path}")


def _check_not_in_template(name: str) -> None:
    """Refuses what the templates of the judge and the reference import, or define as something else."""
    placeholder = "name_of_the_exercise"
    words = {"name": placeholder, "title": "", "reference": placeholder}
    for template, file in (("judge", "the file of its test"), ("reference", "its own file")):
        if name in assigned_names(_fill(f"exercise/{template}.py", words)):
            raise _refused("an exercise", name, f"is a name that {file} needs for something else")


def _refused(what: str, name: str, reason: str) -> AuthoringError:
    return AuthoringError(f"the name of {what} must be free: got {name!r}, which {reason}. Choose another.")


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
