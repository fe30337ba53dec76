import re
from pathlib import Path

import pytest

from arena_lib.course.content.catalog_types import Section
from arena_lib.course.content.chapters import parse_chapter
from arena_lib.errors import AuthoringError

HEAD = '# ---\n# arena: {id: "7.2", slug: little, title: Little, hours: 1.5}\n# ---\n'
EXERCISE = '# %% exercise="plus" difficulty=1 importance=5 minutes=3\n'
HINTS = "# hint: a\n# hint: b\n# hint: c\n"


def parse(tmp_path: Path, text: str, name: str = "7.2_little.py") -> Section:
    folder = tmp_path / "7_small"
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    return parse_chapter(folder / name)


@pytest.fixture
def section(course) -> Section:
    return parse_chapter(course.chapters / "7_small" / "7.2_little.py")


def test_head_becomes_the_section(section):
    assert (section.id, section.slug, section.title) == ("7.2", "little", "Little things")
    assert (section.hours, section.minutes, section.chapter, section.stem) == (1.5, 90, "7_small", "7.2_little")
    assert section.needs == ("tiny-gpt",)
    assert section.objectives == ("Add and scale", "Find the largest")


def test_cells_keep_kind_order_and_line(section):
    assert [(cell.kind, cell.line) for cell in section.cells] == [
        ("markdown", 5), ("code", 9), ("exercise", 13), ("exercise", 19), ("result", 23), ("exercise", 26),
    ]  # fmt: skip
    assert section.cells[0].source == "## Adding\n\nThe sum of `a` and `b`."
    assert section.cells[1].source == 'import math\n\nN_RUNS = 2 if SCALE == "tiny" else 50'
    assert section.cells[2].source == ""


def test_exercise_has_its_keys_and_hints(section):
    plus = section.exercises[0]
    assert (plus.id, plus.name, plus.title) == ("7.2/plus", "plus", "Add two numbers")
    assert (plus.difficulty, plus.importance, plus.minutes, plus.line) == (1, 5, 3, 13)
    assert plus.hints == (
        "What is a sum?",
        "Python has an operator for it,\nand it takes two lines to say so:\n    a ? b",
        "The operator is a cross.",
    )


def test_exploratory_exercise_may_lack_title_and_hints(section):
    cell = section.cells[-1]
    assert cell.has_solution
    assert cell.exercise.title == "Find largest"
    assert cell.exercise.hints == ()
    assert cell.source.startswith("numbers = [3, 9, 4]\n# region solution\n")


