import ast
import json
import re

import jupytext
import nbformat
import pytest

from arena_lib.course.content.catalog import load_catalog
from arena_lib.course.content.catalog_types import Section
from arena_lib.course.content.notebooks import build_cells, build_notebook, hide_solution, render
from arena_lib.errors import AuthoringError


@pytest.fixture
def section(course) -> Section:
    return load_catalog([course], strict=True).section("7.2")


def by_id(section: Section, **options) -> dict[str, str]:
    return {cell.id: cell.source for cell in build_cells(section, **options)}


@pytest.mark.parametrize("kind", ["exercises", "solutions"])
def test_notebooks_are_valid_and_the_same_bytes_each_time(section, kind):
    text = render(section, kind=kind)
    nbformat.validate(json.loads(text))
    assert render(section, kind=kind) == text
    assert json.loads(text) == build_notebook(section, kind=kind)
    assert json.loads(text)["metadata"]["arena"] == {"section": "7.2", "slug": "little", "kind": kind}


@pytest.mark.parametrize("kind", ["exercises", "solutions"])
def test_script_holds_the_same_code_as_the_notebook(section, kind):
    script = jupytext.reads(render(section, kind=kind, format="py"), fmt="py:percent")
    notebook = build_notebook(section, kind=kind)
    code = [
        ("".join(cell["source"]).strip(), cell["metadata"]) for cell in notebook["cells"] if cell["cell_type"] == "code"
    ]
    read = [
        (cell.source, {key: cell.metadata[key] for key in ("arena", "tags") if key in cell.metadata})
        for cell in script.cells
        if cell.cell_type == "code"
    ]
    assert read == code
    assert dict(script.metadata["arena"]) == notebook["metadata"]["arena"]
    assert [cell.cell_type for cell in script.cells] == [cell["cell_type"] for cell in notebook["cells"]]


def test_script_is_python(section):
    ast.parse(render(section, format="py"))
    ast.parse(render(section, format="py", kind="solutions"))


def test_exercise_is_stub_and_call_of_its_test_in_one_cell(section):
    cell = by_id(section)["exercise-plus"]
    assert cell.startswith("@functools.cache\ndef plus(\n")
    assert cell.endswith('"""\n    raise NotImplementedError\n\n\ntests.test_plus(plus)')
    assert by_id(section)["exercise-scaler"].endswith("\n\n\ntests.test_scaler(Scaler)")
    assert "self.factor = settings.factor" in by_id(section)["exercise-scaler"]


def test_solution_is_the_references_text_and_the_same_call(section):
    cells = by_id(section, kind="solutions")
    assert cells["exercise-plus"].endswith("    return a + b\n\n\ntests.test_plus(plus)")
    assert cells["exercise-find_largest"] == (
        'numbers = [3, 9, 4]\nlargest = max(numbers)\nassert largest == 9, "the largest of 3, 9 and 4 is 9"'
    )
    assert not any("NotImplementedError" in source for source in cells.values())


def test_exploratory_solution_is_a_gap_that_says_what_it_must_define(section):
    assert by_id(section)["exercise-find_largest"] == (
        "numbers = [3, 9, 4]\n"
        "# Your code here; it must define largest. Then delete the next line.\n"
        "raise NotImplementedError\n"
        'assert largest == 9, "the largest of 3, 9 and 4 is 9"\n\n'
        'explored("7.2/find_largest")'
    )
    assert "from arena_lib.course.exploring import explored" in by_id(section)["setup"]
    assert "explored" not in "".join(by_id(section, kind="solutions").values())


def test_gap_keeps_its_indentation_and_several_gaps_are_cut():
    source = (
        "def f():\n    # region solution\n    hidden = 1\n    return hidden\n    # endregion\n"
        "# region solution\na = f()\nb, c = a, 2\n# endregion\nprint(c, a)"
    )
    assert hide_solution(source) == (
        "def f():\n    # Your code here. Then delete the next line.\n    raise NotImplementedError\n"
        "# Your code here; it must define a, c. Then delete the next line.\nraise NotImplementedError\nprint(c, a)"
    )


