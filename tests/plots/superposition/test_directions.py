"""Features as arrows."""

import pytest
import torch

from arena_lib.errors import ConfigError, ShapeError
from arena_lib.plots.style import SEQUENCE
from arena_lib.plots.superposition.directions import feature_directions

W = torch.tensor([[1.0, 0.0, -2.0], [0.0, 0.5, 0.0]])


def arrows(figure):
    return [trace for trace in figure.data if trace.hoverinfo != "skip"]


def test_each_feature_is_a_line_from_the_origin_to_its_column():
    figure = feature_directions({"a": W, "b": W[:, :1]})
    assert [(trace.x[1], trace.y[1]) for trace in arrows(figure)] == [(1.0, 0.0), (0.0, 0.5), (-2.0, 0.0), (1.0, 0.0)]
    assert all(trace.x[0] == trace.y[0] == 0.0 for trace in arrows(figure))
    assert [trace.xaxis for trace in arrows(figure)] == ["x", "x", "x", "x2"]
    assert figure.layout.xaxis.range[1] > 2.0
    assert figure.layout.xaxis2.range == figure.layout.yaxis.range == figure.layout.xaxis.range


def test_important_features_are_darker_and_groups_share_a_colour():
    heavy, light = (trace.line.color for trace in arrows(feature_directions({"a": W[:, :2]}, weights=[1.0, 0.1])))

    def brightness(colour):
        return sum(int(part) for part in colour.removeprefix("rgb(").rstrip(")").split(","))

    assert brightness(heavy) < brightness(light)
    colours = [trace.line.color for trace in arrows(feature_directions({"a": W}, groups=[0, 0, 1, 1]))]
    assert colours == [SEQUENCE[0], SEQUENCE[0], SEQUENCE[1]]


def test_many_features_have_no_markers_and_the_limit_is_kept():
    figure = feature_directions({"a": torch.zeros(2, 41)}, limit=3.0, title="many")
    assert {trace.mode for trace in arrows(figure)} == {"lines"}
    assert figure.layout.xaxis.range == (-3.0, 3.0)
    assert figure.layout.title.text == "many"


def test_other_shapes_are_refused():
    with pytest.raises(ShapeError, match=r"'a' must have two hidden dimensions .* got shape \(3, 2\)"):
        feature_directions({"a": W.T})
    with pytest.raises(ConfigError, match="at least one"):
        feature_directions({})
