"""One chapter file, read as text: its head, its cells and its exercises.

The format is jupytext's py:percent with a YAML head and a few keys:

    # ---
    # arena: {id: "1.1", slug: transformer_from_scratch, title: ..., hours: 8, needs: [tiny-gpt]}
    # objectives: ["Write every part of a transformer"]
    # ---
    # %% [markdown]
    # ## Prose
    # %% exercise="causal_mask" title="Hide the future" difficulty=2 importance=5 minutes=15
    # hint: the concept
    # hint: the approach, which may go on
    #       on a line that is indented like this one
    # hint: the step
    # %% result
    # What the learner sees when the exercises above work, then the code that shows it.
    # %% exercise="find_heads" difficulty=2 importance=3 minutes=10
    # region solution
    heads = ...
    # endregion
    assert heads

Raises:  AuthoringError, with file and line, for a chapter that breaks the format.
"""

from __future__ import annotations

import ast
import difflib
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

import yaml

from arena_lib.course.content.catalog_types import SOLUTION_BEGINS, SOLUTION_ENDS, Cell, ExerciseEntry, Section
from arena_lib.errors import AuthoringError
from arena_lib.wording import counted

N_HINTS = 3
"""From concept to approach to the step."""
HEAD_FENCE = "# ---"

_HEAD_KEYS = {"arena", "objectives"}
_IGNORED_HEAD_KEYS = {"jupyter"}
_SECTION_KEYS = {"id", "slug", "title", "hours", "needs"}
_EXERCISE_KEYS = {"exercise", "title", "difficulty", "importance", "minutes"}
_KEY_VALUE = re.compile(r'([A-Za-z_]\w*)=("(?:[^"\\]|\\.)*"|\S+)')
_SECTION_ID = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class _RawCell:
    marker: str
    line: int
    lines: tuple[str, ...]


