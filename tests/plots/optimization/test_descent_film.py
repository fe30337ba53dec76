import numpy as np
import pytest

from arena_lib.errors import ConfigError
from arena_lib.plots.optimization.descent_film import MAX_FRAMES, descent_film

HEIGHTS = np.arange(6.0).reshape(2, 3)
AXES = ([0, 1, 2], [5, 7])


def test_every_frame_shows_how_far_each_way_has_come():
    long = np.stack([np.linspace(0, 2, 200), np.linspace(5, 7, 200)], axis=1)
    figure = descent_film(HEIGHTS, *AXES, {"long": long, "short": long[:3]}, lowest=[(0, 5)])
    assert len(figure.frames) == MAX_FRAMES
    assert [len(figure.frames[i].data[0].x) for i in (0, -1)] == [1, 200]
    assert [len(figure.frames[i].data[1].x) for i in (0, -1)] == [1, 3]
    assert figure.frames[-1].name == "199"
    assert (list(figure.data[-1].x), list(figure.data[-1].y)) == ([0], [5])
    assert [figure.data[i].name for i in figure.frames[0].traces] == ["long", "short"]


def test_a_flat_surface_can_be_drawn_and_no_ways_are_refused():
    assert np.isfinite(descent_film(np.ones((2, 3)), *AXES, {"way": [[1, 6]]}).data[0].z).all()
    with pytest.raises(ConfigError, match="got none"):
        descent_film(HEIGHTS, *AXES, {})
