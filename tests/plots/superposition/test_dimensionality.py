"""Dimensionality against sparsity."""

import numpy as np
import pytest

from arena_lib.errors import ShapeError
from arena_lib.plots.superposition.dimensionality import dimensionality


def test_every_feature_is_a_dot_near_its_instance():
    figure = dimensionality([1.0, 10.0, 100.0], np.arange(12).reshape(3, 4), per_feature=[0.1, 0.2, 0.3])
    assert figure.data[0].y.tolist() == list(range(12))
    places = figure.data[0].x.reshape(3, 4)
    assert (places[0] < places[1].min()).all()
    assert np.allclose(np.exp(np.log(places).mean(axis=1)), [1, 10, 100])
    assert figure.data[1].y.tolist() == [0.1, 0.2, 0.3]


def test_places_on_the_axis_are_whole_numbers():
    axis = dimensionality([1.5, 20.0], [[0.5], [0.5]]).layout.xaxis
    assert axis.ticktext[:6] == ("1", "2", "5", "10", "20", "50")
    assert axis.tickvals[4] == 20


def test_levels_are_named_lines():
    figure = dimensionality([1.0], [[0.5]], levels={"triangle": 2 / 3})
    assert figure.layout.shapes[0].y0 == 2 / 3
    assert figure.layout.annotations[0].text == "triangle 0.667"


def test_names_of_lines_that_nearly_touch_move_apart():
    figure = dimensionality([1.0], [[0.5]], levels={"pentagon": 0.4, "antiprism": 0.375, "alone": 1.0})
    assert [annotation.yshift for annotation in figure.layout.annotations] == [6, -6, 0]


def test_each_instance_needs_a_place():
    with pytest.raises(ShapeError, match="got 1 for 2"):
        dimensionality([1.0], [[0.5], [0.5]])
