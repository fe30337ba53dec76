import subprocess
import sys
from dataclasses import replace

import pytest

from arena_lib.course.content import catalog as catalog_module
from arena_lib.course.content.catalog import Course, find_courses, load_catalog
from arena_lib.errors import AuthoringError, UnknownNameError


@pytest.fixture
def catalog(course):
    return load_catalog([course], strict=True)


def test_reference_and_test_are_found_without_importing(catalog):
    assert [(entry.name, entry.reference, entry.test, entry.keep) for entry in catalog.exercises] == [
        ("plus", "littlecourse.library:plus", "littlecourse.tests.little.sums:test_plus", ()),
        ("scaler", "littlecourse.library:Scaler", "littlecourse.tests.little.sums:test_scaler", ("__init__",)),
        ("find_largest", None, None, ()),
    ]
    assert not [name for name in sys.modules if name.startswith("littlecourse")]


def test_learners_object_is_named_as_the_reference(catalog):
    assert [(entry.object_name, entry.test_name, entry.is_exploratory) for entry in catalog.exercises] == [
        ("plus", "test_plus", False), ("Scaler", "test_scaler", False), ("find_largest", "test_find_largest", True),
    ]  # fmt: skip


def test_json_has_the_keys_that_others_rely_on(catalog):
    assert catalog.to_json() == {
        "sections": [
            {
                "id": "7.2",
                "slug": "little",
                "title": "Little things",
                "chapter": "7_small",
                "minutes": 90,
                "exercises": [
                    {
                        "id": "7.2/plus",
                        "name": "plus",
                        "title": "Add two numbers",
                        "difficulty": 1,
                        "importance": 5,
                        "minutes": 3,
                        "reference": "littlecourse.library:plus",
                        "test": "littlecourse.tests.little.sums:test_plus",
                    },
                    {
                        "id": "7.2/scaler",
                        "name": "scaler",
                        "title": "Scale and shift",
                        "difficulty": 3,
                        "importance": 2,
                        "minutes": 12,
                        "reference": "littlecourse.library:Scaler",
                        "test": "littlecourse.tests.little.sums:test_scaler",
                    },
                    {
                        "id": "7.2/find_largest",
                        "name": "find_largest",
                        "title": "Find largest",
                        "difficulty": 2,
                        "importance": 3,
                        "minutes": 10,
                        "reference": None,
                        "test": None,
                    },
                ],
            }
        ]
    }


@pytest.mark.parametrize("name", ["7.2", "little", "7.2_little"])
def test_section_is_found_by_id_slug_or_both(catalog, name):
    assert catalog.section(name).id == "7.2"


@pytest.mark.parametrize("name", ["7.2/plus", "little/plus", "plus"])
def test_exercise_is_found_by_id_or_name(catalog, name):
    entry = catalog.exercise(name)
    assert entry.id == "7.2/plus"
    assert catalog.section_of(entry).slug == "little"


def test_unknown_names_offer_the_nearest(catalog):
    with pytest.raises(UnknownNameError, match=r"no section is called 'litle'\. Did you mean 'little'"):
        catalog.section("litle")
    with pytest.raises(UnknownNameError, match=r"no exercise is called 'scalar'\. Did you mean 'scaler'"):
        catalog.exercise("scalar")
    with pytest.raises(UnknownNameError, match=r"no exercise is called '7\.2/scalar'. Did you mean '7\.2/scaler'"):
        catalog.exercise("7.2/scalar")
    with pytest.raises(
        UnknownNameError, match=r"no section is called '9'.*Sections of another course appear once its package"
    ):
        catalog.exercise("9/scaler")


def add_chapter(course: Course, name: str, **changes: str):
    text = (course.chapters / "7_small" / "7.2_little.py").read_text()
    for old, new in changes.items():
        text = text.replace({"id_": '"7.2"', "slug": "slug: little", "hint": "# hint: first\n"}[old], new)
    (course.chapters / "7_small" / name).write_text(text)


def test_name_in_two_sections_must_be_made_unambiguous(course):
    add_chapter(course, "7.10_less.py", id_='"7.10"', slug="slug: less")
    (course.chapters.parent / "tests" / "less.py").write_text(
        "import arena_lib.checking as c, littlecourse.library as lib\n"
        "from littlecourse import library\n"
        "test_plus = c.exercise(reference=lib.plus)\n"
        "test_scaler: c.Exercise = c.exercise(reference=library.Scaler)\n"
    )
    catalog = load_catalog([course], strict=True)
    assert [section.id for section in catalog.sections] == ["7.2", "7.10"]
    assert catalog.exercise("7.10/plus").test == "littlecourse.tests.less:test_plus"
    with pytest.raises(UnknownNameError, match=r"no single exercise is called 'plus'. Did you mean") as caught:
        catalog.exercise("plus")
    assert caught.value.known == ["7.10/plus", "7.2/plus"]


def test_a_section_whose_tests_are_broken_is_left_out_and_said_of_it(course):
    (course.chapters.parent / "tests" / "little" / "sums.py").write_text("def broken(:\n")
    catalog = load_catalog([course])
    with pytest.raises(AuthoringError, match=r"sums\.py:1: the file must be Python"):
        catalog.section("7.2")


