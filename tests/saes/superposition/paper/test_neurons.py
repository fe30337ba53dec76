"""Figures of neurons have a panel for each sparsity."""

from arena_lib.saes.superposition.paper.neurons import draw_absolute_values, draw_neurons


def test_each_sparsity_has_a_panel_of_its_neurons():
    stored = draw_neurons(n_feats=4, d_hidden=3, n_steps=2)
    assert [annotation.text for annotation in stored.layout.annotations] == [
        "S = 0",
        "S = 0.5",
        "S = 0.8",
        "S = 0.9",
        "S = 0.97",
    ]
    computed = draw_absolute_values(n_feats=4, d_hidden=3, n_steps=2)
    assert len(computed.layout.annotations) == 4
    assert {neuron for trace in computed.data for neuron in trace.x} <= {0, 1, 2}
