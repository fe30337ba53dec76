"""A learner's notebook or script as text: what is read, and what isn't a notebook."""

import ast
import json
import re

import pytest

from arena_lib.course.judging.cells import CellProblem, SourceCell, parse_cell, read_learner_file
from arena_lib.errors import WorkspaceError

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"


def write_notebook(path, *sources, **metadata):
    cells = [{"cell_type": "markdown", "source": "# A title"}]
    cells += [{"cell_type": "code", "source": source, "outputs": []} for source in sources]
    path.write_text(json.dumps({"cells": cells, "metadata": metadata, "nbformat": 4}))
    return path


def cell(source, offset=0):
    return SourceCell(number=3, source=source, filename="f", offset=offset)


def test_a_notebook_gives_its_code_cells_with_their_numbers(tmp_path):
    path = write_notebook(tmp_path / "a.ipynb", "x = 1", ["y = 2\n", "z = 3"], arena={"section": "7.2"})
    file = read_learner_file(path)
    assert [(c.number, c.source) for c in file.cells] == [(2, "x = 1"), (3, "y = 2\nz = 3")]
    assert file.section == "7.2"


def test_a_script_is_cut_at_its_cells(tmp_path):
    path = tmp_path / "a.py"
    path.write_text(
        '# ---\n# jupyter:\n#   arena: {"section": "7.2", "slug": "little"}\n# ---\n\n# %%\nx = 1\n# %% tag\ny = 2\n'
    )
    file = read_learner_file(path)
    assert file.section == "7.2"
    assert [(c.number, c.offset) for c in file.cells] == [(1, 0), (2, 5), (3, 7)]
    tree = parse_cell(file.cells[2])
    assert isinstance(tree, ast.Module)
    assert tree.body[0].lineno == 9


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.txt", b"x", "must be a notebook .* or a Python file"),
        ("a.ipynb", b'{"cells": [', "invalid JSON in line 1"),
        ("a.ipynb", b"[1, 2]", "format 4"),
        ("a.ipynb", b'{"worksheets": []}', "format 4"),
        ("a.py", b"\xff\xfe\x00", "must be UTF-8"),
        ("a.ipynb", '{"cells": "\u00e9"}'.encode("latin-1"), "must be UTF-8 text: .* Save it as UTF-8"),
        ("a.ipynb", '{"cells": []}'.encode("utf-16"), "must be UTF-8 text: .* Save it as UTF-8"),
        ("a.ipynb", PNG, r"must be a notebook, which is JSON: got a binary file that begins with b'\\x89PNG"),
        ("a.py", PNG, r"must be Python, which is text: got a binary file that begins with b'\\x89PNG"),
        ("a.py", None, "There is no file"),
    ],
)
def test_what_is_no_learners_file_is_said_to_be_none(tmp_path, name, content, told):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(WorkspaceError, match=told):
        read_learner_file(tmp_path / name)


def test_cells_of_text_are_counted_and_odd_metadata_are_passed_over(tmp_path):
    path = tmp_path / "a.ipynb"
    cells = [{"cell_type": "raw", "source": ""}, {"cell_type": "code", "source": ["x = 1\n", "y = 2"]}]
    path.write_text(json.dumps({"cells": cells, "metadata": []}))
    file = read_learner_file(path)
    assert [(c.number, c.source) for c in file.cells] == [(2, "x = 1\ny = 2")]


@pytest.mark.parametrize(
    ("source", "left"),
    [
        ("%load_ext arena_lib\nx = 1", "pass\nx = 1"),
        ("if x:\n    !ls\n    y = 2", "if x:\n    pass\n    y = 2"),
        ("files = !ls\nx = 1", "files = None\nx = 1"),
        ("?len\nlen??\nx = 1", "pass\npass\nx = 1"),
        ("%%time\nx = 1", "x = 1"),
        ("%%bash\nls -l", ""),
        ('text = """\n%s\n"""', "text = '\\n%s\\n'"),
        ("await f()", "await f()"),
    ],
)
def test_magics_are_blanked_and_strings_are_not(source, left):
    tree = parse_cell(cell(source))
    assert isinstance(tree, ast.Module)
    assert ast.unparse(tree) == left


def test_magics_keep_the_lines_where_they_are():
    tree = parse_cell(cell("%%time\n\nx = 1", offset=10))
    assert tree.body[0].lineno == 13


@pytest.mark.parametrize(
    ("source", "line"), [("x = 1\ndef f(:\n  pass", 12), ("%magic\nx = = 1", 12), ("x = '\0'", None)]
)
def test_a_syntax_error_has_its_cell_and_line(source, line):
    problem = parse_cell(cell(source, offset=10))
    assert isinstance(problem, CellProblem)
    assert (problem.cell, problem.line) == (3, line)
    assert problem.message.startswith("SyntaxError: ")


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        (1, "must have a cell_type: got 1"),
        (None, "must have a cell_type: got None"),
        ({"source": "x = 1"}, "must have a cell_type: got {'source': 'x = 1'}"),
        ({"cell_type": "code", "source": None}, "as its source: got None"),
        ({"cell_type": "code"}, "as its source: got None"),
        ({"cell_type": "markdown", "source": 3}, "as its source: got 3"),
        ({"cell_type": "code", "source": ["x = 1\n", 2]}, "as its source: got ['x = 1\\n', 2]"),
    ],
)
def test_a_malformed_cell_is_named(tmp_path, cell, reason):
    path = tmp_path / "a.ipynb"
    good = {"cell_type": "code", "source": "x = 1"}
    path.write_text(json.dumps({"cells": [good, cell], "metadata": {}}))
    with pytest.raises(WorkspaceError, match=re.escape("a.ipynb: cell 2 must have")) as caught:
        read_learner_file(path)
    assert reason in str(caught.value)
