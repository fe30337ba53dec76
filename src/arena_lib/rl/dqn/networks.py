"""Networks that give a value to every action, for vectors and for pictures.

Shapes:  obs "batch *obs_shape" -> action values "batch n_actions"
Raises:  ConfigError for sizes that can't work.
Source:  Mnih et al. 2015, Nature 518 (one output for each action); Young and Tian 2019, arXiv:1903.03176,
         section 3 (the convolutional network).
Differs: the hidden sizes 120 and 84 for vectors are usual for CartPole, not from a paper.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from arena_lib.errors import ConfigError


class QNetwork(nn.Module):
    """Action values from a vector: linear layers with a ReLU between them, and none after the last.

    `hidden_sizes` are the widths of the hidden layers, in order; a network for 4 numbers and 2 actions with the default
    sizes has linear layers 4 to 120, 120 to 84 and 84 to 2, each with a bias. `layers` holds them in one nn.Sequential.
    `obs_shape` has one entry, the length of an observation. `forward` gives one value for each action; a value may be
    any number, so nothing squeezes it into a range.
    """

    def __init__(self, obs_shape: tuple[int, ...], n_actions: int, hidden_sizes: Sequence[int] = (120, 84)) -> None:
        super().__init__()
        if len(obs_shape) != 1:
            raise ConfigError(
                f"QNetwork takes observations that are vectors: got obs_shape {tuple(obs_shape)}. "
                "Use ConvQNetwork for pictures (channel, height, width)."
            )
        sizes = [obs_shape[0], *hidden_sizes, n_actions]
        parts: list[nn.Module] = []
        for d_in, d_out in pairwise(sizes):
            parts += [nn.Linear(d_in, d_out), nn.ReLU()]
        self.layers = nn.Sequential(*parts[:-1])

    def forward(self, obs: Float[Tensor, "batch d_obs"]) -> Float[Tensor, "batch n_actions"]:
        """One value for each action."""
        return self.layers(obs)


class ConvQNetwork(nn.Module):
    """Action values from a small picture: one convolution, one hidden layer, one output for each action."""

    def __init__(self, obs_shape: tuple[int, ...], n_actions: int, hidden_sizes: Sequence[int] = (128,)) -> None:
        super().__init__()
        if len(obs_shape) != 3 or min(obs_shape[1:]) < 3:
            raise ConfigError(
                "ConvQNetwork takes pictures (channel, height, width) of at least 3 x 3: "
                f"got obs_shape {tuple(obs_shape)}. Use QNetwork for vectors."
            )
        channel, height, width = obs_shape
        self.conv = nn.Conv2d(channel, 16, kernel_size=3)
        d_flat = math.prod((16, height - 2, width - 2))
        self.head = QNetwork((d_flat,), n_actions, hidden_sizes)

    def forward(self, obs: Float[Tensor, "batch channel height width"]) -> Float[Tensor, "batch n_actions"]:
        """One value for each action."""
        return self.head(F.relu(self.conv(obs)).flatten(1))


class DuelingQNetwork(nn.Module):
    """A network with two heads: one says what the state is worth, the other how actions differ; see `combine_streams`."""

    def __init__(self, obs_shape: tuple[int, ...], n_actions: int, hidden_sizes: Sequence[int] = (120, 84)) -> None:
        super().__init__()
        if len(hidden_sizes) < 1:
            raise ConfigError(
                f"a dueling network needs a hidden layer: got hidden_sizes {tuple(hidden_sizes)}. Give one."
            )
        *earlier, last = hidden_sizes
        self.trunk = QNetwork(obs_shape, last, earlier)
        self.value = nn.Linear(last, 1)
        self.advantage = nn.Linear(last, n_actions)

    def forward(self, obs: Float[Tensor, "batch d_obs"]) -> Float[Tensor, "batch n_actions"]:
        """One value for each action."""
        hidden = F.relu(self.trunk(obs))
        return combine_streams(self.value(hidden), self.advantage(hidden))


def combine_streams(
    state_values: Float[Tensor, "batch 1"], advantages: Float[Tensor, "batch n_actions"]
) -> Float[Tensor, "batch n_actions"]:
    """Action values from the value of the state and the advantage of each action (Wang et al. 2016, equation 9).

    Q(s, a) = V(s) + A(s, a) - the mean of A(s, a') over the actions a'

    Without the mean, V and A couldn't be told apart: adding 1 to one and taking it from the other gives the same Q.
    The mean is taken for each observation by itself. Gradients flow to both heads, through the mean too.

    >>> import torch
    >>> combine_streams(torch.tensor([[10.0]]), torch.tensor([[1.0, 3.0]]))
    tensor([[ 9., 11.]])
    """
    return state_values + advantages - advantages.mean(dim=-1, keepdim=True)
