import pytest
import torch

from arena_lib.errors import ShapeError
from arena_lib.plots import heads
from arena_lib.plots.style import DIVERGING, LIGHT_TO_DARK


def test_layers_go_down_and_heads_across():
    values = torch.arange(6.0).reshape(2, 3)
    figure = heads(values, quantity="induction score", title="Induction")
    assert figure.data[0].z.tolist() == values.tolist()
    assert figure.data[0].x == ("0", "1", "2")
    assert figure.data[0].y == ("0", "1")
    assert figure.layout.xaxis.title.text == "head"
    assert figure.layout.yaxis.title.text == "layer"
    assert figure.layout.yaxis.autorange == "reversed"
    assert figure.data[0].hovertemplate.startswith("layer %{y}, head %{x}<br>induction score")
    assert figure.layout.title.text == "Induction"


def test_white_is_zero():
    positive, both = heads([[1.0, 4.0]]).data[0], heads([[1.0, -4.0]]).data[0]
    assert (positive.zmin, positive.zmax, both.zmin, both.zmax) == (0, 4, -4, 4)
    assert [list(stop) for stop in positive.colorscale] == LIGHT_TO_DARK
    assert [list(stop) for stop in both.colorscale] == DIVERGING
    assert DIVERGING[2] == [0.5, "#ffffff"]
    assert LIGHT_TO_DARK[0] == [0.0, "#ffffff"]


def test_figures_that_are_compared_share_a_scale():
    large, small = (heads(values, limit=2.0, is_signed=True).data[0] for values in ([[1.0, -1.5]], [[0.03, 0.0]]))
    assert (large.zmin, large.zmax) == (small.zmin, small.zmax) == (-2.0, 2.0)
    assert [list(stop) for stop in small.colorscale] == DIVERGING
    assert heads([[0.03, 0.0]], limit=2.0).data[0].zmin == 0


def test_all_zero_and_not_a_number_are_drawn():
    assert heads([[0.0, 0.0]]).data[0].zmax == 1
    assert heads([[float("nan"), 2.0]]).data[0].zmax == 2


def test_marked_heads_get_a_square():
    squares = heads(torch.rand(2, 3), mark=[[0, 0, 1], [1, 0, 0]]).data[1]
    assert list(zip(squares.y, squares.x, strict=True)) == [("0", "2"), ("1", "0")]
    assert squares.marker.symbol == "square-open"
    assert len(heads(torch.rand(2, 3)).data) == 1


def test_numbers_are_left_out_of_large_maps():
    assert heads(torch.rand(12, 16)).data[0].texttemplate == "%{z:.2f}"
    assert heads(torch.rand(12, 17)).data[0].texttemplate is None


@pytest.mark.parametrize("shape", [(3,), (2, 3, 4), ()])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ShapeError, match='"n_layers n_heads": got'):
        heads(torch.rand(shape))


def test_colour_bars_title_runs_along_it_and_never_lies_on_a_tick():
    bar = heads([[0.1, 0.9]], quantity="accuracy").data[0].colorbar
    assert (bar.title.text, bar.title.side) == ("<br>accuracy", "right")