@pytest.mark.parametrize(
    ("solution", "later", "wanted"),
    [
        ("a, b = 1, 2", ["print(b)"], "b"),
        ("a, b = 1, 2", ["b = 3", "print(a, b)"], "a"),
        ("a = 1", ["a = a + 1"], "a"),
        ("a = 1", ["a += 1"], "a"),
        ("a = 1", ["x = [a for a in 'abc']", "def g(a):\n    return a", "print('a')"], ""),
        ("a = 1", ["def g():\n    return a"], "a"),
        ("for n in 'xyz':\n    last = n", ["print(n, last)"], "last"),
        ("a = [k for k in 'xyz']", ["print(a, k)"], "a"),
        ("def twice(x):\n    y = 2 * x\n    return y", ["print(twice(1), y)"], "twice"),
    ],
)
def test_a_gap_names_what_later_cells_read_of_it(solution, later, wanted):
    asked = f"; it must define {wanted}" if wanted else ""
    shown = hide_solution(f"# region solution\n{solution}\n# endregion\n", later)
    assert shown.splitlines()[0] == f"# Your code here{asked}. Then delete the next line."


def test_a_gap_in_a_function_names_what_the_function_reads_of_it():
    source = "def f():\n    # region solution\n    a, b = 1, 2\n    # endregion\n    return a\n\n\nb = f()\nprint(b)"
    assert "it must define a. Then" in hide_solution(source)


def test_head_of_an_exercise_states_its_facts_in_marks_and_numbers(section):
    about = by_id(section)["about-scaler"]
    assert about.startswith(
        "### Exercise: Scale and shift\n\n"
        "Difficulty: 🔴🔴🔴⚪⚪ (3 of 5), importance: 🔵🔵⚪⚪⚪ (2 of 5), about 12 minutes"
    )
    assert re.findall(r"<summary>(Hint \d)</summary>\n\n(\w+)\n\n</details>", about) == [
        ("Hint 1", "first"),
        ("Hint 2", "second"),
        ("Hint 3", "third"),
    ]


def test_hints_stay_folded_away(section):
    assert "second" not in render(section, format="py")
    assert "arena hint 7.2/scaler" in render(section, format="py")
    assert "<details>" not in render(section, kind="solutions")


def test_later_exercise_says_how_to_go_on_without_the_earlier_one(section):
    about = by_id(section)["about-scaler"]
    assert "<summary>This builds on your plus. Not written yet?</summary>" in about
    assert "```python\nfrom littlecourse.library import plus\n```" in about
    assert "builds on" not in by_id(section)["about-plus"]
    assert "from littlecourse.library import plus" in render(section, format="py")


def test_a_class_that_is_written_in_several_exercises_is_named_once():
    cells = build_cells(load_catalog().section("1.5.4"), kind="exercises")
    summary = next(cell.source for cell in cells if cell.id == "about-jumprelu_toy_sae").partition("builds on your ")[2]
    names = summary.partition(". Not")[0].split(", ")
    assert {"ToyModel", "ToySAE", "JumpReLU"} <= set(names)
    assert len(names) == len(set(names))


def test_a_script_says_how_a_plain_file_is_checked_and_a_notebook_speaks_of_its_cells(section):
    script, notebook = by_id(section, has_folds=False), by_id(section)
    for words in ("`arena check FILE`", "`--watch`", "`arena hint ID`", "such as VS Code"):
        assert words in script["title"]
        assert words not in notebook["title"]
    assert "run the cell: its last line tests your code" in notebook["title"]
    assert "its last line" not in script["title"]
    assert "If you skipped it, add a cell above (a line `# %%` begins it) with the import" in script["about-scaler"]
    assert "Put these lines into a new cell above this one" in notebook["about-scaler"]


def test_setup_imports_what_the_references_need_and_not_what_learners_write(section):
    assert by_id(section)["setup"] == (
        "%load_ext arena_lib\n\n"
        "import functools\n"
        "import math as maths\n\n"
        "from littlecourse.library import Settings, helper\n"
        "from littlecourse.tests import little as tests\n\n"
        "from arena_lib.course.exploring import explored"
    )


def test_solutions_are_not_recorded_as_the_learners(section):
    assert "%load_ext" not in render(section, kind="solutions")
    assert "load_ext" not in render(section, kind="solutions", format="py")


@pytest.mark.parametrize("scale", ["full", "tiny"])
def test_scale_is_a_parameter_of_the_notebook(section, scale):
    cell = build_cells(section, scale=scale)[1]
    assert cell.source.startswith(f'SCALE = "{scale}"')
    assert cell.metadata == {"tags": ["parameters"]}


