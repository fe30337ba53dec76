"""An exploratory exercise says that it is done, and is recorded."""

from arena_lib.course.content.catalog import load_catalog
from arena_lib.course.content.notebooks import build_cells
from arena_lib.course.exploring import explored
from arena_lib.course.record.progress import ProgressStore


def test_it_is_said_and_recorded(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("ARENA_HOME", str(tmp_path))
    explored("1.2/inspect_model")
    assert capsys.readouterr().out == "✓ 1.2/inspect_model: everything that this cell asserts holds.\n"
    assert ProgressStore().status()["1.2/inspect_model"].state == "done"


def test_every_exploratory_cell_of_the_course_ends_in_it():
    for section in load_catalog().sections:
        exploratory = {entry.id for entry in section.exercises if entry.is_exploratory}
        cells = {cell.exercise: cell.source for cell in build_cells(section) if cell.exercise in exploratory}
        assert set(cells) == exploratory
        for exercise, source in cells.items():
            assert source.splitlines()[-1] == f'explored("{exercise}")'
