import numpy as np
import pytest

from arena_lib.errors import ShapeError
from arena_lib.plots.backprop.paths import paths_over_surface


def test_the_surface_and_the_ways_are_where_they_were_given():
    heights = np.arange(6.0).reshape(2, 3)
    figure = paths_over_surface(heights, [0, 1, 2], [5, 7], {"one": [[0, 5], [2, 7]], "two": [[1, 6]]})
    surface, one, two = figure.data
    np.testing.assert_array_equal(surface.z, heights)
    assert (list(one.x), list(one.y)) == ([0, 2], [5, 7])
    assert one.line.color != two.line.color
    assert tuple(figure.layout.xaxis.range) == (0, 2)


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ShapeError, match="a row for each y"):
        paths_over_surface(np.zeros((2, 3)), [0, 1], [0, 1, 2], {})
    with pytest.raises(ShapeError, match="'way' must have two numbers"):
        paths_over_surface(np.zeros((2, 3)), [0, 1, 2], [0, 1], {"way": [[0, 1, 2]]})
