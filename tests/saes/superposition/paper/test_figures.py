"""Every figure by its name, as files."""

import pytest

from arena_lib.errors import ArenaError, UnknownNameError
from arena_lib.saes.superposition.paper.figures import FIGURES, save_figures


@pytest.fixture
def without_browser(monkeypatch):
    def draw_nothing(figure, path):
        raise ArenaError("A PNG needs Chrome or Chromium.")

    monkeypatch.setattr("arena_lib.saes.superposition.paper.figures.to_png", draw_nothing)


def test_every_figure_is_a_page_at_size_tiny(without_browser, tmp_path):
    saved = save_figures(tmp_path, size="tiny")
    assert list(saved) == list(FIGURES)
    assert {path.name for paths in saved.values() for path in paths} == {f"{name}.html" for name in FIGURES}
    assert all(path.stat().st_size > 10_000 for paths in saved.values() for path in paths)


def test_several_pictures_of_one_figure_are_numbered(monkeypatch, tmp_path):
    drawn = []
    monkeypatch.setattr(
        "arena_lib.saes.superposition.paper.figures.to_png", lambda figure, path: drawn.append(path.name) or path
    )
    save_figures(tmp_path, only=["double_descent", "neurons"], size="tiny")
    assert drawn == ["double_descent_0.png", "double_descent_1.png", "neurons.png"]


def test_a_name_that_is_not_there_is_refused_before_anything_is_trained(tmp_path):
    with pytest.raises(UnknownNameError, match="no figure is called 'phase'"):
        save_figures(tmp_path, only=["sets", "phase"])
    assert list(tmp_path.iterdir()) == []
