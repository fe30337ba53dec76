import pytest
import torch

from arena_lib.errors import ConfigError, ShapeError
from arena_lib.plots import clouds

POINTS = torch.tensor([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]])


def test_each_panel_shows_its_points_by_class():
    figure = clouds({"layer 0": POINTS, "layer 1": -POINTS}, ["true", "false", "true"], title="Truth")
    assert [trace.name for trace in figure.data] == ["true", "false", "true", "false"]
    assert figure.data[0].x.tolist() == [0, 4]
    assert figure.data[1].y.tolist() == [3]
    assert figure.data[2].x.tolist() == [0, -4]
    assert [note.text for note in figure.layout.annotations] == ["layer 0", "layer 1"]
    assert figure.layout.title.text == "Truth"


def test_classes_differ_in_marker_too_and_stand_in_the_legend_once():
    figure = clouds({"a": POINTS, "b": POINTS}, ["x", "y", "x"])
    assert figure.data[0].marker.symbol != figure.data[1].marker.symbol
    assert [trace.showlegend for trace in figure.data] == [True, True, False, False]


def test_names_are_shown_as_they_are():
    figure = clouds({"a": POINTS}, ["x", "x", "x"], names=["one", "<b>two</b>", "three"])
    assert figure.data[0].text.tolist() == ["one", "&lt;b&gt;two&lt;/b&gt;", "three"]


@pytest.mark.parametrize(
    ("panels", "classes", "error"),
    [({}, [], ConfigError), ({"a": POINTS}, ["x", "y"], ShapeError), ({"a": POINTS[:, :1]}, ["x"] * 3, ShapeError)],
)
def test_what_does_not_fit(panels, classes, error):
    with pytest.raises(error):
        clouds(panels, classes)


def test_the_smaller_class_is_drawn_on_top_and_keeps_its_place_in_the_legend():
    few, many = clouds({"": [[0.0, 1.0], [2.0, 1.0], [1.0, 1.0]]}, ["few", "many", "many"]).data[::-1]
    assert (few.name, many.name) == ("few", "many")
    assert few.legendrank < many.legendrank
