"""What an agent does, as a moving picture that a notebook shows by itself.

    video = record(trainer.policy(), "CartPole-v1")
    video                                  # shown, where it is a cell's last line
    video.save("cartpole.webp")            # or .gif

Shapes:  frames "n_frames height width 3", bytes
Raises:  MissingDependencyError without pillow; ConfigError for an environment without pictures, or another kind of file.
"""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from arena_lib.errors import ConfigError, MissingDependencyError
from arena_lib.rl.environments.making import Maker, Wrapper, make_env
from arena_lib.rl.training.evaluation import EVALUATION_SEED, Policy

WIDTH = 320
"""Pictures are made no wider than this."""
MOST_FRAMES_PER_SECOND = 25
FORMATS = {".webp": "WEBP", ".gif": "GIF"}
DEFAULT_FRAMES_PER_SECOND = 30
"""Of an environment that doesn't say."""


@dataclass(frozen=True, eq=False)
class Video:
    """Pictures of episodes, one after another."""

    frames: np.ndarray
    """Bytes "n_frames height width 3"."""
    frames_per_second: float
    returns: tuple[float, ...]
    """What each episode brought; the last one may have been cut."""

    def save(self, path: str | Path) -> Path:
        """Write an animation, as the name's ending says: .webp (small) or .gif."""
        target = Path(path)
        if target.suffix not in FORMATS:
            raise ConfigError(f"a video must be a {' or '.join(FORMATS)}: got {target.name!r}. Change the ending.")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(self._encode(FORMATS[target.suffix]))
        return target

    def __repr__(self) -> str:
        seconds = len(self.frames) / self.frames_per_second
        return f"Video({len(self.frames)} frames, {seconds:.1f} s, returns {self._say_returns()})"

    def _repr_html_(self) -> str:
        data = base64.b64encode(self._encode("WEBP")).decode()
        caption = f"return {self._say_returns()}"
        return (
            f'<figure style="margin:0"><img alt="the agent, {caption}" src="data:image/webp;base64,{data}">'
            f"<figcaption>{caption}</figcaption></figure>"
        )

    def _say_returns(self) -> str:
        return ", ".join(f"{total:.1f}" for total in self.returns)

    def _encode(self, kind: str) -> bytes:
        image = _pillow()
        pictures = [image.fromarray(frame) for frame in self.frames]
        stream = io.BytesIO()
        milliseconds = round(1000 / self.frames_per_second)
        pictures[0].save(
            stream, kind, save_all=True, append_images=pictures[1:], duration=milliseconds, loop=0, quality=70
        )
        return stream.getvalue()


def record(
    policy: Policy,
    env_id: str | Maker,
    *,
    n_episodes: int = 1,
    max_steps: int = 1_000,
    seed: int = EVALUATION_SEED,
    wrappers: Sequence[Wrapper] = (),
) -> Video:
    """Let `policy` play, at most `max_steps` steps in all, and take pictures.

    An environment that shows more than 25 pictures a second gets every second, third ... one. One made by
    a function must have been made with render_mode="rgb_array".
    """
    env = make_env(env_id, render_mode="rgb_array", wrappers=wrappers)
    if env.render_mode != "rgb_array":
        raise ConfigError(
            f'an environment must be made with render_mode="rgb_array" to be recorded: {env_id} has '
            f"{env.render_mode!r}. Give its id, or make it so."
        )
    speed = float(env.metadata.get("render_fps") or DEFAULT_FRAMES_PER_SECOND)
    every = max(int(np.ceil(speed / MOST_FRAMES_PER_SECOND)), 1)
    frames, returns, n_steps = [], [], 0
    for episode in range(n_episodes):
        obs, _ = env.reset(seed=seed + episode)
        frames.append(_shrink(env.render()))
        total, is_over = 0.0, False
        while not is_over and n_steps < max_steps:
            obs, reward, terminated, truncated, _ = env.step(policy(np.asarray(obs)[None])[0])
            total, is_over, n_steps = total + float(reward), terminated or truncated, n_steps + 1
            if n_steps % every == 0 or is_over:
                frames.append(_shrink(env.render()))
        returns.append(total)
        if n_steps >= max_steps:
            break
    env.close()
    return Video(np.stack(frames), speed / every, tuple(returns))


def _shrink(picture: Any) -> np.ndarray:
    frame = np.asarray(picture, dtype=np.uint8)
    if frame.shape[1] <= WIDTH:
        return frame
    height = round(frame.shape[0] * WIDTH / frame.shape[1])
    return np.asarray(_pillow().fromarray(frame).resize((WIDTH, height)))


def _pillow() -> Any:
    if find_spec("PIL") is None:
        raise MissingDependencyError("pillow", "rl", "a video")
    from PIL import Image

    return Image
