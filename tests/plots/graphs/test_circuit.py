import numpy as np
import pytest

from arena_lib.errors import ConfigError, UnknownNameError
from arena_lib.plots import circuit
from arena_lib.plots.graphs.circuit import NODE, SCALE
from arena_lib.plots.graphs.routing import LABEL

NODES = {"tokens": (-1, "input"), "0.1": (0, "previous token"), "2.0": (2, "induction"), "2.3": (2, "induction")}
EDGES = {("tokens", "0.1"): -0.2, ("0.1", "2.0"): -0.8, ("0.1", "2.3"): 0.4}


def lines_of(figure):
    return [trace for trace in figure.data if trace.mode == "lines" and trace.x[0] is not None]


def nodes_of(figure):
    return {trace.name: trace for trace in figure.data if trace.mode == "markers"}


def numbers_of(figure):
    return [note for note in figure.layout.annotations if note.hovertext]


def test_width_follows_the_size_of_an_effect_and_colour_its_sign():
    strong, middling, weak = lines_of(circuit(NODES, EDGES))
    assert strong.line.width == 9.0
    assert middling.line.width == pytest.approx(4.5)
    assert weak.line.width == pytest.approx(9.0 / 4)
    assert strong.line.color == weak.line.color != middling.line.color


def test_an_edge_joins_the_places_of_its_nodes():
    figure = circuit(NODES, EDGES)
    nodes = nodes_of(figure)
    start, end = nodes["previous token"], nodes["induction"]
    strongest = lines_of(figure)[0]
    assert (strongest.x[0], strongest.y[0]) == pytest.approx((start.x[0], start.y[0]))
    assert (strongest.x[-1], strongest.y[-1]) == pytest.approx((end.x[0], end.y[0]))


def test_later_layers_stand_higher_and_nodes_of_a_layer_side_by_side():
    nodes = nodes_of(circuit(NODES, EDGES))
    assert nodes["input"].y[0] < nodes["previous token"].y[0] < nodes["induction"].y[0]
    assert nodes["induction"].y[0] == nodes["induction"].y[1]
    assert nodes["induction"].x[0] != nodes["induction"].x[1]


def test_a_kind_may_stand_aside():
    nodes = {"0.1": (0, "head"), "MLP 0": (0.5, "MLP"), "1.0": (1, "head"), "1.1": (1, "head"), "MLP 1": (1.5, "MLP")}
    found = nodes_of(circuit(nodes, {}, aside="MLP"))
    assert len(set(found["MLP"].x)) == 1
    assert max(found["head"].x) < found["MLP"].x[0]
    assert found["MLP"].y == (1.0, 3.0)


def test_kinds_differ_in_colour_and_marker():
    kinds = list(nodes_of(circuit(NODES, EDGES)).values())
    assert len({kind.marker.color for kind in kinds}) == 3
    assert len({kind.marker.symbol for kind in kinds}) == 3


def test_the_number_of_an_edge_is_written_on_it():
    numbers = numbers_of(circuit(NODES, EDGES))
    assert sorted(number.text for number in numbers) == ["+0.40", "-0.20", "-0.80"]
    assert numbers[0].hovertext == "0.1 to 2.0<br>change when patched -0.8000"


def test_a_key_says_in_words_what_sign_and_colour_mean():
    figure = circuit(NODES, EDGES)
    key = {trace.name: trace.line for trace in figure.data if trace.mode == "lines" and trace.x[0] is None}
    helping, hurting = key["helping (negative: worse without it)"], key["hurting (positive: better without it)"]
    lines = {line.line.color: line.line.dash for line in lines_of(figure)}
    assert lines == {helping.color: helping.dash, hurting.color: hurting.dash}
    assert not lines_of(circuit(NODES, {}))


TOWER = {"a": (0, "low")} | {f"b{i}": (1, "middle") for i in range(3)} | {"c": (2, "middle"), "d": (3, "high")}
OVER_LAYERS = {("a", "d"): -0.5, ("a", "c"): 0.2, ("b0", "d"): -0.1, ("b1", "d"): 0.3, ("b2", "d"): -0.4}


def test_no_edge_runs_through_a_node_that_it_does_not_join():
    figure = circuit(TOWER, OVER_LAYERS)
    places = {
        name: (x, y)
        for trace in nodes_of(figure).values()
        for name, x, y in zip(trace.text, trace.x, trace.y, strict=True)
    }
    for (source, target), line in zip(
        sorted(OVER_LAYERS, key=lambda edge: -abs(OVER_LAYERS[edge])), lines_of(figure), strict=True
    ):
        points = np.stack([line.x, line.y], axis=1) * SCALE
        for name, place in places.items():
            if name not in (source, target):
                assert np.linalg.norm(points - place * SCALE, axis=1).min() > NODE / 2, (source, target, name)


def test_no_number_lies_on_another_number_or_on_a_node():
    figure = circuit(TOWER, OVER_LAYERS)
    numbers = [np.array([number.x, number.y]) * SCALE for number in numbers_of(figure)]
    nodes = [
        np.array([x, y]) * SCALE for trace in nodes_of(figure).values() for x, y in zip(trace.x, trace.y, strict=True)
    ]
    for idx, number in enumerate(numbers):
        for other in numbers[:idx] + nodes:
            dx, dy = np.abs(number - other)
            assert dx >= LABEL[0] or dy >= LABEL[1]


def test_an_edge_must_join_nodes_that_are_there():
    with pytest.raises(UnknownNameError, match=r"'0\.2'"):
        circuit(NODES, {("tokens", "0.2"): 1.0})


def test_there_must_be_nodes():
    with pytest.raises(ConfigError, match="at least one node"):
        circuit({}, {})