def test_every_stub_cell_runs_after_the_setup_cell(section):
    namespace: dict[str, object] = {"tests": None}
    cells = by_id(section)
    setup = (
        cells["setup"].replace("%load_ext arena_lib", "").replace("from littlecourse.tests import little as tests", "")
    )
    exec(setup, namespace)
    for name in ("plus", "scaler"):
        exec(cells[f"exercise-{name}"].rpartition("tests.")[0], namespace)
    with pytest.raises(NotImplementedError):
        namespace["plus"](1)  # type: ignore[operator]


def test_result_cell_is_headed_by_what_the_learner_should_see(section):
    assert "# What you should see: The number seven, and nothing else.\nshown = plus(3, 4)" in by_id(section).values()


def test_result_cell_without_words_is_headed_too(course):
    edit(course, "# The number seven, and nothing else.\n", "")
    cells = by_id(load_catalog([course]).section("7.2"))
    assert "# What you should see, once the exercises above work:\nshown = plus(3, 4)" in cells.values()


def edit(course, old: str, new: str) -> None:
    file = course.chapters / "7_small" / "7.2_little.py"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))


def test_ids_of_cells_stay_when_a_cell_is_put_before_them(course, section):
    edit(course, "# ## Adding\n", "# New.\n# %% [markdown]\n# New.\n# %% [markdown]\n# ## Adding\n")
    before, after = by_id(section), by_id(load_catalog([course]).section("7.2"))
    assert before.items() < after.items()
    assert len(after) == len(before) + 2


def test_names_that_stand_for_two_things_are_refused(course):
    (course.chapters.parent / "other.py").write_text(
        "from collections import deque as helper\ndef more():\n    helper()\n"
    )
    tests = course.chapters.parent / "tests" / "little" / "sums.py"
    tests.write_text(tests.read_text() + "from .. import more\ntest_more = exercise(reference=more)\n")
    (tests.parent / "__init__.py").write_text("from .sums import *\n")
    (course.chapters.parent / "tests" / "__init__.py").write_text("from littlecourse.other import more\n")
    edit(
        course,
        "# %% result",
        '# %% exercise="more" difficulty=1 importance=1 minutes=1\n# hint: a\n# hint: b\n# hint: c\n# %% result',
    )
    section = load_catalog([course], strict=True).section("7.2")
    assert section.exercises[2].reference == "littlecourse.other:more"
    with pytest.raises(
        AuthoringError, match=r"a name must stand for one thing: got 'helper' for collections\.deque in 'more'"
    ):
        build_notebook(section)


def test_cell_that_is_no_python_is_said(course):
    edit(course, "import math\n", "import math as\n")
    with pytest.raises(
        AuthoringError, match=r"7\.2_little\.py:9: a cell of code must be Python: got .* in 'import math as'"
    ):
        render(load_catalog([course], strict=True).section("7.2"))


def test_pictures_travel_in_the_notebook(course):
    edit(course, "# ## Adding\n", "# ![A sum](figures/sum.png) and ![far](https://example.org/far.png)\n")
    section = load_catalog([course]).section("7.2")
    with pytest.raises(
        AuthoringError,
        match=r"must be one of \.png, \.jpg, \.gif beside the chapter: got 'figures/sum\.png'\. Fix the path",
    ):
        build_notebook(section)
    (section.path.parent / "figures").mkdir()
    (section.path.parent / "figures" / "sum.png").write_bytes(b"<png/>")
    notebook = build_notebook(section)
    (cell,) = [cell for cell in notebook["cells"] if "attachments" in cell]
    assert cell["attachments"] == {"figures-sum.png": {"image/png": "PHBuZy8+"}}
    assert cell["source"][0] == "![A sum](attachment:figures-sum.png) and ![far](https://example.org/far.png)\n"
    nbformat.validate(notebook)


def test_a_drawing_that_jupyterlab_does_not_show_is_refused(course):
    edit(course, "# ## Adding\n", "# ![A sum](figures/sum.svg)\n")
    section = load_catalog([course]).section("7.2")
    (section.path.parent / "figures").mkdir()
    (section.path.parent / "figures" / "sum.svg").write_text("<svg/>")
    with pytest.raises(
        AuthoringError,
        match=r"got 'figures/sum\.svg'\. Name the PNG: draw it with python -m arena_lib\.course\.authoring\.drawing ",
    ):
        build_notebook(section)


@pytest.mark.parametrize("section", load_catalog().sections, ids=lambda section: section.id)
@pytest.mark.parametrize("kind", ["exercises", "solutions"])
def test_our_own_sections_build(section, kind):
    nbformat.validate(build_notebook(section, kind=kind))
    ast.parse(render(section, kind=kind, format="py"))