def test_broken_chapter_is_left_out_and_reported(course):
    add_chapter(course, "7.3_less.py", id_='"7.3"', slug="slug: less", hint="")
    catalog = load_catalog([course])
    assert [section.id for section in catalog.sections] == ["7.2"]
    assert "must have 3 hints" in str(catalog.problems[0])
    for name in ("7.3", "less", "7.3_less"):
        with pytest.raises(AuthoringError, match="must have 3 hints"):
            catalog.section(name)
    with pytest.raises(UnknownNameError):
        catalog.section("7")
    with pytest.raises(AuthoringError, match="must have 3 hints"):
        load_catalog([course], strict=True)


@pytest.mark.parametrize(("file", "changes", "key"), [("7.3_little.py", {"id_": '"7.3"'}, "slug")])
def test_two_sections_of_one_slug_are_a_conflict(course, file, changes, key):
    add_chapter(course, file, **changes)
    (problem,) = load_catalog([course]).problems
    assert f"the {key} of a section must be its own: got 'little'" in str(problem)
    assert "7.3_little.py:2:" in str(problem)


def test_two_courses_of_one_id_are_a_conflict_and_the_first_wins(course):
    other = replace(course, name="other")
    catalog = load_catalog([course, other])
    assert len(catalog.sections) == 1
    assert "the id of a section must be its own: got '7.2'" in str(catalog.problems[0])


def test_exercise_without_test_or_solution_is_refused(course):
    (course.chapters.parent / "tests" / "little" / "sums.py").write_text("")
    with pytest.raises(AuthoringError, match=r"7\.2_little\.py:13: .*got neither for 'plus'. Write test_plus"):
        load_catalog([course], strict=True)


def test_test_that_learners_cannot_reach_is_refused(course):
    face = course.chapters.parent / "tests" / "little" / "__init__.py"
    for listed in ("", '__all__ = ["test_plus", "test_scaler"]\n', "# test_scaler\n"):
        face.write_text(f"from .sums import test_plus\n{listed}")
        with pytest.raises(AuthoringError, match=r"sums\.py:6: learners must be able to call tests\.test_scaler"):
            load_catalog([course], strict=True)
    for text in (
        "from .sums import *\n",
        "def __getattr__(name): ...\n",
        "from . import sums\ntest_plus = test_scaler = sums.test_plus\n",
    ):
        face.write_text(text)
        load_catalog([course], strict=True)


def test_exercise_with_test_and_solution_is_refused(course):
    file = course.chapters.parent / "tests" / "little" / "sums.py"
    file.write_text(file.read_text() + "test_find_largest = exercise(reference=library.plus)\n")
    with pytest.raises(AuthoringError, match=r"7\.2_little\.py:26: .*got both for 'find_largest'"):
        load_catalog([course], strict=True)


def test_folder_must_begin_with_the_number(course):
    (course.chapters / "7_small").rename(course.chapters / "8_small")
    with pytest.raises(AuthoringError, match="must be in a folder that begins with 7_: got '8_small'"):
        load_catalog([course], strict=True)


def test_course_without_chapters_is_reported(course, tmp_path):
    catalog = load_catalog([course, Course("empty", "emptycourse", tmp_path / "nowhere")])
    assert len(catalog.sections) == 1
    assert "the course 'empty' must have a folder of chapters" in str(catalog.problems[0])


def test_courses_come_from_entry_points_and_ours_is_always_there(course, monkeypatch):
    class Point:
        name, value = "little", "littlecourse"

    monkeypatch.setattr(catalog_module, "entry_points", lambda group: [Point()] if group == "arena_lib.courses" else [])
    ours, found = find_courses()
    assert (ours.name, ours.module) == ("arena", "arena_lib")
    assert found == course


@pytest.mark.parametrize("name", ["little", "littlecourse"])
def test_a_course_has_its_sections_by_its_name_or_its_package(course, monkeypatch, name):
    monkeypatch.setattr(catalog_module, "find_courses", lambda: [Course("arena", "arena_lib", course.chapters), course])
    (section,) = load_catalog([course]).sections_of_course(name)
    assert section.id == "7.2"
    assert load_catalog([course]).sections_of_course("arena") == ()
    assert load_catalog([course]).sections_of_course("7.2") == ()


def test_chapters_of_a_checkout_lie_beside_src(tmp_path, monkeypatch):
    package = tmp_path / "src" / "checkedout"
    (package / "chapters").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path / "src")
    assert catalog_module._chapters_folder("checkedout") == package / "chapters"
    (tmp_path / "chapters").mkdir()
    assert catalog_module._chapters_folder("checkedout") == package / "chapters"
    (tmp_path / "pyproject.toml").write_text("")
    assert catalog_module._chapters_folder("checkedout") == tmp_path / "chapters"


def test_our_own_course_has_no_problems():
    catalog = load_catalog(strict=True)
    assert catalog.exercise("1.1/causal_mask").reference == "arena_lib.transformer.lesson:causal_mask"


def test_listing_loads_nothing_heavy():
    code = (
        "import sys; from arena_lib.course.content.catalog import load_catalog; load_catalog().to_json();"
        "print(sorted({'torch', 'jupytext', 'nbformat', 'IPython', 'numpy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
