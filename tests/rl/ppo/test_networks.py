"""Shapes, sizes and initial weights of PPO's networks."""

import math

import pytest
import torch
from torch import nn

from arena_lib.errors import ShapeError
from arena_lib.rl.ppo.networks import (
    Actor,
    Critic,
    get_actor_and_critic,
    get_actor_and_critic_atari,
    get_actor_and_critic_classic,
    get_actor_and_critic_minatar,
)


def gains(network: nn.Module) -> list[float]:
    """The largest singular value of each weight: an orthogonal one has no other."""
    weights = [p.detach().flatten(1) for p in network.parameters() if p.ndim > 1]
    singular = [torch.linalg.svdvals(w) for w in weights]
    for values in singular:
        torch.testing.assert_close(values, values[:1].expand_as(values), rtol=1e-4, atol=1e-5)
    return [round(float(values[0]), 4) for values in singular]


def test_weights_are_orthogonal_with_the_gains_of_the_paper_and_biases_are_zero():
    root = round(math.sqrt(2), 4)
    actor, critic = get_actor_and_critic_classic(4, 2)
    assert gains(actor) == [root, root, 0.01]
    assert gains(critic) == [root, root, 1.0]
    for network in (actor, critic):
        assert all(not p.any() for p in network.parameters() if p.ndim == 1)


def test_minatar_networks_take_small_pictures_and_share_nothing():
    actor, critic = get_actor_and_critic_minatar((7, 10, 11), 3)
    obs = torch.rand(5, 7, 10, 11)
    assert actor(obs).shape == (5, 3)
    assert critic(obs).shape == (5, 1)
    assert not {id(p) for p in actor.parameters()} & {id(p) for p in critic.parameters()}


def test_atari_networks_share_their_trunk_and_take_bytes():
    actor, critic = get_actor_and_critic_atari((4, 84, 84), 6)
    obs = torch.randint(0, 256, (2, 4, 84, 84), dtype=torch.uint8)
    assert actor(obs).shape == (2, 6)
    assert critic(obs).shape == (2, 1)
    assert actor[0] is critic[0]
    assert sum(p.numel() for p in actor[0].parameters()) == 1_684_128
    assert actor(obs).abs().max() < 1


def test_the_policy_of_continuous_actions_starts_wide_and_does_not_depend_on_the_observation():
    actor, critic = Actor(3, 2), Critic(3)
    mu, sigma, dist = actor(torch.randn(5, 3))
    assert mu.shape == sigma.shape == dist.mean.shape == (5, 2)
    assert (sigma == 1).all()
    assert actor.log_std.shape == (1, 2)
    assert critic(torch.randn(5, 3)).shape == (5, 1)
    dist.log_prob(mu).sum().backward()
    assert actor.log_std.grad is not None
    assert actor.log_std.grad.abs().sum() > 0


def test_the_network_is_chosen_by_the_shape_of_observations():
    assert get_actor_and_critic((4,), 2)[0][0].in_features == 4
    assert get_actor_and_critic((4, 10, 10), 3)[0][0].out_channels == 16
    assert len(get_actor_and_critic((4, 84, 84), 3)[0]) == 2
    with pytest.raises(ShapeError, match=r"got observations of shape \(2, 2\)"):
        get_actor_and_critic((2, 2), 3)
