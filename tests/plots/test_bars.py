import pytest

from arena_lib.errors import ConfigError, ShapeError
from arena_lib.plots import bars


def test_one_bar_for_each_name():
    figure = bars([1.0, -2.0], ["0.0", " a"], y_title="logit", references={"chance": 0.5})
    assert figure.data[0].y.tolist() == [1, -2]
    assert figure.layout.xaxis.ticktext == ("0.0", "␣a")
    assert figure.data[0].text == ("1.00", "-2.00")
    assert bars([10, 2], ["a", "b"]).data[0].text == ("10", "2"), "counts have no decimals"
    assert figure.layout.xaxis.ticklabeloverflow == "allow", "a long name at the right edge stays"
    assert figure.layout.shapes[0].y0 == 0.5
    assert not bars([1.0], ["a"]).layout.showlegend


def test_references_are_named_in_the_legend_where_no_bar_stands():
    figure = bars([1.0, 0.0], ["a", "b"], references={"guessing": 0.5, "chance": 0.25})
    assert [line.name for line in figure.layout.shapes] == ["guessing 0.5", "chance 0.25"]
    assert all(line.showlegend for line in figure.layout.shapes)
    assert len({line.line.dash for line in figure.layout.shapes}) == 2
    assert not figure.layout.annotations
    assert (figure.layout.showlegend, figure.data[0].showlegend) == (True, False)


def test_series_stand_side_by_side_and_differ_by_hatching():
    figure = bars({"zero": [1.0, 2.0], "mean": [3.0, 4.0]}, ["a", "b"])
    assert [bar.name for bar in figure.data] == ["zero", "mean"]
    assert figure.data[0].marker.pattern.shape != figure.data[1].marker.pattern.shape
    assert figure.layout.showlegend
    assert figure.layout.barmode == "group"


def test_many_bars_have_no_numbers():
    assert bars([1.0] * 24, ["a"] * 24).data[0].text is not None
    assert bars([1.0] * 25, ["a"] * 25).data[0].text is None


def test_what_does_not_fit_is_refused():
    with pytest.raises(ShapeError, match="names must be as many as the bars: got 1 for 2"):
        bars([1.0, 2.0], ["a"])
    with pytest.raises(ConfigError, match="at least one series"):
        bars({}, [])
