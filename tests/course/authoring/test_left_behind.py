"""What `arena verify` says of tests whose cell is gone."""

from arena_lib.course.authoring.left_behind import tests_left_behind as left_behind
from arena_lib.course.content.catalog import load_catalog


def test_a_test_without_its_cell_is_said_with_its_place_and_its_reference(course):
    chapter = course.chapters / "7_small" / "7.2_little.py"
    assert left_behind(load_catalog([course]).sections[0]) == []
    head, _, rest = chapter.read_text().partition('# %% exercise="scaler"')
    chapter.write_text(head + rest[rest.index("# %% result") :])
    (line,) = left_behind(load_catalog([course]).sections[0])
    assert f"test_scaler has no cell in {chapter}. Write the cell, or remove the test" in line
    assert "Scaler of " in line
    assert "library.py if nothing else uses it." in line


def test_our_own_course_leaves_nothing_behind():
    assert [line for section in load_catalog().sections for line in left_behind(section)] == []
