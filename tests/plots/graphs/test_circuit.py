import pytest

from arena_lib.errors import ConfigError, UnknownNameError
from arena_lib.plots import circuit

NODES = {"tokens": (-1, "input"), "0.1": (0, "previous token"), "2.0": (2, "induction"), "2.3": (2, "induction")}
EDGES = {("tokens", "0.1"): -0.2, ("0.1", "2.0"): -0.8, ("0.1", "2.3"): 0.4}


def lines_of(figure):
    return [trace for trace in figure.data if trace.mode == "lines"]


def nodes_of(figure):
    return {trace.name: trace for trace in figure.data if trace.mode == "markers+text"}


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
    assert (strongest.x[0], strongest.y[0]) == (start.x[0], start.y[0])
    assert (strongest.x[1], strongest.y[1]) == (end.x[0], end.y[0])


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
    written = [trace.text[0] for trace in circuit(NODES, EDGES).data if trace.mode == "text"]
    assert sorted(written) == ["+0.40", "-0.20", "-0.80"]


def test_an_edge_must_join_nodes_that_are_there():
    with pytest.raises(UnknownNameError, match=r"'0\.2'"):
        circuit(NODES, {("tokens", "0.2"): 1.0})


def test_there_must_be_nodes():
    with pytest.raises(ConfigError, match="at least one node"):
        circuit({}, {})
