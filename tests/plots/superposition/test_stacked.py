"""Stacks of neurons' weights."""

import torch

from arena_lib.plots.style import SEQUENCE
from arena_lib.plots.superposition.stacked import stacked_weights

W = torch.tensor([[0.5, -1.0, 0.01], [0.0, 0.1, 1.0], [0.0, 0.0, 0.0]])


def test_the_largest_weight_comes_first_and_tiny_ones_are_left_out():
    first, second = stacked_weights({"a": W}).data
    assert (first.x.tolist(), first.y.tolist(), first.text) == ([0, 1], [-1.0, 1.0], ("1", "2"))
    assert second.x.tolist() == [0, 1]
    assert second.text == ("0", "1")


def test_neurons_of_several_features_have_another_colour():
    assert list(stacked_weights({"a": W}).data[0].marker.color) == [SEQUENCE[1], SEQUENCE[0]]
    assert list(stacked_weights({"a": [[2.0], [1.0]]}).data[0].marker.color) == [SEQUENCE[0], SEQUENCE[0]]


def test_each_instance_has_a_panel():
    figure = stacked_weights({"a": W, "b": W})
    assert {trace.xaxis for trace in figure.data} == {"x", "x2"}
    assert figure.layout.barmode == "relative"


def test_weights_of_zero_give_an_empty_panel():
    assert stacked_weights({"a": [[0.0, 0.0]]}).data == ()
