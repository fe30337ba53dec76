import pytest

from arena_lib.errors import ConfigError, UnknownNameError
from arena_lib.plots.backprop.calculation import calculation


def test_a_node_stands_right_of_all_its_arguments():
    nodes = dict.fromkeys(["end", "a", "middle", "late", "b"], "1")
    figure = calculation(
        nodes, [("a", "middle"), ("middle", "late"), ("late", "end"), ("a", "end"), ("b", "end")], marked=["a"]
    )
    columns = dict(zip(nodes, figure.data[0].x, strict=True))
    assert columns == {"a": 0, "b": 0, "middle": 1, "late": 2, "end": 3}
    assert len(set(zip(figure.data[0].x, figure.data[0].y, strict=True))) == len(nodes)
    colours = dict(zip(nodes, figure.data[0].marker.color, strict=True))
    assert colours["a"] != colours["b"] == colours["end"]


def test_an_argument_that_is_used_twice_has_one_thicker_arrow():
    figure = calculation({"a": "2", "a²": "4", "log": "1.4"}, [("a", "a²"), ("a", "a²"), ("a²", "log")])
    assert [arrow.arrowwidth for arrow in figure.layout.annotations] == [3.0, 1.5]


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(ConfigError, match="at least one node"):
        calculation({}, [])
    with pytest.raises(UnknownNameError, match="'c'"):
        calculation({"a": "", "b": ""}, [("a", "c")])
    with pytest.raises(ConfigError, match="ring"):
        calculation({"a": "", "b": ""}, [("a", "b"), ("b", "a")])
