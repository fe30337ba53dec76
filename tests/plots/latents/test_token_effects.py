import pytest

from arena_lib.errors import ConfigError
from arena_lib.plots.latents.token_effects import token_effects


def test_the_smallest_stands_last_and_each_bar_has_a_name_of_its_own():
    figure = token_effects([(" a", 3.0), ("<b>", 1.0)], [(" a", -4.0), ("\n", -2.0)], title="t")
    bars = figure.data[0]
    assert list(bars.x) == [3.0, 1.0, -2.0, -4.0]
    assert list(bars.y) == ["1. ␣a", "2. &lt;b&gt;", "-2. ⏎", "-1. ␣a"]
    assert list(figure.layout.yaxis.ticktext) == ["␣a", "&lt;b&gt;", "⏎", "␣a"]
    assert list(bars.marker.pattern.shape) == ["", "", "/", "/"]
    left, right = figure.layout.xaxis.range
    assert left < -4.5  # room for the number
    assert right > 3.5


def test_one_side_is_enough_and_none_is_refused():
    figure = token_effects([("a", 1.0)], [])
    assert list(figure.data[0].x) == [1.0]
    assert figure.layout.xaxis.range[0] == 0
    with pytest.raises(ConfigError, match="at least one token"):
        token_effects([], [])
