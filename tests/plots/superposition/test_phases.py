"""Phase diagrams."""

import pytest

from arena_lib.errors import ShapeError
from arena_lib.plots.superposition.phases import phase_diagram


def test_white_blue_and_orange():
    figure = phase_diagram({"a": ([[0.0, 1.0, 1.0, 0.5]], [[1.0, 0.0, 2.0, 0.0]])}, [1.0, 0.5, 0.2, 0.1], [1.0])
    assert figure.data[0].z.tolist() == [[[255, 255, 255], [0, 114, 178], [213, 94, 0], [128, 184, 216]]]
    assert [trace.name for trace in figure.data[1:]] == ["has a dimension", "shares one", "not represented"]


def test_axes_name_a_few_densities_and_importances():
    densities = [1.0 / (i + 1) for i in range(20)]
    figure = phase_diagram({"a": ([[0.0] * 20] * 3, [[0.0] * 20] * 3)}, densities, [0.1, 1.0, 10.0])
    assert figure.layout.xaxis.ticktext[0] == "1"
    assert figure.layout.xaxis.ticktext[-1] == "0.05"
    assert list(figure.layout.yaxis.ticktext) == ["0.1", "1", "10"]


def test_sizes_must_be_those_of_the_axes():
    with pytest.raises(ShapeError, match=r"\(1, 2\): got shapes \(2, 1\)"):
        phase_diagram({"a": ([[0.0], [1.0]], [[0.0], [1.0]])}, [1.0, 0.5], [1.0])
