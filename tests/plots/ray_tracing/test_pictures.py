"""Pictures of distances and of brightness, and films."""

import numpy as np
import pytest

from arena_lib.errors import ConfigError, ShapeError
from arena_lib.plots.ray_tracing.pictures import brightness, distances, film

INF = float("inf")
FRAMES = np.linspace(0, 1, 4 * 3 * 5).reshape(4, 3, 5)
NAMES = ["0°", "90°", "180°", "270°"]


def test_misses_are_left_empty_and_the_colours_fit_the_hits():
    heatmap = distances([[1.0, INF, 4.0], [2.0, 3.0, INF]]).data[0]
    assert np.isnan(np.array(heatmap.z)).tolist() == [[False, True, False], [False, False, True]]
    assert (heatmap.zmin, heatmap.zmax) == (1.0, 4.0)


@pytest.mark.parametrize("picture", [[[INF, INF]], [[2.0, INF]]], ids=["nothing is hit", "one distance"])
def test_pictures_without_a_range_have_a_scale(picture):
    heatmap = distances(picture).data[0]
    assert heatmap.zmax > heatmap.zmin


def test_lit_pictures_share_a_scale_and_have_their_names():
    figure = brightness({"day": FRAMES[3], "night": 0.1 * FRAMES[3]}, brightest=2.0)
    assert [(heatmap.zmin, heatmap.zmax) for heatmap in figure.data] == [(0.0, 2.0)] * 2
    assert [note.text for note in figure.layout.annotations] == ["day", "night"]
    assert np.allclose(figure.data[1].z, 0.1 * FRAMES[3], atol=1e-6)


def test_pixels_are_square():
    figure = brightness({"a": FRAMES[0], "b": FRAMES[1]})
    assert (figure.layout.yaxis.scaleanchor, figure.layout.yaxis2.scaleanchor) == ("x", "x2")


def test_a_film_shows_the_last_frame_and_plays_all_anew():
    figure = film(FRAMES, NAMES)
    assert np.allclose(figure.data[0].z, FRAMES[-1], atol=1e-6)
    assert [frame.name for frame in figure.frames] == NAMES
    assert np.allclose(figure.frames[1].data[0].z, FRAMES[1], atol=1e-6)
    assert {frame.data[0].zmax for frame in figure.frames} == {1.0}
    play, _ = figure.layout.updatemenus[0].buttons
    assert play.args[1]["frame"]["redraw"] is True, "a heat map isn't drawn anew otherwise"
    assert [step.args[0] for step in figure.layout.sliders[0].steps] == [(name,) for name in NAMES]
    assert figure.layout.sliders[0].currentvalue.prefix == "turned by "


def test_what_makes_no_picture_is_refused():
    with pytest.raises(ConfigError, match="at least one picture"):
        brightness({})
    with pytest.raises(ShapeError, match='"height width"'):
        distances([1.0, 2.0])
    with pytest.raises(ShapeError, match="a name for each frame: got 3 for 4"):
        film(FRAMES, NAMES[:3])
    with pytest.raises(ShapeError, match="a name for each frame: got 0 for 0"):
        film(FRAMES[:0], [])