def parse_chapter(path: Path) -> Section:
    """Reads one chapter file; references and tests are left for the catalog to fill in."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise AuthoringError(f"{path}: a chapter must be readable UTF-8 text: got {error}. Fix the file.") from error
    head, n_head_lines = _read_head(path, lines)
    section = _make_section(path, head, lines[:n_head_lines])
    cells = [_make_cell(path, raw, section.id) for raw in _split_cells(path, lines, n_head_lines)]
    seen: dict[str, int] = {}
    for cell in cells:
        if cell.exercise is None:
            continue
        if cell.exercise.name in seen:
            _fail(
                path,
                cell.line,
                "the exercises of a section must have different names",
                cell.exercise.name,
                f"Rename it; the other is at line {seen[cell.exercise.name]}.",
            )
        seen[cell.exercise.name] = cell.line
    return replace(section, cells=tuple(cells))


def _fail(path: Path, line: int, must_hold: str, got: object, advice: str) -> NoReturn:
    shown = got if isinstance(got, str) and got.startswith(("nothing", "line ")) else repr(got)
    raise AuthoringError(f"{path}:{line}: {must_hold}: got {shown}. {advice}")


def _read_head(path: Path, lines: list[str]) -> tuple[dict[str, Any], int]:
    """The YAML of the head, and the number of lines that it takes."""
    if not lines or lines[0].rstrip() != HEAD_FENCE:
        _fail(
            path,
            1,
            f"a chapter must begin with {HEAD_FENCE!r}",
            lines[0] if lines else "nothing",
            "Copy the head of another chapter.",
        )
    ends = next((n for n, line in enumerate(lines[1:], start=1) if line.rstrip() == HEAD_FENCE), None)
    if ends is None:
        _fail(path, 1, f"the head must end with {HEAD_FENCE!r}", "nothing of the kind", "Close the head.")
    for number, line in enumerate(lines[1:ends], start=2):
        if not line.startswith("#"):
            _fail(path, number, "a line of the head must be a comment", line, "Put '# ' before it.")
    text = "\n".join(line[1:].removeprefix(" ") for line in lines[1:ends])
    try:
        head = yaml.load(text, Loader=_LOADER)
    except yaml.YAMLError as error:
        _fail_as_yaml(path, text, error)
    if not isinstance(head, dict) or not isinstance(head.get("arena"), dict):
        _fail(
            path,
            _line_of("arena", lines[:ends]),
            "the head must have the key 'arena' with braces after it",
            head,
            "Copy the head of another chapter.",
        )
    for key in map(str, head):
        if key not in _HEAD_KEYS | _IGNORED_HEAD_KEYS:
            advice = "Write it within the braces of 'arena'." if key in _SECTION_KEYS else _nearest(key, _HEAD_KEYS)
            _fail(path, _line_of(key, lines[:ends]), f"the head may have the keys {sorted(_HEAD_KEYS)}", key, advice)
    return head, ends + 1


def _fail_as_yaml(path: Path, text: str, error: yaml.YAMLError) -> NoReturn:
    """Names the line whose brace or bracket is still open where the next key begins, or the head ends."""
    problem, mark = getattr(error, "problem", None) or str(error), getattr(error, "problem_mark", None)
    number, advice = mark.line if mark else -1, "Quote texts that hold a colon or a brace."
    lines = text.split("\n")
    if "flow" in str(getattr(error, "context", "")) and not "".join(lines[number : number + 1]).startswith(" "):
        for earlier in reversed(range(number)):
            if _n_open(lines[earlier]) > 0:
                number, advice = earlier, "Close the brace or bracket that opens here."
                break
    _fail(path, number + 2, "the head must be YAML", problem, advice)


def _n_open(line: str) -> int:
    return sum(line.count(sign) for sign in "{[") - sum(line.count(sign) for sign in "}]")


def _line_of(key: str, head: Sequence[str]) -> int:
    """The line of the head that holds this key, counted from 1; 2 if none does."""
    return next((n for n, line in enumerate(head, start=1) if re.search(rf"\b{re.escape(key)}['\"]?\s*:", line)), 2)


def _nearest(key: str, known: Collection[str]) -> str:
    nearest = difflib.get_close_matches(key, sorted(known), n=1)
    return f"Did you mean {nearest[0]!r}?" if nearest else "Drop it."


def _make_section(path: Path, head: dict[str, Any], head_lines: Sequence[str]) -> Section:
    arena = head["arena"]

    def fail(key: str, must_hold: str, got: object, advice: str) -> NoReturn:
        _fail(path, _line_of(key, head_lines), must_hold, got, advice)

    form = "'arena' must have id, slug, title and hours, and may have needs"
    for key in map(str, arena):
        if key not in _SECTION_KEYS:
            is_outside = key in _HEAD_KEYS
            fail(key, form, key, "Give it a line of its own below." if is_outside else _nearest(key, _SECTION_KEYS))
    missing = [key for key in ("id", "slug", "title", "hours") if key not in arena]
    if missing:
        fail("arena", form, sorted(arena), f"Add {' and '.join(missing)}.")
    for key in ("id", "slug", "title"):
        if not isinstance(arena[key], str) or not arena[key]:
            fail(key, f"{key} must be a text", arena[key], "Put it in quotes.")
    if not _SECTION_ID.fullmatch(arena["id"]):
        fail("id", "id must be words joined by dots, like 1.1", arena["id"], "Rename the section.")
    if not arena["slug"].isidentifier() or not arena["slug"].islower():
        fail("slug", "slug must be one lower-case word that Python can import", arena["slug"], "Use underscores.")
    if not isinstance(arena["hours"], int | float) or isinstance(arena["hours"], bool) or arena["hours"] <= 0:
        fail("hours", "hours must be a number above 0", arena["hours"], "Say how long a learner needs.")
    expected = f"{arena['id']}_{arena['slug']}"
    if path.stem != expected:
        fail("slug", f"the file of this section must be called {expected}.py", path.name, "Rename the file.")
    for key, texts in (("needs", arena.get("needs", [])), ("objectives", head.get("objectives", []))):
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            fail(key, f"{key} must be a list of texts", texts, "Put each one in quotes.")
    return Section(
        id=arena["id"],
        slug=arena["slug"],
        title=arena["title"],
        hours=float(arena["hours"]),
        path=path,
        needs=tuple(arena.get("needs", [])),
        objectives=tuple(head.get("objectives", [])),
    )


def _split_cells(path: Path, lines: list[str], start: int) -> Iterator[_RawCell]:
    """The cells as they stand, each from its `# %%` to the next."""
    marker: str | None = None
    begins, body = 0, list[str]()
    for number, line in enumerate(lines[start:], start=start + 1):
        if line.startswith("# %%"):
            if marker is not None:
                yield _RawCell(marker, begins, tuple(body))
            marker, begins, body = line.removeprefix("# %%").strip(), number, []
        elif marker is not None:
            body.append(line)
        elif line.strip():
            _fail(path, number, "text after the head must stand in a cell", line, "Begin a cell with '# %%'.")
    if marker is not None:
        yield _RawCell(marker, begins, tuple(body))


def _make_cell(path: Path, raw: _RawCell, section_id: str) -> Cell:
    if raw.marker == "[markdown]":
        return Cell(kind="markdown", source=_markdown(path, raw), line=raw.line)
    if raw.marker in ("", "result"):
        if any(line.strip() == SOLUTION_BEGINS for line in raw.lines):
            _fail(
                path,
                raw.line,
                "a solution must stand in an exercise cell",
                raw.marker,
                'Write # %% exercise="name" ...',
            )
        return Cell(kind="result" if raw.marker else "code", source=_trim(raw.lines), line=raw.line)
    if not raw.marker.startswith("exercise="):
        _fail(
            path,
            raw.line,
            "a cell must be '[markdown]', 'result', 'exercise=\"name\" ...' or nothing",
            raw.marker,
            _nearest_marker(raw.marker),
        )
    return _exercise_cell(path, raw, section_id)


def _nearest_marker(marker: str) -> str:
    kinds = {"markdown": "[markdown]", "result": "result", "exercise": 'exercise="name"'}
    word = re.match(r"\W*(\w*)", marker)
    nearest = difflib.get_close_matches(word[1].lower() if word else "", kinds, n=1)
    return f"Did you mean # %% {kinds[nearest[0]]}?" if nearest else "Fix the marker."


def _markdown(path: Path, raw: _RawCell) -> str:
    for number, line in enumerate(raw.lines, start=raw.line + 1):
        if line.strip() and not line.startswith("#"):
            _fail(path, number, "a line of a markdown cell must be a comment", line, "Put '# ' before it.")
    return _trim(tuple(line[1:].removeprefix(" ") for line in raw.lines))


def _trim(lines: tuple[str, ...]) -> str:
    """The lines as one text, without blank lines around it and spaces at the ends of lines."""
    return "\n".join(line.rstrip() for line in lines).strip("\n")


def _exercise_cell(path: Path, raw: _RawCell, section_id: str) -> Cell:
    keys = _read_keys(path, raw)
    _check_keys(path, raw, keys)
    name = keys["exercise"]
    hints, rest = _split_hints(path, raw)
    source = _trim(rest)
    entry = ExerciseEntry(
        id=f"{section_id}/{name}",
        name=name,
        title=str(keys.get("title", name.replace("_", " ").capitalize())),
        difficulty=keys["difficulty"],
        importance=keys["importance"],
        minutes=keys["minutes"],
        hints=hints,
        line=raw.line,
    )
    cell = Cell(kind="exercise", source=source, line=raw.line, exercise=entry)
    if cell.has_solution:
        _check_regions(path, raw)
    elif source:
        number = next(n for n, line in enumerate(rest, start=raw.line + 1 + len(raw.lines) - len(rest)) if line.strip())
        _fail(
            path,
            number,
            "an exercise cell must hold hints, or code with a '# region solution'",
            source.splitlines()[0],
            "Move other code to a cell of its own.",
        )
    if len(hints) != N_HINTS and not (cell.has_solution and not hints):
        _fail(
            path,
            raw.line,
            f"an exercise must have {N_HINTS} hints, from concept to approach to step",
            len(hints),
            f"Drop {counted(len(hints) - N_HINTS, 'hint')}, or join two; a hint may go on in indented lines."
            if len(hints) > N_HINTS
            else "Write each one as a line '# hint: ...'.",
        )
    return cell


def _check_keys(path: Path, raw: _RawCell, keys: dict[str, Any]) -> None:
    name = keys["exercise"]
    if not isinstance(name, str) or not name.isidentifier() or not name.isascii():
        _fail(path, raw.line, "the name of an exercise must be a name in Python, in ASCII", name, "Use underscores.")
    for key, highest in (("difficulty", 5), ("importance", 5), ("minutes", 1000)):
        if key not in keys:
            _fail(path, raw.line, f"an exercise must say its {key}", sorted(keys), f"Add {key}=...")
        if type(keys[key]) is not int or not 1 <= keys[key] <= highest:
            _fail(path, raw.line, f"{key} must be a whole number from 1 to {highest}", keys[key], "Choose one.")


def _read_keys(path: Path, raw: _RawCell) -> dict[str, Any]:
    keys: dict[str, Any] = {}
    for key, value in _KEY_VALUE.findall(raw.marker):
        if key not in _EXERCISE_KEYS:
            must_hold = f"an exercise cell may have the keys {', '.join(sorted(_EXERCISE_KEYS))}"
            _fail(path, raw.line, must_hold, key, _nearest(key, _EXERCISE_KEYS))
        if key in keys:
            _fail(path, raw.line, "an exercise cell has each key at most once", key, "Drop one.")
        try:
            is_plain = value.startswith('"') and "\\" not in value
            keys[key] = value[1:-1] if is_plain else ast.literal_eval(value)
        except (ValueError, SyntaxError):
            _fail(path, raw.line, f"{key} must be a number or a text in quotes", value, "Fix it.")
    left_over = _KEY_VALUE.sub("", raw.marker).strip()
    if left_over:
        _fail(path, raw.line, "the marker of an exercise must be key=value pairs", left_over, "Put texts in quotes.")
    return keys


def _split_hints(path: Path, raw: _RawCell) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The hints at the head of the cell, and the lines after them."""
    hints: list[list[str]] = []
    lines = list(raw.lines)
    while lines and _belongs_to_hints(lines[0].rstrip(), bool(hints)):
        line = lines.pop(0).rstrip()
        if line.startswith("# hint:"):
            hints.append([line.removeprefix("# hint:").strip()])
        elif line:
            hints[-1].append(line.removeprefix("#       ") if line.startswith("#       ") else line[1:].strip())
    after_hints = raw.line + 1 + len(raw.lines) - len(lines)
    if lines and _looks_like_hint(lines[0]):
        _fail(path, after_hints, "a hint must begin with '# hint:'", lines[0].rstrip(), "Write it so.")
    for number, line in enumerate(lines, start=after_hints):
        if line.startswith("# hint:"):
            _fail(path, number, "hints must stand at the head of their cell", line, "Move it up.")
    texts = tuple("\n".join(hint).strip() for hint in hints)
    if not all(texts):
        _fail(path, raw.line, "a hint must say something", "nothing", "Write it or drop it.")
    return texts, tuple(lines)


