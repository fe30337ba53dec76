"""Rays and segments as lines."""

import numpy as np
import pytest

from arena_lib.errors import ShapeError
from arena_lib.plots.ray_tracing.rays import rays_1d

RAYS = np.array([[[0, 0, 0], [1, y, 0]] for y in (-1.0, 0.0, 2.0)])
SEGMENTS = [[[2, -4, 0], [2, -1, 0]], [[3, 0, 0], [4, 1, 0]]]


def ends(trace):
    return [(x, y) for x, y in zip(trace.x, trace.y, strict=True) if x is not None]


def test_rays_that_hit_and_rays_that_miss_are_drawn_apart():
    figure = rays_1d(RAYS, SEGMENTS, hits=[True, False, True])
    hit, miss, pixels, walls = figure.data
    assert [trace.name for trace in figure.data] == ["rays that hit", "rays that miss", "pixels", "segments"]
    assert ends(hit) == [(0, 0), (5, -5), (0, 0), (5, 10)]
    assert ends(miss) == [(0, 0), (5, 0)]
    assert (list(pixels.x), list(pixels.y)) == ([1, 1, 1], [-1, 0, 2])
    assert ends(walls) == [(2, -4), (2, -1), (3, 0), (4, 1)]
    assert hit.line.dash != miss.line.dash
    assert [note.text for note in figure.layout.annotations] == ["<b>0</b>", "<b>1</b>"]


def test_without_segments_and_hits_there_are_rays_and_pixels():
    figure = rays_1d(RAYS)
    assert [trace.name for trace in figure.data] == ["rays", "pixels"]
    assert ends(figure.data[0])[1] == (1.25, -1.25)


def test_a_ray_that_goes_back_is_drawn_as_a_step_of_its_own():
    figure = rays_1d([[[0, 0, 0], [-1, 1, 0]]])
    assert ends(figure.data[0]) == [(0, 0), (-1.25, 1.25)]


def test_other_shapes_are_refused():
    with pytest.raises(ShapeError, match=r'"n_rays 2 3": got \(3, 2, 2\)'):
        rays_1d(RAYS[..., :2])
    with pytest.raises(ShapeError, match="hits must have one entry for each ray: got 2 for 3"):
        rays_1d(RAYS, SEGMENTS, hits=[True, False])
