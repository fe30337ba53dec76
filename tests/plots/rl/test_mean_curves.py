import numpy as np
import pytest

from arena_lib.errors import ConfigError, ShapeError
from arena_lib.plots.rl.mean_curves import mean_curves

RUNS = np.array([[0.0, 2.0, 4.0, 6.0, 1.0], [2.0, 2.0, 0.0, 6.0, 3.0]])


def test_each_series_has_its_mean_and_a_band_of_two_standard_errors():
    figure = mean_curves({"a": RUNS, "b": RUNS + 1})
    assert figure.data[1].y.tolist() == [1.0, 2.0, 2.0, 6.0, 2.0]
    assert [trace.name for trace in figure.data if trace.showlegend is None] == ["a", "b"]
    half = 2 * RUNS.std(axis=0) / np.sqrt(2)
    assert figure.data[0].y[:5] == pytest.approx(RUNS.mean(axis=0) + half)
    assert figure.data[0].y[5:][::-1] == pytest.approx(RUNS.mean(axis=0) - half)


def test_window_averages_steps_and_drops_the_rest():
    figure = mean_curves({"a": RUNS}, window=2)
    assert figure.data[1].y.tolist() == [1.5, 4.0]
    assert figure.data[1].x.tolist() == [0.5, 2.5]


def test_band_stays_within_the_limits():
    shares = np.array([[0.0, 1.0], [0.0, 1.0], [1.0, 1.0], [0.0, 0.0]])
    assert mean_curves({"a": shares}).data[0].y.min() < 0 < 1 < mean_curves({"a": shares}).data[0].y.max()
    outline = mean_curves({"a": shares}, limits=(0.0, 1.0)).data[0].y
    assert (outline.min(), outline.max()) == (0.0, 1.0)


def test_nothing_and_other_shapes_are_refused():
    with pytest.raises(ConfigError, match="at least one series"):
        mean_curves({})
    with pytest.raises(ShapeError, match="n_runs n_steps"):
        mean_curves({"a": [1.0, 2.0]})
