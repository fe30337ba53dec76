"""Judges of the networks for pictures, MinAtar's and Atari's, section 2.3."""

import re
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.checking.observing import Observations
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


def _with(flat: str, convolution: str) -> str:
    """The first lines of MinAtar's network with another convolution, of which this many numbers come."""
    lines = MINATAR_EYES.replace("16 * (height - 2) * (width - 2)", flat)
    return lines.replace("16, kernel_size=3", convolution)


PARTS = r"Conv2d \d+ -> (\d+), kernel (\(.*?\)), stride (\(.*?\)), padding (\(.*?\))"
"""What the words for a convolution say: kernels, their size, stride, padding."""
MINATAR = [("16", "(3, 3)", "(1, 1)", "(0, 0)")]
ATARI = [
    ("32", "(8, 8)", "(4, 4)", "(0, 0)"),
    ("64", "(4, 4)", "(2, 2)", "(0, 0)"),
    ("64", "(3, 3)", "(1, 1)", "(0, 0)"),
]


def differs_in(part: int, right: Sequence[tuple[str, ...]]) -> Callable[[Sequence[Observations]], bool]:
    """Whether the convolutions are as many as they should be, and differ from these in this part alone, in each case."""

    def differs(seen: Sequence[Observations]) -> bool:
        words = [" ".join(case["layers of the actor"]) for case in seen]
        return all(_parts_that_differ(re.findall(PARTS, layers), right) == {part} for layers in words)

    return differs


def _parts_that_differ(convolutions: Sequence[tuple[str, ...]], right: Sequence[tuple[str, ...]]) -> set[int]:
    if len(convolutions) != len(right):
        return set()
    pairs = zip(convolutions, right, strict=True)
    return {part for own, asked in pairs for part in range(4) if own[part] != asked[part]}


def has_width_other_than(width: int) -> Callable[[Sequence[Observations]], bool]:
    """Whether the linear layer before the last one has another number of outputs, in each case."""

    def has_it(seen: Sequence[Observations]) -> bool:
        linear = [[w for w in case["layers of the actor"] if w.startswith("Linear")] for case in seen]
        return all(len(words) == 2 and not words[0].endswith(f"-> {width}") for words in linear)

    return has_it


