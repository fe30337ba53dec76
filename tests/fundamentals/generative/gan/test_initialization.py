import pytest
import torch
from torch import nn

from arena_lib.fundamentals.generative.gan.initialization import initialize_weights


def test_first_weights_are_normal_and_biases_are_zero():
    model = nn.Sequential(nn.Sequential(nn.Conv2d(20, 30, 3)), nn.BatchNorm2d(2000), nn.ConvTranspose2d(30, 20, 3))
    initialize_weights(model)
    for layer, mean in ((model[0][0], 0.0), (model[1], 1.0), (model[2], 0.0)):
        assert layer.weight.mean().item() == pytest.approx(mean, abs=0.002)
        assert layer.weight.std().item() == pytest.approx(0.02, rel=0.06)
        assert layer.bias.abs().max() == 0


def test_layers_of_other_kinds_and_without_weights_are_left():
    model = nn.Sequential(nn.Embedding(3, 4), nn.BatchNorm1d(4), nn.Conv2d(1, 2, 3, bias=False))
    before = model[0].weight.clone()
    initialize_weights(model)
    assert torch.equal(model[0].weight, before)
    assert torch.equal(model[1].weight, torch.ones(4))
    initialize_weights(nn.Sequential(nn.BatchNorm2d(3, affine=False), nn.ReLU()))
