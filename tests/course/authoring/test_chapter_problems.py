"""What would stop `arena start`, or is still the template's, is said with file and line."""

import pytest

from arena_lib.course.authoring.chapter_problems import chapter_problems, chapter_remarks
from arena_lib.course.authoring.scaffolding import _fill
from arena_lib.course.content.catalog import load_catalog


@pytest.fixture
def edited(course):
    """The little course's section with one text of its chapter replaced."""
    chapter = course.chapters / "7_small" / "7.2_little.py"

    def edit(old="", new=""):
        text = chapter.read_text()
        assert old in text
        chapter.write_text(text.replace(old, new, 1))
        return load_catalog([course], strict=True).sections[0]

    return edit


def test_a_sound_chapter_has_neither_problems_nor_remarks(edited):
    assert chapter_problems(edited()) == chapter_remarks(edited()) == []


def test_a_picture_that_is_not_there_is_a_problem_with_its_line_and_what_draws_it(edited):
    section = edited("# The sum of", "# ![A sum](figures/sum.png) is the sum of")
    start = f"{section.path}:8: a picture must be one of .png, .jpg, .gif beside the chapter: got 'figures/sum.png'. "
    assert chapter_problems(section)[0] == f"{start}Fix the path, or add the file."
    figures = section.path.parent / "figures"
    figures.mkdir()
    (figures / "sum.svg").write_text("<svg/>")
    drawing = f"python -m arena_lib.course.authoring.drawing {figures}"
    assert chapter_problems(section)[0] == f"{start}sum.svg is there: draw it with {drawing}"
    (figures / "sum.png").write_bytes(b"drawn")
    assert chapter_problems(section) == []


def test_a_model_that_the_zoo_lacks_is_a_problem(edited):
    section = edited("needs: [tiny-gpt]", "needs: [tiny-gtp]")
    (problem,) = chapter_problems(section)
    assert problem == f"{section.path}:2: needs must name models of the zoo: got 'tiny-gtp'. Did you mean 'tiny-gpt'?"
    (problem,) = chapter_problems(edited("needs: [tiny-gtp]", "needs: [elephant]"))
    assert "got 'elephant'. The zoo has " in problem


def test_a_cell_that_is_not_python_is_a_problem(edited):
    section = edited("import math\n", "import math import\n")
    (problem,) = chapter_problems(section)
    assert problem.startswith(f"{section.path}:9: a cell of code must be Python: got invalid syntax")


def test_a_head_without_objectives_is_remarked_on(edited):
    section = edited('# objectives: ["Add and scale", "Find the largest"]\n', "")
    assert chapter_remarks(section) == [f"{section.path}:2: it has no objectives, with which its notebook begins."]


def test_words_of_the_template_that_are_left_are_remarked_on_once_for_each_file(edited, course):
    cell = _fill("exercise/cell.py", {"name": "plus", "title": "Plus"})
    first, second, third = cell.splitlines()[1:]
    edited("# hint: What is a sum?", first)
    section = edited("# hint: The operator is a cross.", third)
    library = course.chapters.parent / "library.py"
    library.write_text(library.read_text().replace("    # cross\n", "    # A learner sees\n"))
    (remark,) = chapter_remarks(section)
    assert remark == (f"{section.path}:14: still the template's: {first[:60]!r}, and 1 more. Write your own.")
    section = edited(first, second.replace("axis", "other axis"))
    (remark,) = chapter_remarks(section)
    assert remark == f"{section.path}:18: still the template's: {third[:60]!r}. Write your own."
    advice = next(
        line for line in _fill("exercise/reference.py", {"title": "", "name": "x"}).splitlines() if "A learner" in line
    )
    library.write_text(library.read_text().replace("    # A learner sees\n", f'    """Adds.\n\n{advice}\n    """\n'))
    assert [remark.partition(":")[0] for remark in chapter_remarks(section)] == [str(section.path), str(library)]


@pytest.mark.parametrize("section", load_catalog().sections, ids=lambda section: section.id)
def test_our_own_chapters_have_neither(section):
    assert chapter_problems(section) == chapter_remarks(section) == []
