"""W^T W and lengths."""

import torch

from arena_lib.plots.superposition.gram import gram_matrices

W = torch.tensor([[1.0, -0.5, 0.0], [0.0, 0.0, 2.0]])


def test_products_above_and_lengths_below():
    figure = gram_matrices({"a": W, "b": W})
    heat, bars = figure.data[:2]
    assert heat.z.tolist() == [[1.0, -0.5, 0.0], [-0.5, 0.25, 0.0], [0.0, 0.0, 4.0]]
    assert bars.y.tolist() == [1.0, 0.5, 2.0]
    assert bars.customdata.tolist() == [0.25, 1.0, 0.0]
    assert (heat.yaxis, bars.yaxis) == ("y", "y3")
    assert [trace.showscale for trace in figure.data if trace.type == "heatmap"] == [True, False]


def test_shared_features_have_another_colour_than_free_ones():
    colours = gram_matrices({"a": W}).data[1].marker.color
    assert colours[2] == "rgb(0, 114, 178)"
    assert colours[1] == "rgb(213, 94, 0)"