BROKEN = [
    ("", 1, "must begin with '# ---': got nothing"),
    ("x = 1\n", 1, "must begin with '# ---': got 'x = 1'"),
    ("# ---\n# arena: {}\n", 1, "head must end with '# ---'"),
    ("# ---\narena: {}\n# ---\n", 2, "a line of the head must be a comment"),
    ("# ---\n# a: 1\n# b: [\n# ---\n", 3, "Close the brace or bracket that opens here."),
    (HEAD.replace("}\n", "\n# objectives: [a]\n"), 2, "Close the brace or bracket that opens here."),
    (HEAD.replace(", hours", ",\n#   hours").replace("}\n", "\n# objectives: [a]\n"), 2, "that opens here."),
    (HEAD.replace("Little", "Little: things"), 2, "Quote texts that hold a colon or a brace."),
    (HEAD.replace(", title", ",\n#   title").replace("Little", "a: b"), 3, "Quote texts that hold a colon"),
    (HEAD.replace("}\n", "}\n# objektives: [a]\n"), 3, "got 'objektives'. Did you mean 'objectives'?"),
    (HEAD.replace("}\n", "}\n# title: Little\n"), 2, "got 'title'. Write it within the braces of 'arena'."),
    (HEAD.replace("title", "titel"), 2, "got 'titel'. Did you mean 'title'?"),
    (HEAD.replace("}", ", objectives: [a]}"), 2, "got 'objectives'. Give it a line of its own below."),
    (HEAD.replace("}\n", "}\n# objectives: a\n"), 3, "objectives must be a list of texts: got 'a'"),
    (HEAD.replace(", hours: 1.5", ""), 2, "Add hours."),
    (HEAD + EXERCISE.replace("minutes", "minuts") + HINTS, 4, "got 'minuts'. Did you mean 'minutes'?"),
    ("# ---\n# objectives: []\n# ---\n", 2, "must have the key 'arena'"),
    (HEAD.replace("# ---\n", "# ---\n# colour: red\n", 1), 2, "'colour'"),
    (HEAD.replace("hours", "length"), 2, "must have id, slug, title and hours"),
    (HEAD.replace("{", "{colour: red, "), 2, "must have id, slug, title and hours"),
    (HEAD.replace('"7.2"', "7.2"), 2, "id must be a text: got 7.2. Put it in quotes."),
    (HEAD.replace('"7.2"', '"7 2"'), 2, "id must be words joined by dots"),
    (HEAD.replace("little", "Little-one"), 2, "slug must be one lower-case word"),
    (HEAD.replace("1.5", "0"), 2, "hours must be a number above 0: got 0"),
    (HEAD.replace("1.5", "true"), 2, "hours must be a number above 0: got True"),
    (HEAD.replace("}", ", needs: tiny-gpt}"), 2, "needs must be a list of texts: got 'tiny-gpt'"),
    ("# ---\n# [arena]\n# ---\n", 2, "must have the key 'arena' with braces after it: got ['arena']"),
    ("# ---\n# arena: little\n# ---\n", 2, "must have the key 'arena'"),
    (HEAD.replace(", hours: 1.5", ""), 2, "must have id, slug, title and hours"),
    (HEAD.replace(": little,", ": 5,"), 2, "slug must be a text: got 5"),
    (HEAD.replace("title: Little", 'title: ""'), 2, "title must be a text: got ''"),
    (HEAD.replace("slug: little", "slug: Little"), 2, "slug must be one lower-case word"),
    (HEAD.replace("slug: little", "slug: a-b"), 2, "slug must be one lower-case word"),
    (HEAD.replace("1.5", "long"), 2, "hours must be a number above 0: got 'long'"),
    (HEAD.replace("}", ", needs: [1]}"), 2, "needs must be a list of texts: got [1]"),
    (HEAD + "x = 1\n", 4, "must stand in a cell: got 'x = 1'"),
    (HEAD + "# %% [markdown]\n# a\n\nb\n", 7, "markdown cell must be a comment: got 'b'"),
    (HEAD + "# %% [md]\n", 4, "a cell must be"),
    (HEAD + "# %% markdown\n", 4, "Did you mean # %% [markdown]?"),
    (HEAD + "# %% results\n", 4, "Did you mean # %% result?"),
    (HEAD + EXERCISE.replace("exercise", "excercise") + HINTS, 4, 'Did you mean # %% exercise="name"?'),
    (HEAD + "# %%\n# region solution\n", 4, "a solution must stand in an exercise cell"),
    (HEAD + EXERCISE, 4, "must have 3 hints, from concept to approach to step: got 0"),
    (HEAD + EXERCISE + HINTS + "# hint: d\n", 4, "from concept to approach to step: got 4. Drop 1 hint, or join two"),
    (HEAD + EXERCISE + "# hint:\n# hint: b\n# hint: c\n", 4, "a hint must say something"),
    (HEAD + EXERCISE + HINTS.replace("hint: a", "hnt: a"), 5, "a hint must begin with '# hint:': got '# hnt: a'"),
    (HEAD + EXERCISE + HINTS.replace("# hint: b", "#hint: b"), 6, "a hint must begin with '# hint:': got '#hint: b'"),
    (HEAD + EXERCISE + HINTS.replace("hint: c", "Hints - c"), 7, "a hint must begin with '# hint:'"),
    (HEAD + EXERCISE + HINTS + "x = 1\n", 8, "must hold hints, or code with a '# region solution': got 'x = 1'"),
    (HEAD + EXERCISE + HINTS + "x = 1\n# hint: late\n", 9, "hints must stand at the head of their cell"),
    (HEAD + EXERCISE + "# hint: only\n# region solution\nx\n# endregion", 4, "must have 3 hints"),
    (HEAD + EXERCISE.replace("plus", "plus-minus") + HINTS, 4, "must be a name in Python, in ASCII: got 'plus-minus'"),
    (HEAD + EXERCISE.replace('"plus"', "5") + HINTS, 4, "must be a name in Python, in ASCII: got 5"),
    (HEAD + EXERCISE.replace("plus", "größe") + HINTS, 4, "must be a name in Python, in ASCII: got 'größe'"),
    (HEAD + EXERCISE.replace("=1", "=True") + HINTS, 4, "difficulty must be a whole number from 1 to 5: got True"),
    (HEAD + EXERCISE.replace("=3", "=0") + HINTS, 4, "minutes must be a whole number from 1 to 1000: got 0"),
    (HEAD + EXERCISE.replace("=3", "=1001") + HINTS, 4, "minutes must be a whole number from 1 to 1000: got 1001"),
    (HEAD + EXERCISE.replace("=1", "=0") + HINTS, 4, "difficulty must be a whole number from 1 to 5: got 0"),
    (HEAD + EXERCISE.replace("=5", "=6") + HINTS, 4, "importance must be a whole number from 1 to 5: got 6"),
    (HEAD + EXERCISE.replace("=3", "=1.5") + HINTS, 4, "minutes must be a whole number from 1 to 1000: got 1.5"),
    (HEAD + EXERCISE.replace(" minutes=3", "") + HINTS, 4, "must say its minutes"),
    (HEAD + EXERCISE.replace("minutes", "hours") + HINTS, 4, "got 'hours'"),
    (HEAD + EXERCISE.replace("=3", "=3 minutes=4") + HINTS, 4, "each key at most once: got 'minutes'. Drop one."),
    (HEAD + EXERCISE.replace("difficulty", "dificulty") + HINTS, 4, "got 'dificulty'. Did you mean 'difficulty'?"),
    (HEAD + EXERCISE.replace("difficulty", "dificulty") + HINTS, 4, "an exercise cell may have the keys difficulty, "),
    (HEAD + EXERCISE.replace("=3", "=3 hard") + HINTS, 4, "key=value pairs: got 'hard'"),
    (HEAD + EXERCISE.replace("=3", "=three") + HINTS, 4, "a number or a text in quotes: got 'three'"),
    (HEAD + EXERCISE + HINTS + EXERCISE + HINTS, 8, "different names: got 'plus'. Rename it; the other is at line 4."),
    (HEAD + EXERCISE + "# region solution\nx\n", 5, "a solution must end with '# endregion'"),
    (HEAD + EXERCISE + "# region solution\nx\n# region solution\n", 7, "got line 5"),
    (HEAD + EXERCISE + "# region solution\n# endregion\n", 6, "hold code"),
    (HEAD + EXERCISE + "# region solution\nx\n# endregion\n# endregion\n", 8, "must begin"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line", "fact"), BROKEN)
def test_broken_chapter_says_where_and_what_must_hold(tmp_path, text, line, fact):
    with pytest.raises(AuthoringError, match=re.escape(fact)) as caught:
        parse(tmp_path, text)
    assert f"7.2_little.py:{line}: " in str(caught.value)


def test_bounds_themselves_are_allowed(tmp_path):
    (low,) = parse(tmp_path, HEAD + EXERCISE.replace("=5", "=1").replace("=3", "=1") + HINTS).exercises
    (high,) = parse(tmp_path, HEAD + EXERCISE.replace("=1", "=5").replace("=3", "=1000") + HINTS).exercises
    assert (low.difficulty, low.importance, low.minutes) == (1, 1, 1)
    assert (high.difficulty, high.importance, high.minutes) == (5, 5, 1000)


def test_blank_lines_around_hints_are_allowed(tmp_path):
    text = "\n# hint: a\n\n# hint: b\n#\n# hint: c\n\nx = 0\n# region solution\nx = 1\n# endregion\n"
    (cell,) = parse(tmp_path, HEAD + EXERCISE + text).cells
    assert cell.exercise.hints == ("a", "b", "c")
    assert cell.source.startswith("x = 0\n#")


def test_hint_may_have_paragraphs(tmp_path):
    text = "# hint: a\n#\n#       more\n# hint: b\n# hint: c\n"
    assert parse(tmp_path, HEAD + EXERCISE + text).exercises[0].hints == ("a\n\nmore", "b", "c")


def test_comment_before_a_hint_is_no_hint(tmp_path):
    for text in ("#\n" + HINTS, "#    indented\n" + HINTS):
        with pytest.raises(AuthoringError, match="hints must stand at the head"):
            parse(tmp_path, HEAD + EXERCISE + text)


def test_a_comment_that_only_resembles_a_hint_stays_in_the_cell(tmp_path):
    text = "# print: what it gives\n# region solution\nx = 1\n# endregion\n"
    assert parse(tmp_path, HEAD + EXERCISE + text).cells[0].source.startswith("# print: what it gives")


def test_two_regions_in_one_cell_are_fine(tmp_path):
    text = "# region solution\nx = 1\n# endregion\ny = 2\n# region solution\nz = 3\n# endregion\n"
    assert parse(tmp_path, HEAD + EXERCISE + text).cells[0].source == text.strip()


def test_file_name_must_say_id_and_slug(tmp_path):
    with pytest.raises(AuthoringError, match=r"must be called 7\.2_little\.py: got '7\.3_little\.py'"):
        parse(tmp_path, HEAD, name="7.3_little.py")


def test_file_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "7.2_little.py").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(AuthoringError, match="readable UTF-8"):
        parse_chapter(tmp_path / "7.2_little.py")


def test_heads_written_by_jupytext_are_read(tmp_path):
    assert parse(tmp_path, HEAD.replace("# ---\n", "# ---\n# jupyter: {kernelspec: {name: python3}}\n", 1)).id == "7.2"
