import pytest

from arena_lib.course.authoring.scaffolding import SectionFiles, find_section_files, new_exercise
from arena_lib.course.content.catalog import load_catalog
from arena_lib.errors import AuthoringError


@pytest.fixture
def section_files(tmp_path):
    (tmp_path / "chapter.py").write_text("# ---\n# ---\n")
    (tmp_path / "tests").mkdir()
    return SectionFiles(
        chapter=tmp_path / "chapter.py",
        tests=tmp_path / "tests" / "__init__.py",
        tests_module="course.tests.little",
        library=tmp_path,
        library_package="course",
    )


def test_exports_stay_in_order_whatever_is_there(section_files):
    section_files.tests.write_text(
        '"""Judges."""\n\nfrom course.tests.little.b import test_b\n\n__all__ = ["test_b"]\n'
    )
    for name in ("c", "a"):
        new_exercise(section_files, name)
    assert section_files.tests.read_text().splitlines() == [
        '"""Judges."""',
        "",
        "from course.tests.little.a import test_a",
        "from course.tests.little.b import test_b",
        "from course.tests.little.c import test_c",
        "",
        "__all__ = [",
        '    "test_a",',
        '    "test_b",',
        '    "test_c",',
        "]",
    ]


@pytest.mark.parametrize("source", ["", '"""Judges."""\n', "# no text\n"])
def test_a_package_of_tests_may_be_empty(section_files, source):
    section_files.tests.write_text(source)
    new_exercise(section_files, "shift")
    text = section_files.tests.read_text()
    assert text.startswith(source.split("#")[0])
    compile(text, "init", "exec")
    assert "from course.tests.little.shift import test_shift" in text


def test_a_name_that_the_chapter_has_is_refused(section_files):
    section_files.tests.write_text("")
    section_files.chapter.write_text('# %% exercise="shift" difficulty=1\n')
    with pytest.raises(AuthoringError, match="must have different names: got 'shift'"):
        new_exercise(section_files, "shift")
    assert section_files.tests.read_text() == ""


def test_our_own_sections_take_exercises_too(tmp_path):
    section = load_catalog().section("1.2")
    root = section.path.parents[2]
    files = find_section_files(section, root / "chapters")
    assert files.tests == root / "src/arena_lib/tests/intro_to_mech_interp/__init__.py"
    assert (files.library / "__init__.py").is_file()
    assert files.library_package.startswith("arena_lib.interp")
    with pytest.raises(AuthoringError, match="must belong to the course that you stand in"):
        find_section_files(section, tmp_path)


def test_a_name_that_has_a_test_already_is_refused(section_files):
    before = "from course.tests.little.others import test_shift\n"
    section_files.tests.write_text(before)
    with pytest.raises(AuthoringError, match=r"must be free: got 'shift', which has a test already: .* has test_shift"):
        new_exercise(section_files, "shift")
    assert section_files.tests.read_text() == before
