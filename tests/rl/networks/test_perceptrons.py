import pytest
import torch
from torch import nn

from arena_lib.rl.networks.perceptrons import FEW, quicken

NETWORKS = {
    "tanh": lambda: nn.Sequential(nn.Linear(3, 7), nn.Tanh(), nn.Linear(7, 5), nn.Tanh(), nn.Linear(5, 2)),
    "relu": lambda: nn.Sequential(nn.Linear(3, 7), nn.ReLU(), nn.Linear(7, 2)),
    "no bias": lambda: nn.Sequential(nn.Linear(3, 2, bias=False)),
}


@pytest.mark.parametrize("make", NETWORKS.values(), ids=NETWORKS)
@pytest.mark.parametrize("batch", [1, FEW, FEW + 1])
def test_outputs_are_the_networks_and_carry_no_gradient(make, batch):
    network, obs = make(), torch.randn(batch, 3)
    quick = quicken(network)(obs)
    assert not quick.requires_grad
    torch.testing.assert_close(quick, network(obs).detach(), atol=1e-6, rtol=1e-5)


def test_it_follows_training():
    network, obs = NETWORKS["tanh"](), torch.randn(2, 3)
    quick = quicken(network)
    before = quick(obs)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    network(obs).sum().backward()
    optimizer.step()
    assert not torch.allclose(quick(obs), before, atol=1e-3)
    torch.testing.assert_close(quick(obs), network(obs).detach(), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(
    "network", [nn.Linear(3, 2), nn.Sequential(nn.Linear(3, 2), nn.Softmax(dim=-1))], ids=["no Sequential", "softmax"]
)
def test_other_networks_are_returned_as_they_are(network):
    assert quicken(network) is network


def test_weights_of_another_dtype_are_left_to_torch():
    network = nn.Sequential(nn.Linear(3, 2)).to(torch.bfloat16)
    assert quicken(network) is network
