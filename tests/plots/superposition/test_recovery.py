"""A moving picture of latents and features."""

import numpy as np
import pytest

from arena_lib.errors import ShapeError
from arena_lib.plots.superposition.recovery import recovery

FEATURES = np.array([[[2.0, 0.0], [0.0, 1.0]]] * 2)
DECODERS = np.arange(3 * 2 * 4 * 2, dtype=float).reshape(3, 2, 4, 2)
ACTIVE = np.ones((3, 2, 4))
ACTIVE[0, 1, 2] = 0.0


def make():
    return recovery(FEATURES, DECODERS, ACTIVE, [5, 10, 15])


def ends(trace):
    points = np.stack([trace.x, trace.y], axis=-1).reshape(-1, 3, 2)
    assert (points[:, 0] == 0).all()
    assert np.isnan(points[:, 2]).all()
    return points[:, 1].tolist()


def test_it_shows_the_last_frame_and_plays_all():
    figure = make()
    assert ends(figure.data[1]) == DECODERS[-1, 0].tolist()
    assert ends(figure.data[0]) == [[1.25, 0.0], [0.0, 1.25]]  # of length one, a bit longer than latents
    assert [frame.name for frame in figure.frames] == ["5", "10", "15"]
    assert list(figure.frames[0].traces) == [1, 2, 4, 5]
    assert ends(figure.frames[0].data[0]) == DECODERS[0, 0].tolist()


def test_dead_latents_are_drawn_apart():
    alive, dead = make().frames[0].data[2:]
    assert ends(dead) == [DECODERS[0, 1, 2].tolist()]
    assert len(ends(alive)) == 3
    assert dead.line.dash == "dot"


def test_the_legend_names_each_kind_once():
    assert [trace.name for trace in make().data if trace.showlegend is not False] == [
        "true feature",
        "latent",
        "dead latent",
    ]


def test_panels_have_the_names_that_are_given():
    figure = recovery(FEATURES, DECODERS, ACTIVE, [5, 10, 15], names=["best", "worst"])
    assert [title.text for title in figure.layout.annotations] == ["best", "worst"]
    assert [title.text for title in make().layout.annotations] == ["instance 0", "instance 1"]
    with pytest.raises(ShapeError, match="got 1 for 2"):
        recovery(FEATURES, DECODERS, ACTIVE, [5, 10, 15], names=["best"])


def test_the_parts_must_be_of_one_run():
    with pytest.raises(ShapeError, match="Take them from one run"):
        recovery(FEATURES, DECODERS, ACTIVE[:2], [5, 10, 15])