def _looks_like_hint(line: str) -> bool:
    """A comment that begins with `hint:`, but for a slip: `# hnt:`, `#hint:`, `# Hints -`."""
    word = re.match(r"#+\s*(\w+)\s*[:.=-]", line)
    return word is not None and bool(difflib.get_close_matches(word[1].lower(), ["hint"], cutoff=0.75))


def _belongs_to_hints(line: str, has_hint: bool) -> bool:
    """A hint, a blank line, or after a hint: an indented comment, or an empty one between its paragraphs."""
    return not line or line.startswith("# hint:") or (has_hint and (line == "#" or line.startswith("#   ")))


def _check_regions(path: Path, raw: _RawCell) -> None:
    """Regions of a solution must open and close in turn, and hold something."""
    opened, n_inside = 0, 0
    for number, line in enumerate(raw.lines, start=raw.line + 1):
        text = line.strip()
        if text == SOLUTION_BEGINS:
            if opened:
                _fail(
                    path,
                    number,
                    "a solution must end before another begins",
                    f"line {opened}",
                    f"Add '{SOLUTION_ENDS}'.",
                )
            opened, n_inside = number, 0
        elif text == SOLUTION_ENDS:
            if not opened or not n_inside:
                _fail(path, number, "a solution must begin and hold code before it ends", "nothing", "Fix the region.")
            opened = 0
        elif text:
            n_inside += 1
    if opened:
        _fail(path, opened, f"a solution must end with '{SOLUTION_ENDS}'", "nothing of the kind", "Close the region.")
