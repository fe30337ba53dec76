"""Actors and critics for PPO: small perceptrons for vectors, convolutions for pictures, a Gaussian for continuous actions.

Shapes:  obs "batch d_obs" or "batch channel height width" -> logits "batch n_actions", values "batch 1"
Raises:  ShapeError for observations that no network here takes.
Source:  Schulman et al. 2017, arXiv:1707.06347, section 6.1 (two layers of 64 with tanh; log std apart from the state);
         Engstrom et al. 2020, arXiv:2005.12729, section 3 (orthogonal initialisation); Andrychowicz et al. 2021,
         arXiv:2006.05990, section 3.2 (a last actor layer 100 times smaller); Mnih et al. 2015 (Atari's network);
         Young and Tian 2019, arXiv:1903.03176, section 4 (MinAtar's network).
Differs: MinAtar's actor and critic share nothing; its nonlinearity is ReLU as in the paper, its initialisation is PPO's.
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn
from torch.distributions import Normal

from arena_lib.errors import ShapeError

HIDDEN = 64
"""Width of both hidden layers (Schulman et al. 2017, section 6.1)."""
GAIN_HIDDEN = math.sqrt(2)
GAIN_ACTOR = 0.01
GAIN_CRITIC = 1.0


def init_layer(layer: nn.Linear | nn.Conv2d, gain: float = GAIN_HIDDEN) -> nn.Linear | nn.Conv2d:
    """Give `layer` an orthogonal weight times `gain` (all its singular values are `gain`), and biases of zero; returns it."""
    nn.init.orthogonal_(layer.weight, gain)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer


def get_actor_and_critic_classic(d_obs: int, n_actions: int) -> tuple[nn.Sequential, nn.Sequential]:
    """The actor and the critic for observations that are vectors.

    Each is an `nn.Sequential` of its own: linear layer, `nn.Tanh`, linear layer, `nn.Tanh`, linear layer. The hidden
    layers have 64 outputs. The actor ends in n_actions logits, the critic in one value. They share no weights.

    Every weight is an orthogonal matrix times a gain, and every bias is zero, as `init_layer(layer, gain)` makes them. The
    gain is sqrt(2) for hidden layers, 0.01 for the actor's last layer and 1 for the critic's last layer.

    >>> actor, critic = get_actor_and_critic_classic(4, 2)
    >>> sum(p.numel() for p in actor.parameters()), sum(p.numel() for p in critic.parameters())
    (4610, 4545)
    """

    def make(n_outputs: int, gain: float) -> nn.Sequential:
        return nn.Sequential(
            init_layer(nn.Linear(d_obs, HIDDEN)),
            nn.Tanh(),
            init_layer(nn.Linear(HIDDEN, HIDDEN)),
            nn.Tanh(),
            init_layer(nn.Linear(HIDDEN, n_outputs), gain),
        )

    return make(n_actions, GAIN_ACTOR), make(1, GAIN_CRITIC)


def get_actor_and_critic_minatar(
    obs_shape: tuple[int, int, int], n_actions: int
) -> tuple[nn.Sequential, nn.Sequential]:
    """The actor and the critic for MinAtar's pictures: obs "batch channel height width", a plane for each kind of thing.

    Each is an `nn.Sequential` of its own: a convolution with 16 kernels of 3 x 3 (stride 1, no padding), `nn.ReLU`,
    `nn.Flatten`, a linear layer with 128 outputs, `nn.ReLU`, and a last linear layer with n_actions logits or one
    value. They share no weights.

    `obs_shape` is (channel, height, width). Every layer is made by `init_layer` (orthogonal weights, biases of zero), with
    gain sqrt(2), except the last layers: 0.01 for the actor, 1 for the critic.
    """
    channels, height, width = obs_shape
    flat = 16 * (height - 2) * (width - 2)

    def make(n_outputs: int, gain: float) -> nn.Sequential:
        return nn.Sequential(
            init_layer(nn.Conv2d(channels, 16, kernel_size=3)),
            nn.ReLU(),
            nn.Flatten(),
            init_layer(nn.Linear(flat, 128)),
            nn.ReLU(),
            init_layer(nn.Linear(128, n_outputs), gain),
        )

    return make(n_actions, GAIN_ACTOR), make(1, GAIN_CRITIC)


class ScalePixels(nn.Module):
    """Turns bytes from 0 to 255 into numbers from 0 to 1."""

    def forward(self, obs: Shaped[Tensor, "batch channel height width"]) -> Float[Tensor, "batch channel height width"]:
        """Floats: obs / 255."""
        return obs.float() / 255.0


def get_actor_and_critic_atari(obs_shape: tuple[int, int, int], n_actions: int) -> tuple[nn.Sequential, nn.Sequential]:
    """The actor and the critic for Atari's pictures: obs "batch channel height width", bytes from 0 to 255.

    They share their `trunk`, the very same module, and differ in their last layer: actor = Sequential(trunk, linear
    layer to n_actions), critic = Sequential(trunk, linear layer to 1). The trunk is an `nn.Sequential`: `ScalePixels()`,
    which makes numbers from 0 to 1 of the bytes;
    convolutions with 32 kernels of 8 x 8 and stride 4, 64 of 4 x 4 and stride 2, 64 of 3 x 3 and stride 1, without
    padding, each followed by `nn.ReLU`; `nn.Flatten`; a linear layer with 512 outputs; `nn.ReLU`.

    `obs_shape` is (channel, height, width). Each convolution makes of a side of length n one of length
    (n - kernel) // stride + 1. Every layer is made by `init_layer` (orthogonal weights, biases of zero), with gain
    sqrt(2), except the last layers: 0.01 for the actor, 1 for the critic.
    """
    eyes = nn.Sequential(
        ScalePixels(),
        init_layer(nn.Conv2d(obs_shape[0], 32, kernel_size=8, stride=4)),
        nn.ReLU(),
        init_layer(nn.Conv2d(32, 64, kernel_size=4, stride=2)),
        nn.ReLU(),
        init_layer(nn.Conv2d(64, 64, kernel_size=3, stride=1)),
        nn.ReLU(),
        nn.Flatten(),
    )
    width = eyes(torch.zeros(1, *obs_shape)).shape[1]
    trunk = nn.Sequential(*eyes, init_layer(nn.Linear(width, 512)), nn.ReLU())
    actor = nn.Sequential(trunk, init_layer(nn.Linear(512, n_actions), GAIN_ACTOR))
    critic = nn.Sequential(trunk, init_layer(nn.Linear(512, 1), GAIN_CRITIC))
    return actor, critic


class Actor(nn.Module):
    """A policy for continuous actions: a normal distribution whose mean depends on the observation.

    `mean` is an `nn.Sequential` as in `get_actor_and_critic_classic`: linear, tanh, linear, tanh (64 wide), linear to
    n_actions, with the same gains. `log_std` is a parameter "1 n_actions", zeros at the start: how far the policy tries
    things out is learned, but is the same for every observation.
    """

    def __init__(self, d_obs: int, n_actions: int) -> None:
        super().__init__()
        self.mean, _ = get_actor_and_critic_classic(d_obs, n_actions)
        self.log_std = nn.Parameter(torch.zeros(1, n_actions))

    def forward(
        self, obs: Float[Tensor, "batch d_obs"]
    ) -> tuple[Float[Tensor, "batch n_actions"], Float[Tensor, "batch n_actions"], Normal]:
        """The mean mu, the standard deviation sigma = exp(log_std), repeated for each observation, and Normal(mu, sigma)."""
        mu = self.mean(obs)
        sigma = self.log_std.exp().expand_as(mu)
        return mu, sigma, Normal(mu, sigma, validate_args=False)


class Critic(nn.Module):
    """A critic for vectors, with its network under the name `value`.

    `value` is the second network of the pair that `get_actor_and_critic_classic(d_obs, n_actions)` returns. It doesn't
    depend on n_actions, so any number will do.
    """

    def __init__(self, d_obs: int) -> None:
        super().__init__()
        _, self.value = get_actor_and_critic_classic(d_obs, 1)

    def forward(self, obs: Float[Tensor, "batch d_obs"]) -> Float[Tensor, "batch 1"]:
        """The value of each observation."""
        value: Tensor = self.value(obs)
        return value


def get_actor_and_critic(obs_shape: Sequence[int], n_actions: int) -> tuple[nn.Sequential, nn.Sequential]:
    """The pair that fits observations of this shape: vectors, MinAtar's small pictures, or Atari's large ones."""
    if len(obs_shape) == 1:
        return get_actor_and_critic_classic(obs_shape[0], n_actions)
    if len(obs_shape) == 3:
        channels, height, width = obs_shape
        if min(height, width) >= SMALLEST_ATARI:
            return get_actor_and_critic_atari((channels, height, width), n_actions)
        if min(height, width) >= 3:
            return get_actor_and_critic_minatar((channels, height, width), n_actions)
    raise ShapeError(
        "PPO's networks take vectors, or pictures with channels first of at least 3 x 3: got observations of shape "
        f"{tuple(obs_shape)}. Flatten them, or put the channels first, with a wrapper."
    )


SMALLEST_ATARI = 36
"""The smallest side of which Atari's three convolutions leave anything."""
