"""`arena saes figures`, as it is used outside notebooks."""

from pathlib import Path

import pytest

from arena_lib.errors import ArenaError


def draw_nothing(figure, path):
    """As on a machine without a browser; one that draws PNGs takes seconds."""
    raise ArenaError("A PNG needs Chrome or Chromium.")


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    monkeypatch.setenv("ARENA_QUIET", "1")
    monkeypatch.setattr("arena_lib.saes.superposition.paper.figures.to_png", draw_nothing)


def test_a_figure_is_a_page_in_the_folder(arena, tmp_path):
    done = arena("saes", "figures", "--only", "five_features", "--size", "tiny", "--folder", tmp_path / "new")
    assert done.code == 0, done.err
    page = tmp_path / "new" / "five_features.html"
    assert done.out == f"five_features: five features in two dimensions, by sparsity. {page}\n"
    assert "plotly" in page.read_text(encoding="utf-8")


def test_json_lists_the_files_of_each_figure(arena):
    words = ["--only", "sets", "--only", "neurons", "--size", "tiny", "--json"]
    done = arena("saes", "figures", *words)
    assert done.json == {
        "figures": {name: [str(Path("output/superposition") / f"{name}.html")] for name in ("sets", "neurons")}
    }


def test_a_figure_that_is_not_there_is_wrong_usage(arena):
    done = arena("saes", "figures", "--only", "phase", "--size", "tiny")
    assert done.code == 2
    assert "no figure is called 'phase'. Did you mean 'phases'" in done.err
