import importlib.util

import plotly.graph_objects as go
import pytest

from arena_lib.errors import ArenaError
from arena_lib.plots import heads, save_html, to_png


def test_a_page_opens_without_a_network_and_holds_the_script_once(tmp_path):
    figure = heads([[0.1, 0.9]], title="Induction")
    path = save_html([figure, "<p>between</p>", figure], tmp_path / "new" / "page.html", title="A & B")
    page = path.read_text(encoding="utf-8")
    assert path == tmp_path / "new" / "page.html"
    assert "<title>A &amp; B</title>" in page
    assert page.count("plotly.js v") == 1
    assert 'src="http' not in page
    assert page.count("Plotly.newPlot(") >= 2
    assert page.index("Plotly.newPlot(") < page.index("<p>between</p>") < page.rindex("Plotly.newPlot(")


def test_one_figure_or_text_needs_no_list(tmp_path):
    assert "Plotly.newPlot(" in save_html(heads([[1.0]]), tmp_path / "a.html").read_text(encoding="utf-8")
    assert "Plotly.newPlot(" not in save_html("<p>text</p>", tmp_path / "b.html").read_text(encoding="utf-8")


def test_the_image_is_written(tmp_path, monkeypatch):
    asked = {}
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(go.Figure, "to_image", lambda self, **kwargs: asked.update(kwargs) or b"image")
    path = to_png(heads([[1.0]]), tmp_path / "new" / "a.png", scale=3.0)
    assert path.read_bytes() == b"image"
    assert asked == {"format": "png", "scale": 3}


def test_a_missing_browser_is_said_and_nothing_is_written(tmp_path, monkeypatch):
    def no_browser(self, **kwargs):
        raise RuntimeError("\nKaleido requires Google Chrome.\nMore.")

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(go.Figure, "to_image", no_browser)
    with pytest.raises(ArenaError, match=r"got 'Kaleido requires Google Chrome.'.*save_html"):
        to_png(heads([[1.0]]), tmp_path / "a.png")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_kaleido_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ArenaError, match=r"package kaleido: it is not installed.*save_html"):
        to_png(heads([[1.0]]), tmp_path / "a.png")
