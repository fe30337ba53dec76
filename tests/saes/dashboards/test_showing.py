"""A page inside a notebook: whole, and in a frame that its texts can't leave."""

from html import unescape

import pytest

from arena_lib.saes.analysis.activations.examples import Example
from arena_lib.saes.dashboards.collecting import LatentDashboard
from arena_lib.saes.dashboards.page import render_latent
from arena_lib.saes.dashboards.showing import show_dashboard

display = pytest.importorskip("IPython.display")


def make_dashboard(text):
    return LatentDashboard(
        latent_idx=7,
        origin={"model": text},
        n_tokens=9,
        n_active=1,
        counts=[1],
        edges=[0.0, 1.0],
        top=[Example(1.0, [text], 0, [1.0])],
        quantiles=[],
        logits=None,
        deembeddings=None,
        decoder_neighbours=[],
        encoder_neighbours=[],
    )


def test_the_frame_holds_the_page_and_is_as_high_as_asked():
    dashboard = make_dashboard(" \"a\" <b> & 'c'")
    shown = show_dashboard(dashboard, height=432)
    assert isinstance(shown, display.HTML)
    page = shown.data.partition('srcdoc="')[2].partition('"')[0]
    assert unescape(page) == render_latent(dashboard)
    assert 'title="Latent 7"' in shown.data
    assert "height: 432px" in shown.data
