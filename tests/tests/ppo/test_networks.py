"""What learners hand in for the small networks: right in another form, and first weights that are wrong."""

import importlib
import math
from collections import OrderedDict

import pytest
from torch import nn

from arena_lib.checking import run

judges = importlib.import_module("arena_lib.tests.ppo")


def pair(make_layer, *, tanh=None):
    """A builder of both networks from a way to make a layer."""

    def get_actor_and_critic_classic(d_obs, n_actions):
        def build(n_outputs, gain):
            layers, n_inputs = OrderedDict(), d_obs
            for i, (n, g) in enumerate([(64, math.sqrt(2)), (64, math.sqrt(2)), (n_outputs, gain)]):
                layers[f"linear{i}"], n_inputs = make_layer(nn.Linear(n_inputs, n), g), n
                layers[f"tanh{i}"] = tanh or nn.Tanh()
            del layers["tanh2"]
            return nn.Sequential(layers)

        return build(n_actions, 0.01), build(1, 1.0)

    return get_actor_and_critic_classic


def orthogonal(layer, gain):
    nn.init.orthogonal_(layer.weight, gain)
    nn.init.zeros_(layer.bias)
    return layer


def orthogonal_weight_only(layer, gain):
    nn.init.orthogonal_(layer.weight, gain)
    return layer


def test_layers_may_have_names_and_one_tanh_may_stand_at_several_places():
    assert run(judges.test_get_actor_and_critic_classic, pair(orthogonal, tanh=nn.Tanh())).passed


@pytest.mark.parametrize(
    ("make_layer", "name"),
    [
        (orthogonal_weight_only, "leaves biases as torch draws them"),
        (lambda layer, gain: layer, "makes weights that aren't orthogonal"),
        (lambda layer, gain: orthogonal(layer, 5 / 3 if gain > 1 else gain), "gives hidden layers the gain 5/3"),
    ],
)
def test_wrong_first_weights_are_named(make_layer, name):
    assert run(judges.test_get_actor_and_critic_classic, pair(make_layer)).diagnosis.mistake == name
