"""MinAtar's five games: 10 x 10 pictures in which an agent learns in minutes what takes hours in Atari.

The package's own gymnasium class can't be used as it is: a seed only holds if it is given before the reset, the
last action survives a reset, an episode may go on for ever, and pictures need seaborn. Here a reset with a seed
decides everything, the first action of an episode repeats none, and `make_env` sets a limit of 5,000 steps.

    make_env("MinAtar/Breakout-v1")     the game's own actions; v0 has all six in each game

Shapes:  obs "channel height width": one plane for each kind of thing, 1.0 where it is
Raises:  MissingDependencyError without the package minatar.
Source:  Young and Tian 2019, arXiv:1903.03176 (sticky actions with probability 0.1, difficulty that ramps up).
Differs: channels come first, as convolutions want them; the limit of 5,000 steps.
"""

from functools import cache
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import gymnasium as gym
import numpy as np

from arena_lib.errors import MissingDependencyError

GAMES = {
    "Asterix": "asterix",
    "Breakout": "breakout",
    "Freeway": "freeway",
    "Seaquest": "seaquest",
    "SpaceInvaders": "space_invaders",
}
"""Each game by its name in an id, with its module in the package."""
MAX_STEPS = 5_000
"""After so many steps an episode is truncated."""
STICKINESS = 0.1
"""How often the last action is done again in place of the chosen one (section 2)."""
N_ACTIONS = 6
PIXELS = 24
"""Side of one square in a rendered picture."""
PALETTE = np.array(
    [
        [0, 114, 178], [230, 159, 0], [86, 180, 233], [213, 94, 0], [0, 158, 115],
        [204, 121, 167], [240, 228, 66], [153, 153, 153], [255, 255, 255], [148, 103, 189],
    ],
    dtype=np.uint8,
)  # fmt: skip
"""Okabe and Ito's colours, then three more: one for each plane."""


class MinAtarEnv(gym.Env):
    """One of MinAtar's games; `game` is its module in the package."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 15}  # noqa: RUF012  # gymnasium's own form

    def __init__(self, game: str, *, has_all_actions: bool = False, render_mode: str | None = None) -> None:
        self.render_mode = render_mode
        self._game: Any = load_game(game).Env(ramping=True)
        self._actions = list(range(N_ACTIONS)) if has_all_actions else self._game.minimal_action_set()
        height, width, n_channels = self._game.state_shape()
        self.observation_space = gym.spaces.Box(0.0, 1.0, (n_channels, height, width), np.float32)
        self.action_space = gym.spaces.Discrete(len(self._actions))
        self._random = np.random.RandomState()
        self._last_action = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin a game; with a seed, the one that the seed decides."""
        super().reset(seed=seed)
        if seed is not None:
            self._random = self._game.random = np.random.RandomState(seed)
        self._last_action = 0
        self._game.reset()
        return self._obs(), {}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Do an action, or one time in ten the last one again."""
        chosen = self._actions[action]
        if self._random.rand() >= STICKINESS:
            self._last_action = chosen
        reward, terminated = self._game.act(self._last_action)
        return self._obs(), float(reward), bool(terminated), False, {}

    def render(self) -> np.ndarray:
        """A picture "height width 3": earlier planes lie over later ones, and what is empty is dark."""
        picture = np.full((*self._game.state_shape()[:2], 3), 20, dtype=np.uint8)
        planes = np.moveaxis(self._game.state(), -1, 0).astype(bool)
        for plane, colour in reversed(list(zip(planes, PALETTE, strict=False))):
            picture[plane] = colour
        return picture.repeat(PIXELS, axis=0).repeat(PIXELS, axis=1)

    def _obs(self) -> np.ndarray:
        return np.ascontiguousarray(np.moveaxis(self._game.state(), -1, 0), dtype=np.float32)


@cache
def load_game(game: str) -> ModuleType:
    """Load a game's own file: the package's `__init__` would load matplotlib and seaborn, which no game needs."""
    package = find_spec("minatar")
    if package is None or not package.submodule_search_locations:
        raise MissingDependencyError("minatar", "rl", f"MinAtar's {game}")
    path = Path(package.submodule_search_locations[0]) / "environments" / f"{game}.py"
    spec = spec_from_file_location(f"minatar_{game}", path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
