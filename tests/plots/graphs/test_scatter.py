import pytest

from arena_lib.errors import ConfigError, ShapeError
from arena_lib.plots import scatter


def test_classes_keep_their_points_and_differ_in_colour_and_marker():
    figure = scatter({"IO": ([0.1, 0.9], [1.0, 8.0]), "S": ([0.2], [2.0])}, x_title="attention", y_title="projection")
    assert figure.data[0].x.tolist() == [0.1, 0.9]
    assert figure.data[0].y.tolist() == [1.0, 8.0]
    assert figure.data[1].y.tolist() == [2.0]
    first, second = (cloud.marker for cloud in figure.data)
    assert first.color != second.color
    assert first.symbol != second.symbol
    assert (figure.layout.xaxis.title.text, figure.layout.yaxis.title.text) == ("attention", "projection")


def test_x_and_y_must_be_as_many():
    with pytest.raises(ShapeError, match="got 1 for 2"):
        scatter({"IO": ([0.1, 0.9], [1.0])})


def test_there_must_be_points():
    with pytest.raises(ConfigError, match="at least one class"):
        scatter({})


def test_a_diagonal_is_named_and_as_long_as_the_narrower_range():
    figure = scatter({"latents": ([-2.0, 1.0, float("nan")], [-5.0, 0.5, 0.0])}, diagonal="both <agree>")
    line = figure.data[-1]
    assert list(line.x) == list(line.y) == [-2.0, 1.0]
    assert line.name == "both &lt;agree&gt;"
    assert figure.layout.showlegend
    assert len(scatter({"latents": ([1.0], [2.0])}).data) == 1


def test_a_diagonal_needs_no_points():
    assert list(scatter({"latents": ([], [])}, diagonal="both agree").data[-1].x) == [0.0, 1.0]