MINATAR_EYES = """flat = 16 * (height - 2) * (width - 2)

    def make(n_outputs: int, gain: float) -> nn.Sequential:
        return nn.Sequential(
            init_layer(nn.Conv2d(channels, 16, kernel_size=3)),
"""
MINATAR_LAST = """            init_layer(nn.Linear(flat, 128)),
            nn.ReLU(),
            init_layer(nn.Linear(128, n_outputs), gain),
"""

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
        *(
            Mistake(name, MINATAR_EYES, _with(flat, convolution), why=why, shows=differs_in(part, MINATAR))
            for name, why, part, flat, convolution in [
                (
                    "pads the pictures",
                    "without padding each side becomes 2 smaller",
                    3,
                    "16 * height * width",
                    "16, kernel_size=3, padding=1",
                ),
                (
                    "takes kernels of another size",
                    "the kernels are 3 x 3",
                    1,
                    "16 * (height - 3) * (width - 3)",
                    "16, kernel_size=4",
                ),
                (
                    "moves the kernels by another stride",
                    "the stride is 1",
                    2,
                    "16 * ((height - 1) // 2) * ((width - 1) // 2)",
                    "16, kernel_size=3, stride=2",
                ),
                (
                    "makes another number of kernels",
                    "there are 16 kernels",
                    0,
                    "32 * (height - 2) * (width - 2)",
                    "32, kernel_size=3",
                ),
            ]
        ),
        *instead_of(
            MINATAR_LAST,
            {
                MINATAR_LAST.replace("            nn.ReLU(),\n", ""): (
                    "forgets the nonlinearity after the linear layer",
                    "two linear maps in a row are one: ReLU stands between them",
                ),
                "            init_layer(nn.Linear(flat, n_outputs), gain),\n": (
                    "has no linear layer between the convolution and the last layer",
                    "a linear layer with 128 outputs and ReLU stand before the last layer",
                ),
                MINATAR_LAST.replace("init_layer(nn.Linear(flat, 128))", "nn.Linear(flat, 128)"): (
                    "leaves the linear layer as torch made it",
                    "every layer is made by init_layer",
                ),
                MINATAR_LAST.replace("gain),\n", "gain),\n            nn.ReLU(),\n"): (
                    "ends in a ReLU",
                    "logits and values are unbounded: nothing follows the last layer",
                ),
            },
        ),
        Mistake(
            "gives the linear layer another width",
            MINATAR_LAST,
            MINATAR_LAST.replace("128", "64"),
            why="the linear layer before the last one has 128 outputs",
            shows=has_width_other_than(128),
        ),
        Mistake(
            "forgets to flatten",
            "            nn.Flatten(),\n",
            "",
            why="a linear layer reads one row of numbers for each picture: nn.Flatten stands before it",
            raises="RuntimeError",
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


FIRST = "init_layer(nn.Conv2d(obs_shape[0], 32, kernel_size=8, stride=4)),\n        nn.ReLU(),\n"
SECOND = "        init_layer(nn.Conv2d(32, 64, kernel_size=4, stride=2)),\n        nn.ReLU(),\n"
THIRD = "        init_layer(nn.Conv2d(64, 64, kernel_size=3, stride=1)),\n        nn.ReLU(),\n"
ALL = FIRST + SECOND + THIRD

test_get_actor_and_critic_atari = exercise(
    reference=networks.get_actor_and_critic_atari,
    cases=atari_cases,
    observe=networks_seen,
    accepts=[atari_by_arithmetic],
    equivalent={
        f"width = eyes(torch.zeros(1, *obs_shape)).shape[1] -> width = eyes(torch.zeros({n}, *obs_shape)).shape[1]": (
            "how many pictures it is tried on doesn't change the width"
        )
        for n in (0, 2)
    }
    | {
        "init_layer(nn.Conv2d(64, 64, kernel_size=3, stride=1)) -> init_layer(nn.Conv2d(64, 64, kernel_size=3))": (
            "a convolution moves by 1 where nothing else is said"
        )
    },
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
        *(
            Mistake(name, ALL, wrong, why=why, shows=differs_in(part, ATARI))
            for name, why, part, wrong in [
                (
                    "pads the pictures",
                    "the convolutions have no padding: a side of n becomes (n - kernel) // stride + 1",
                    3,
                    ALL.replace("stride=1", "stride=1, padding=1"),
                ),
                (
                    "takes kernels of another size",
                    "the kernels are 8 x 8, then 4 x 4, then 3 x 3",
                    1,
                    ALL.replace("kernel_size=4", "kernel_size=3"),
                ),
                (
                    "moves the kernels by another stride",
                    "the strides are 4, then 2, then 1",
                    2,
                    ALL.replace("stride=1", "stride=2"),
                ),
                (
                    "makes another number of kernels",
                    "there are 32 kernels, then 64, then 64",
                    0,
                    ALL.replace("64, kernel_size=4", "32, kernel_size=4").replace("(64, 64,", "(32, 64,"),
                ),
            ]
        ),
        *instead_of(
            ALL,
            {
                ALL.replace("8, stride=4", "4, stride=8").replace("4, stride=2", "2, stride=4").replace("=3", "=1"): (
                    "swaps the sizes of the kernels and the strides",
                    "the first kernels are 8 x 8 and move by 4, the second 4 x 4 by 2",
                ),
                ALL.replace("        nn.ReLU(),\n", ""): (
                    "forgets the nonlinearities after the convolutions",
                    "linear maps in a row are one: ReLU follows each convolution",
                ),
                ALL.replace("ReLU", "Tanh"): ("uses tanh after the convolutions", "for pictures it is ReLU"),
                FIRST + SECOND: ("has two convolutions", "a third one, of 64 kernels of 3 x 3, follows"),
            },
        ),
        Mistake(
            "gives the trunk's linear layer another width",
            "init_layer(nn.Linear(width, 512)), nn.ReLU())\n    actor = nn.Sequential(trunk, init_layer(nn.Linear(512, n_actions),"
            " GAIN_ACTOR))\n    critic = nn.Sequential(trunk, init_layer(nn.Linear(512, 1),",
            "init_layer(nn.Linear(width, 256)), nn.ReLU())\n    actor = nn.Sequential(trunk, init_layer(nn.Linear(256, n_actions),"
            " GAIN_ACTOR))\n    critic = nn.Sequential(trunk, init_layer(nn.Linear(256, 1),",
            why="the trunk's linear layer has 512 outputs",
            shows=has_width_other_than(512),
        ),
        *instead_of(
            "return actor, critic",
            {
                "return critic, actor": ("returns the critic first", "the order is actor, critic"),
                "return actor, actor": (
                    "returns the actor twice",
                    "the critic has a last layer of its own, with one output",
                ),
            },
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
