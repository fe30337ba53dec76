import numpy as np
import pytest

from arena_lib.errors import ConfigError, ShapeError
from arena_lib.plots.latents.histogram import histogram


def test_every_finite_value_is_counted_once():
    values = np.linspace(0, 1, 101) ** 2
    figure = histogram([*values, np.nan, np.inf], n_bars=7, title="a <b>", x_title="x & y")
    bars = figure.data[0]
    assert sum(bars.y) == 101
    assert list(bars.y) == sorted(bars.y, reverse=True)
    assert bars.customdata[0][0] == 0
    assert bars.customdata[-1][1] == 1
    assert figure.layout.title.text == "a &lt;b&gt;"
    assert figure.layout.xaxis.title.text == "x &amp; y"


def test_no_values_are_said_to_be_none():
    figure = histogram([])
    assert sum(figure.data[0].y) == 0
    assert figure.layout.annotations[0].text == "no values"


def test_other_shapes_and_no_bars_are_refused():
    with pytest.raises(ShapeError, match='"n_values"'):
        histogram([[1.0, 2.0]])
    with pytest.raises(ConfigError, match="n_bars must be at least 1"):
        histogram([1.0], n_bars=0)
