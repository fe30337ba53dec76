"""Judges of the networks for pictures, MinAtar's and Atari's, section 2.3."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.errors import ConfigError
from arena_lib.rl.ppo import networks
from arena_lib.tests.ppo.networks import (
    GAIN_MISTAKES,
    INIT_MISTAKES,
    make_layer,
    networks_seen,
    test_get_actor_and_critic_classic,
)

__test__ = False


def minatar_cases(generator: torch.Generator) -> list[Case]:
    """Pictures that aren't square, and MinAtar's."""
    return [
        Case(label=label, args=(shape, n_actions), given={"obs": torch.rand(3, *shape, generator=generator)})
        for label, shape, n_actions in [("Breakout", (4, 10, 10), 3), ("a wider picture", (6, 9, 11), 5)]
    ]


def minatar_by_trial(obs_shape: tuple[int, int, int], n_actions: int) -> tuple[nn.Sequential, nn.Sequential]:
    """Finds the width after the convolution by trying it."""

    def make(n_outputs: int, gain: float) -> nn.Sequential:
        front = nn.Sequential(make_layer(nn.Conv2d(obs_shape[0], 16, 3)), nn.ReLU(), nn.Flatten())
        width = front(torch.zeros(1, *obs_shape)).shape[1]
        return nn.Sequential(
            *front, make_layer(nn.Linear(width, 128)), nn.ReLU(), make_layer(nn.Linear(128, n_outputs), gain)
        )

    return make(n_actions, 0.01), make(1, 1.0)


test_get_actor_and_critic_minatar = exercise(
    reference=networks.get_actor_and_critic_minatar,
    cases=minatar_cases,
    observe=networks_seen,
    accepts=[minatar_by_trial],
    mistakes=[
        *INIT_MISTAKES,
        *GAIN_MISTAKES,
        *instead_of(
            "init_layer(nn.Conv2d(channels, 16, kernel_size=3)),\n            nn.ReLU(),",
            {
                "nn.Conv2d(channels, 16, kernel_size=3),\n            nn.ReLU(),": (
                    "leaves the convolution as torch made it",
                    "every layer is made by init_layer, convolutions too",
                ),
                "init_layer(nn.Conv2d(channels, 16, kernel_size=3)),": (
                    "forgets the nonlinearity after the convolution",
                    "two linear maps in a row are one: ReLU stands between them",
                ),
                "init_layer(nn.Conv2d(channels, 16, kernel_size=3)),\n            nn.Tanh(),": (
                    "uses tanh",
                    "for pictures the nonlinearity is ReLU",
                ),
            },
        ),
        Mistake(
            "swaps height and width for the channels",
            "channels, height, width = obs_shape",
            "height, width, channels = obs_shape",
            why="the channels come first in obs_shape",
            raises="RuntimeError",
        ),
    ],
)


def atari_cases(generator: torch.Generator) -> list[Case]:
    """Bytes, in a square and in a wider picture."""
    cases = []
    for label, shape, n_actions in [("four frames", (4, 36, 44), 6), ("a wider picture", (2, 44, 60), 3)]:
        obs = torch.randint(0, 256, (2, *shape), generator=generator, dtype=torch.uint8)
        cases.append(Case(label=label, args=(shape, n_actions), given={"obs": obs, "bytes": 0.2}))
    return cases


def atari_by_arithmetic(obs_shape: tuple[int, int, int], n_actions: int) -> tuple[nn.Sequential, nn.Sequential]:
    """Follows the sides of the picture through the convolutions."""
    layers: list[nn.Module] = [networks.ScalePixels()]
    before, height, width = obs_shape
    for n_kernels, kernel, stride in [(32, 8, 4), (64, 4, 2), (64, 3, 1)]:
        layers += [make_layer(nn.Conv2d(before, n_kernels, kernel, stride)), nn.ReLU()]
        before, height, width = n_kernels, (height - kernel) // stride + 1, (width - kernel) // stride + 1
    last = make_layer(nn.Linear(64 * height * width, 512))
    trunk = nn.Sequential(*layers, nn.Flatten(), last, nn.ReLU())
    return (
        nn.Sequential(trunk, make_layer(nn.Linear(512, n_actions), 0.01)),
        nn.Sequential(trunk, make_layer(nn.Linear(512, 1), 1.0)),
    )


test_get_actor_and_critic_atari = exercise(
    reference=networks.get_actor_and_critic_atari,
    cases=atari_cases,
    observe=networks_seen,
    accepts=[atari_by_arithmetic],
    mistakes=[
        *INIT_MISTAKES,
        Mistake(
            "does not scale the pixels",
            "        ScalePixels(),\n",
            "",
            why="convolutions take floats, and bytes from 0 to 255 are far too large",
            raises="RuntimeError",
        ),
        Mistake(
            "makes floats of the pixels, but does not scale them",
            "        ScalePixels(),\n",
            "        type('Floats', (nn.Module,), {'forward': lambda self, obs: obs.float()})(),\n",
            why="numbers from 0 to 255 are far too large: divide by 255",
        ),
        Mistake(
            "gives each network a trunk of its own",
            "critic = nn.Sequential(trunk,",
            "import copy\n    critic = nn.Sequential(copy.deepcopy(trunk),",
            why="both read the same features, so that the expensive part is learned by both: pass the very same module",
        ),
        *instead_of(
            "init_layer(nn.Linear(512, n_actions), GAIN_ACTOR)",
            {
                "init_layer(nn.Linear(512, n_actions))": (
                    "gives the actor's last layer the gain of hidden layers",
                    "with a gain of 0.01 all actions begin about equally likely",
                ),
                "nn.Linear(512, n_actions)": (
                    "leaves the actor's last layer as torch made it",
                    "the last layers are made by init_layer too",
                ),
            },
        ),
        Mistake(
            "gives the critic's last layer the actor's gain",
            "init_layer(nn.Linear(512, 1), GAIN_CRITIC)",
            "init_layer(nn.Linear(512, 1), GAIN_ACTOR)",
            why="the critic's last layer has gain 1",
        ),
        Mistake("forgets a stride", ", stride=2", "", why="the second convolution moves by 2, the first by 4"),
        Mistake(
            "forgets the nonlinearity after the trunk's linear layer",
            "init_layer(nn.Linear(width, 512)), nn.ReLU())",
            "init_layer(nn.Linear(width, 512)))",
            why="two linear maps in a row are one",
        ),
        Mistake(
            "leaves the trunk's linear layer as torch made it",
            "init_layer(nn.Linear(width, 512)),",
            "nn.Linear(width, 512),",
            why="every layer is made by init_layer",
        ),
    ],
)


def test_get_actor_and_critic(get_actor_and_critic: Callable[..., Any], mode: str = "classic-control") -> None:
    """Networks for vectors or for pictures, under the name by which other notebooks call their test."""
    __tracebackhide__ = True
    judges = {"classic-control": test_get_actor_and_critic_classic, "atari": test_get_actor_and_critic_atari}
    if mode not in judges:
        raise ConfigError(
            f"mode must be one of {', '.join(judges)}: got {mode!r}. "
            "For continuous actions call test_actor(Actor) and test_critic(Critic)."
        )
    judges[mode](get_actor_and_critic)
