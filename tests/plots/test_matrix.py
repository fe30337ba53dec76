import pytest
import torch

from arena_lib.errors import ShapeError
from arena_lib.plots import matrix
from arena_lib.plots.style import DIVERGING, LIGHT_TO_DARK


def test_rows_go_down_and_names_are_on_the_axes_and_in_the_hover_text():
    figure = matrix([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], rows=[" a", "b"], columns=["x", "y", "z"], row_title="source")
    heat = figure.data[0]
    assert heat.z.tolist() == [[1, 2, 3], [4, 5, 6]]
    assert figure.layout.yaxis.ticktext == ("␣a", "b")
    assert figure.layout.xaxis.ticktext == ("x", "y", "z")
    assert figure.layout.yaxis.autorange == "reversed"
    assert heat.customdata[0][2] == "source ␣a<br>column z"


def test_white_is_zero():
    positive, both = matrix([[1.0, 4.0]]).data[0], matrix([[1.0, -4.0]]).data[0]
    assert (positive.zmin, positive.zmax, both.zmin, both.zmax) == (0, 4, -4, 4)
    assert [list(stop) for stop in positive.colorscale] == LIGHT_TO_DARK
    assert [list(stop) for stop in both.colorscale] == DIVERGING


def test_large_ones_have_no_numbers_and_no_names_on_the_axis():
    assert matrix(torch.rand(3, 18)).data[0].texttemplate == "%{z:.2f}"
    large = matrix(torch.rand(3, 61))
    assert large.data[0].texttemplate is None
    assert large.layout.xaxis.ticktext == ()
    assert large.layout.yaxis.ticktext == ("0", "1", "2")
    assert large.data[0].customdata[2][60] == "row 2<br>column 60"


def test_what_does_not_fit_is_refused():
    with pytest.raises(ShapeError, match='"rows columns": got'):
        matrix(torch.rand(3))
    with pytest.raises(ShapeError, match="rows must have one name each: got 1 for 2"):
        matrix(torch.rand(2, 3), rows=["a"])


def test_figures_can_share_a_scale():
    heat = matrix([[1.0, -2.0]], limit=5.0).data[0]
    assert (heat.zmin, heat.zmax) == (-5, 5)
    assert matrix([[1.0, 2.0]], limit=5.0, is_signed=True).data[0].zmin == -5


def test_colour_bars_title_runs_along_it_and_never_lies_on_a_tick():
    bar = matrix([[0.5, -1.0]], quantity="accuracy").data[0].colorbar
    assert (bar.title.text, bar.title.side) == ("<br>accuracy", "right")
