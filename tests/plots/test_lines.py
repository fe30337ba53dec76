import pytest
import torch

from arena_lib.errors import ConfigError, ShapeError
from arena_lib.plots import lines


def test_each_series_is_a_curve_with_its_own_dash_marker_and_colour():
    figure = lines({"train": [3.0, 2.0, 1.5], "test": torch.tensor([3.1, 2.5, 2.4])}, title="Loss")
    assert [trace.name for trace in figure.data] == ["train", "test"]
    assert figure.data[0].x.tolist() == [0, 1, 2]
    assert figure.data[1].y.tolist() == pytest.approx([3.1, 2.5, 2.4])
    for look in ("dash", "color"):
        assert figure.data[0].line[look] != figure.data[1].line[look]
    assert figure.data[0].marker.symbol != figure.data[1].marker.symbol
    assert figure.layout.title.text == "Loss"


def test_x_is_taken_and_the_axes_are_named():
    figure = lines({"a": [1.0, 2.0]}, x=[10, 20], x_title="tokens", y_title="accuracy")
    assert figure.data[0].x.tolist() == [10, 20]
    assert (figure.layout.xaxis.title.text, figure.layout.yaxis.title.text) == ("tokens", "accuracy")
    assert figure.data[0].hovertemplate.startswith("tokens %{x}<br>accuracy %{y")


def test_a_single_curve_needs_no_legend():
    assert lines({"a": [1.0]}).layout.showlegend is False
    assert lines({"a": [1.0], "b": [2.0]}).layout.showlegend is True


@pytest.mark.parametrize(
    ("height", "number"), [(-1200.0, "-1,200"), (999.6, "1,000"), (475.0, "475"), (0.1234, "0.123")]
)
def test_a_reference_is_written_without_an_exponent(height, number):
    assert lines({"a": [1.0, 2.0]}, references={"known": height}).layout.shapes[0].name == f"known {number}"


def test_references_are_level_lines_with_their_names():
    figure = lines({"a": [1.0, 2.0]}, references={"bigram": 3.39})
    assert figure.layout.shapes[0].y0 == figure.layout.shapes[0].y1 == 3.39
    assert figure.layout.shapes[0].name == "bigram 3.39"
    assert figure.layout.shapes[0].showlegend, "the name stands in the legend, where no curve runs"
    assert figure.layout.showlegend
    assert figure.data[0].showlegend is False, "a single curve is named by the axis"


def test_curve_that_others_run_over_is_thicker_than_they_are():
    figure = lines({"below": [0.0, 1.0, 1.0], "above": [0.5, 1.0, 1.0], "apart": [0.2, 0.3, 0.4]})
    below, above, apart = figure.data
    assert below.line.width > above.line.width == apart.line.width
    assert below.marker.size > above.marker.size == apart.marker.size


def test_curves_that_only_come_near_are_of_one_width():
    assert {trace.line.width for trace in lines({"a": [0.0, 1.0], "b": [0.1, 0.9]}).data} == {2}
    assert {trace.line.width for trace in lines({"a": [float("nan"), 1.0], "b": [float("nan"), 0.5]}).data} == {2}


def test_points_of_short_curves_are_marked():
    assert lines({"a": range(40)}).data[0].mode == "lines+markers"
    assert lines({"a": range(41)}).data[0].mode == "lines"


def test_more_series_than_colours():
    assert len(lines({str(i): [1.0, 2.0] for i in range(20)}).data) == 20


def test_bad_series_are_refused():
    with pytest.raises(ConfigError, match="got none"):
        lines({})
    with pytest.raises(ShapeError, match="got 2 for 3"):
        lines({"a": [1.0, 2.0]}, x=[1, 2, 3])
    with pytest.raises(ShapeError, match='"n_points": got'):
        lines({"a": torch.rand(2, 3)})
