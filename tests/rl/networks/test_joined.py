import copy

import pytest
import torch
from torch import nn

from arena_lib.errors import ConfigError
from arena_lib.rl.networks.joined import JoinedAdam

OBS, TARGET = torch.linspace(-1, 1, 12).reshape(4, 3), torch.linspace(2, -2, 8).reshape(4, 2)


def make_network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2))


def train(network, optimizer, clip, *, clear=None):
    for _ in range(5):
        (clear or optimizer.zero_grad)()
        (network(OBS) - TARGET).square().sum().backward()
        clip()
        optimizer.step()
    return torch.cat([parameter.detach().flatten() for parameter in network.parameters()])


@pytest.mark.parametrize("max_norm", [0.05, 1e6], ids=["clipped", "not clipped"])
def test_training_gives_the_same_weights_as_torchs_adam(max_norm):
    ours, theirs = make_network(), make_network()
    joined = JoinedAdam(ours.parameters(), lr=0.01, eps=1e-5)
    adam = torch.optim.Adam(theirs.parameters(), lr=0.01, eps=1e-5)
    expected = train(theirs, adam, lambda: nn.utils.clip_grad_norm_(theirs.parameters(), max_norm))
    torch.testing.assert_close(train(ours, joined, lambda: joined.clip_gradient(max_norm)), expected)
    assert not torch.allclose(expected, torch.cat([p.detach().flatten() for p in make_network().parameters()]))


def test_gradients_cleared_by_the_network_count_too():
    """After network.zero_grad() backward() makes gradients of its own; torch's way to clip works on them."""
    ours, theirs = make_network(), make_network()
    joined, adam = JoinedAdam(ours.parameters(), lr=0.01), torch.optim.Adam(theirs.parameters(), lr=0.01)
    expected = train(theirs, adam, lambda: nn.utils.clip_grad_norm_(theirs.parameters(), 0.1))
    by_torch = train(ours, joined, lambda: nn.utils.clip_grad_norm_(ours.parameters(), 0.1), clear=ours.zero_grad)
    torch.testing.assert_close(by_torch, expected)


def test_a_gradient_cleared_by_the_network_is_clipped_by_the_optimizer():
    network = make_network()
    optimizer = JoinedAdam(network.parameters(), lr=0.01)
    network.zero_grad()
    network(OBS).sum().backward()
    optimizer.clip_gradient(0.25)
    torch.testing.assert_close(optimizer.grad.norm(), torch.tensor(0.25))


def test_weights_keep_their_shapes_and_can_be_loaded_and_copied():
    network, other = make_network(), nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2))
    optimizer = JoinedAdam(network.parameters(), lr=0.01)
    network.load_state_dict(other.state_dict())
    torch.testing.assert_close(optimizer.joined[:15].reshape(5, 3), other[0].weight)
    kept = copy.deepcopy(network)
    train(network, optimizer, lambda: None)
    torch.testing.assert_close(kept[0].weight, other[0].weight)
    assert not torch.allclose(network[0].weight, kept[0].weight)


def test_parameters_that_do_not_fit_into_one_vector_are_refused_and_stay_what_they_are():
    mixed = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 1).double())
    with pytest.raises(ConfigError, match=r"one dtype on one device.*float32.*float64"):
        JoinedAdam(mixed.parameters(), lr=0.1)
    assert [layer.weight.dtype for layer in mixed] == [torch.float32, torch.float64]
