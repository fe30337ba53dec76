"""Drawings as notebooks show them: the PNG of an SVG tells whether it is current."""

import shutil

import pytest

from arena_lib.course.authoring import drawing
from arena_lib.course.content.catalog import load_catalog
from arena_lib.course.content.figures import figure_files

DRAWINGS = sorted({svg for section in load_catalog().sections for svg in section.path.parent.rglob("*.svg")})


@pytest.mark.parametrize("svg", DRAWINGS, ids=lambda svg: svg.stem)
def test_every_drawing_of_the_chapters_is_current(svg):
    assert drawing.is_current(svg.with_suffix(".png"), svg), "run nox -s figures"


def test_every_drawing_is_shown_in_a_section():
    shown = {path for section in load_catalog().sections for path in figure_files(section).values()}
    assert {svg.with_suffix(".png") for svg in DRAWINGS} <= shown


def test_a_changed_drawing_is_not_current(tmp_path):
    svg, png = tmp_path / "drawing.svg", tmp_path / "drawing.png"
    shutil.copy(DRAWINGS[0], svg)
    shutil.copy(DRAWINGS[0].with_suffix(".png"), png)
    assert drawing.is_current(png, svg)
    svg.write_bytes(svg.read_bytes().replace(b"\n", b"\r\n"))
    assert drawing.is_current(png, svg), "a checkout with other line endings holds the same drawing"
    svg.write_text(svg.read_text() + "<!-- changed -->")
    assert not drawing.is_current(png, svg)
    png.unlink()
    assert not drawing.is_current(png, svg)


def test_what_is_current_needs_no_browser(monkeypatch, capsys):
    monkeypatch.setattr(drawing, "open_browser", lambda: pytest.fail("nothing is to be drawn"))
    assert drawing.main([str(DRAWINGS[0].parent)]) == 0
    assert capsys.readouterr().out == "Every PNG is current.\n"


def test_a_missing_browser_is_said(monkeypatch, tmp_path, capsys):
    (tmp_path / "new.svg").write_text("<svg/>")
    monkeypatch.setattr(drawing.importlib.util, "find_spec", lambda name: True)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert drawing.main([str(tmp_path)]) == 3
    assert "must be on the PATH: got none. Install one" in capsys.readouterr().err
    monkeypatch.setattr(drawing.importlib.util, "find_spec", lambda name: None)
    assert drawing.main([str(tmp_path)]) == 3
    assert "playwright: it is not installed" in capsys.readouterr().err
