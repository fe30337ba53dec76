"""A moving picture of features that find their directions."""

import numpy as np
import pytest

from arena_lib.errors import ShapeError
from arena_lib.plots.superposition.film import feature_film

FRAMES = np.arange(3 * 2 * 2 * 4, dtype=float).reshape(3, 2, 2, 4) / 20
STEPS, NAMES = [0, 5, 10], ["dense", "sparse"]


def ends(traces):
    return [[trace.x[1], trace.y[1]] for trace in traces]


def test_it_shows_the_last_frame_and_plays_all():
    figure = feature_film(FRAMES, STEPS, NAMES)
    arrows = [figure.data[i] for i in figure.frames[0].traces]
    assert ends(arrows) == [*FRAMES[2, 0].T.tolist(), *FRAMES[2, 1].T.tolist()]
    assert [frame.name for frame in figure.frames] == ["0", "5", "10"]
    assert ends(figure.frames[1].data) == [*FRAMES[1, 0].T.tolist(), *FRAMES[1, 1].T.tolist()]
    assert [step.label for step in figure.layout.sliders[0].steps] == ["0", "5", "10"]


def test_every_frame_fits_into_the_panels():
    figure = feature_film(FRAMES[::-1], STEPS, NAMES)
    assert figure.layout.xaxis.range[1] > FRAMES.max()
    assert [note.text for note in figure.layout.annotations] == NAMES


def test_the_parts_must_be_of_one_run():
    with pytest.raises(ShapeError, match="got 2 and 2 for 3 and 2"):
        feature_film(FRAMES, STEPS[:2], NAMES)
    with pytest.raises(ShapeError, match="got 3 and 1 for 3 and 2"):
        feature_film(FRAMES, STEPS, NAMES[:1])
