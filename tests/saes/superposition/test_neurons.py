"""Models with neurons, by hand."""

import torch

from arena_lib.core.seeds import make_generator
from arena_lib.saes.superposition.model import ToyModelConfig
from arena_lib.saes.superposition.neurons import NeuronComputationModel, NeuronModel, with_random_signs

CFG = ToyModelConfig(n_inst=2, n_feats=3, d_hidden=4)


def test_neurons_cut_off_what_is_negative():
    model = NeuronModel(ToyModelConfig(n_feats=2, d_hidden=1), 0.5)
    with torch.no_grad():
        model.W.copy_(torch.tensor([[[1.0, -1.0]]]))
    # Without the neuron's ReLU the second example would give [0, 0.5].
    assert model(torch.tensor([[[0.75, 0.25]], [[0.0, 0.5]]])).tolist() == [[[0.5, 0.0]], [[0.0, 0.0]]]


def test_two_neurons_compute_an_absolute_value():
    model = NeuronComputationModel(ToyModelConfig(n_feats=1, d_hidden=2), 0.5)
    with torch.no_grad():
        model.W1.copy_(torch.tensor([[[1.0], [-1.0]]]))
        model.W2.copy_(torch.tensor([[[1.0, 1.0]]]))
    features = torch.tensor([[[0.5]], [[-0.25]], [[0.0]]])
    out = model(features)
    assert torch.equal(out, features.abs())
    assert model.calculate_loss(out, features) == 0.0
    assert model.calculate_loss(torch.zeros_like(out), features) > 0.0
    with torch.no_grad():
        model.b_final.fill_(-1.0)
    assert model(features).sum() == 0.0  # the last ReLU


def test_features_to_compute_with_have_both_signs_and_the_same_sparsity():
    model = NeuronComputationModel(CFG, 0.3)
    batch = model.generate_batch(20_000, make_generator(0))
    assert ((batch != 0).float().mean() - 0.3).abs() < 0.01
    assert ((batch > 0).float().mean() - 0.15).abs() < 0.01
    assert batch.min() < -0.99
    assert set(dict(model.named_parameters())) == {"W1", "W2", "b_final"}
    assert (model.W1.shape, model.W2.shape) == ((2, 4, 3), (2, 3, 4))


def test_signs_turn_where_the_draw_is_below_one_half():
    features = torch.tensor([[[0.5, 0.25, 1.0]]])
    assert with_random_signs(features, torch.tensor([[[0.4, 0.5, 0.9]]])).tolist() == [[[-0.5, 0.25, 1.0]]]
    assert features.min() > 0
