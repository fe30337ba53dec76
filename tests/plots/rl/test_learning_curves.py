import numpy as np
import pytest

from arena_lib.errors import ConfigError, ShapeError
from arena_lib.plots.rl.learning_curves import learning_curves

BAND = ([1.0, 2.0, 4.0], [0.5, 1.0, 3.0], [2.0, 3.0, 6.0])


def test_each_curve_lies_in_its_band_and_has_a_colour_and_a_dash_of_its_own():
    figure = learning_curves({"PPO": BAND, "DQN": BAND}, x=[10, 20, 30])
    named = [trace for trace in figure.data if trace.name]
    assert [trace.name for trace in named] == ["PPO", "DQN"]
    assert named[0].y.tolist() == BAND[0]
    assert len({trace.line.color for trace in named}) == len({trace.line.dash for trace in named}) == 2
    outline = figure.data[0]
    assert outline.x.tolist() == [10, 20, 30, 30, 20, 10]
    assert outline.y.tolist() == [2.0, 3.0, 6.0, 3.0, 1.0, 0.5]


def test_seeds_are_drawn_thin_behind_their_curve():
    figure = learning_curves({"PPO": BAND}, x=[10, 20, 30], seeds={"PPO": [[1.0, 2.0, 3.0], [1.0, 2.0, 0.0]]})
    thin = [trace for trace in figure.data if trace.line.width == 0.7]
    assert [trace.y.tolist() for trace in thin] == [[1.0, 2.0, 3.0], [1.0, 2.0, 0.0]]
    assert figure.data[-1].name == "PPO"


def test_what_is_not_known_yet_leaves_a_gap():
    figure = learning_curves({"PPO": ([np.nan, 2.0], [np.nan, 1.0], [np.nan, 3.0])}, x=[10, 20])
    assert figure.data[0].x.tolist() == [20, 20]


def test_references_are_named():
    figure = learning_curves({"PPO": BAND}, x=[10, 20, 30], references={"solved": 475.0})
    assert figure.layout.showlegend
    assert "solved 475" in [shape.name for shape in figure.layout.shapes]


def test_nothing_and_other_lengths_are_refused():
    with pytest.raises(ConfigError, match="at least one curve"):
        learning_curves({}, x=[1])
    with pytest.raises(ShapeError, match=r"'PPO' must have one value for each x: got 3, 3 and 3 for 2\."):
        learning_curves({"PPO": BAND}, x=[1, 2])
