"""What is put around an Atari game before an agent learns from it, and what that is for.

    make_env("BreakoutNoFrameskip-v4", wrappers=atari_wrappers())

About 1,300 steps a second on one core: ten million, as in the papers, are for a machine with a GPU.

Shapes:  obs "4 84 84", bytes from 0 to 255
Raises:  MissingDependencyError without opencv, which scales the pictures.
Source:  Mnih et al. 2015, Nature 518, "Preprocessing" and "Training details"; Machado et al. 2018, arXiv:1709.06009
         (on the loss of a life as an end).
"""

from importlib.util import find_spec
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.wrappers import AtariPreprocessing, FrameStackObservation, TransformReward

from arena_lib.errors import MissingDependencyError
from arena_lib.rl.environments.making import Wrapper

MOST_NOOPS = 30
"""Up to so many empty actions begin a game, so that games differ."""
FRAMES_PER_ACTION = 4
SIDE = 84
"""Pixels of the scaled picture's side."""


class LifeIsEpisode(gym.Wrapper):
    """Terminates an episode when a life is lost; the game itself begins anew only when it is over.

    So a lost life costs what was to come, and the agent still sees the later part of a game.
    """

    def __init__(self, env: gym.Env) -> None:
        super().__init__(env)
        self._lives, self._is_over = 0, True

    def reset(self, **options: Any) -> tuple[Any, dict[str, Any]]:
        """Begin a new game if the last is over, else go on with the next life by an empty action."""
        if self._is_over or options.get("seed") is not None:
            obs, info = self.env.reset(**options)
        else:
            obs, _, terminated, truncated, info = self.env.step(0)
            if terminated or truncated:
                obs, info = self.env.reset(**options)
        self._lives, self._is_over = self._count_lives(), False
        return obs, info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Do an action; a lost life terminates."""
        obs, reward, terminated, truncated, info = self.env.step(action)
        self._is_over = terminated or truncated
        lives = self._count_lives()
        has_lost_one, self._lives = lives < self._lives, lives
        return obs, reward, terminated or has_lost_one, truncated, info

    def _count_lives(self) -> int:
        return int(self.env.unwrapped.ale.lives())  # type: ignore[attr-defined]


class FireFirst(gym.Wrapper):
    """Begins every episode with the button that serves the ball, in games that have one."""

    def reset(self, **options: Any) -> tuple[Any, dict[str, Any]]:
        """Begin, and press the button."""
        obs, info = self.env.reset(**options)
        meanings = self.env.unwrapped.get_action_meanings()  # type: ignore[attr-defined]
        if "FIRE" not in meanings:
            return obs, info
        obs, _, terminated, truncated, info = self.env.step(meanings.index("FIRE"))
        return self.env.reset(**options) if terminated or truncated else (obs, info)


def atari_wrappers(*, is_training: bool = True, n_stacked: int = 4) -> list[Wrapper]:
    """The standard wrappers, innermost first; for evaluation without those that change rewards and ends.

    Always: up to 30 empty actions at first, each action for 4 frames, the larger of the last two frames, grey,
    84 x 84, the button that serves, the last `n_stacked` pictures. In training also: a lost life ends the episode, and
    of each reward only the sign counts.
    """
    if find_spec("cv2") is None:
        raise MissingDependencyError("opencv-python-headless", "rl", "scaling Atari's pictures")

    def preprocess(env: gym.Env) -> gym.Env:
        return AtariPreprocessing(
            env, noop_max=MOST_NOOPS, frame_skip=FRAMES_PER_ACTION, screen_size=SIDE, grayscale_obs=True
        )

    def take_signs(env: gym.Env) -> gym.Env:
        return TransformReward(env, lambda reward: float(np.sign(float(reward))))

    def stack(env: gym.Env) -> gym.Env:
        return FrameStackObservation(env, n_stacked)

    return [preprocess, LifeIsEpisode, FireFirst, take_signs, stack] if is_training else [preprocess, FireFirst, stack]
