"""Environments by name: gymnasium's own, MinAtar, Atari, MuJoCo, and ours.

Our own ids begin with `arena/`. They and MinAtar's are known here, and need no registration before.

Raises:  UnknownNameError for an id that isn't known, with the nearest ones; MissingDependencyError for one whose
         package is not installed, with the extra that brings it; ConfigError for a number of environments below 1, or
         wrappers and autoreset modes that an environment can't have.
"""

import logging
import os
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec, load_env_creator
from gymnasium.error import DependencyNotInstalled
from gymnasium.vector import AutoresetMode

from arena_lib.errors import ConfigError, MissingDependencyError, UnknownNameError
from arena_lib.rl.environments.cartpole import LIMIT
from arena_lib.rl.environments.minatar import GAMES, MAX_STEPS
from arena_lib.rl.environments.serial import SerialVectorEnv

Wrapper = Callable[[gym.Env], gym.Env]
Maker = Callable[[], gym.Env]

HERE = "arena_lib.rl.environments"
PROBES = {f"arena/{name}-v0": f"{HERE}.probes:{name}" for name in [f"Probe{number}" for number in range(1, 9)]}
CONTINUOUS_PROBES = {f"arena/ContinuousProbe{number}-v0": f"{HERE}.probes:ContinuousProbe{number}" for number in (4, 5)}
CARTS = {f"arena/{name}-v0": f"{HERE}.shaping:{name}" for name in ("EasyCart", "SpinCart", "ProgressCart")}
GRIDWORLDS = {
    f"arena/{name}-v0": f"{HERE}.gridworlds.named:{name}Gym"
    for name in ("CliffWalking", "FrozenLake", "Norvig", "Windy")
}
OWN = {
    **PROBES,
    **CONTINUOUS_PROBES,
    **CARTS,
    **GRIDWORLDS,
    "arena/Counting-v0": f"{HERE}.counting:CountingEnv",
    "arena/CartPole-v1": "gymnasium.envs.classic_control.cartpole:CartPoleEnv",
    **{f"MinAtar/{name}-v{version}": f"{HERE}.minatar:MinAtarEnv" for name in GAMES for version in (0, 1)},
}
"""Our own environments by id, each with its class as "module:name"; MinAtar's too, which are made our own way."""

OWN_OPTIONS: dict[str, dict[str, Any]] = {
    f"MinAtar/{name}-v{version}": {"game": game, "has_all_actions": version == 0}
    for name, game in GAMES.items()
    for version in (0, 1)
}
"""Arguments of the classes above."""

VECTORS = {"arena/CartPole-v1": f"{HERE}.cartpole:VectorCartPole"}
"""For some ids a class that steps all environments at once."""

OWN_LIMITS: dict[str, int] = {
    **dict.fromkeys(["arena/CartPole-v1", *CARTS], LIMIT),
    **dict.fromkeys(OWN_OPTIONS, MAX_STEPS),
    **dict.fromkeys(["arena/CliffWalking-v0", "arena/Windy-v0"], 1000),
}
"""For those of our own that don't end by themselves, after how many steps they are truncated."""

BROUGHT_BY = {"gymnasium.envs.box2d": ("Box2D", "box2d"), "gymnasium.envs.mujoco": ("mujoco", "mujoco")}
"""By where an environment's class lies: the module that it needs, and the package that brings it."""


def list_environments() -> list[str]:
    """Return the ids of all environments that `make_env` knows, also of those whose package isn't installed."""
    return sorted({*gym.registry, *OWN})


def make_env(env_id: str | Maker, *, render_mode: str | None = None, wrappers: Sequence[Wrapper] = ()) -> gym.Env:
    """Make one environment, and put `wrappers` around it, the first one innermost.

    `env_id` may also be a function without arguments that makes it; it is called as it is, without `render_mode`.

    >>> make_env("arena/Probe3-v0").reset(seed=0)[0]
    array([0.], dtype=float32)
    """
    env = env_id() if callable(env_id) else _make(env_id, render_mode)
    for wrap in wrappers:
        env = wrap(env)
    return env


def make_vector_env(
    env_id: str | Maker,
    n_envs: int,
    *,
    mode: AutoresetMode = AutoresetMode.SAME_STEP,
    wrappers: Sequence[Wrapper] = (),
) -> gym.vector.VectorEnv:
    """Make `n_envs` environments that step together in this process: one after another, or as arrays at once.

    "arena/CartPole-v1" is the one that steps at once; it takes no wrappers.
    """
    if isinstance(n_envs, bool) or not isinstance(n_envs, int) or n_envs < 1:
        raise ConfigError(f"n_envs must be a whole number of at least 1: got {n_envs!r}. Pass for example n_envs=4.")
    if isinstance(env_id, str) and env_id in VECTORS:
        return _make_at_once(env_id, n_envs, mode, wrappers)
    makers = [lambda: make_env(env_id, wrappers=wrappers)] * n_envs
    return SerialVectorEnv(makers, autoreset_mode=mode)


def _make_at_once(env_id: str, n_envs: int, mode: AutoresetMode, wrappers: Sequence[Wrapper]) -> gym.vector.VectorEnv:
    if wrappers:
        raise ConfigError(
            f"wrappers must be empty for {env_id}, whose environments step at once: got {len(wrappers)}. "
            f"Use {env_id.removeprefix('arena/')}, or put a vector wrapper around it."
        )
    make: Callable[..., Any] = load_env_creator(VECTORS[env_id])
    envs: gym.vector.VectorEnv = make(n_envs, autoreset_mode=mode)
    envs.spec = find_environment(env_id)
    return envs


def _make(env_id: str, render_mode: str | None) -> gym.Env:
    spec = find_environment(env_id)
    options: dict[str, Any] = {} if render_mode is None else {"render_mode": render_mode}
    if render_mode == "rgb_array":
        _draw_without_display()
    if "gymnasium.envs.mujoco" in str(spec.entry_point):
        _log_what_mujoco_warns_of()
    try:
        return gym.make(spec, **options)
    except DependencyNotInstalled as error:
        package = next((name for place, (_, name) in BROUGHT_BY.items() if place in str(spec.entry_point)), "pygame")
        raise MissingDependencyError(package, "rl", f"the environment {env_id}") from error
    except ModuleNotFoundError as error:  # what a package of the environment's needs, such as imageio for MuJoCo
        raise MissingDependencyError(str(error.name), "rl", f"the environment {env_id}") from error


def _draw_without_display() -> None:
    """Let MuJoCo and pygame draw into memory where Linux has no screen, unless the user's environment says how.

    MuJoCo's own choice would fail, and pygame's complains that there is no screen.
    """
    if sys.platform == "linux" and not {"DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys():
        os.environ.setdefault("MUJOCO_GL", "egl")
        os.environ.setdefault("SDL_VIDEODRIVER", "dummy")


def _log_what_mujoco_warns_of() -> None:
    """Send MuJoCo's warnings to Python's log; by itself it writes a file, MUJOCO_LOG.TXT, into whatever folder one is in.

    That gymnasium's models use attributes which MuJoCo 4 calls deprecated is nothing that a user can change.
    """
    import mujoco

    def log(message: str) -> None:
        logging.getLogger("mujoco").log(logging.DEBUG if "deprecated" in message else logging.WARNING, message)

    if mujoco.get_mju_user_warning() is None:
        mujoco.set_mju_user_warning(log)


def find_environment(env_id: str) -> EnvSpec:
    """Return gymnasium's specification of an environment, which `gymnasium.make` takes too."""
    if env_id in OWN:
        options = OWN_OPTIONS.get(env_id, {})
        return EnvSpec(env_id, entry_point=OWN[env_id], max_episode_steps=OWN_LIMITS.get(env_id), kwargs=options)
    if env_id not in gym.registry and (env_id.startswith("ALE/") or "NoFrameskip-v" in env_id):
        _register_atari(env_id)
    if env_id in gym.registry:
        spec = gym.registry[env_id]
        for place, (module, package) in BROUGHT_BY.items():
            if place in str(spec.entry_point) and find_spec(module) is None:
                raise MissingDependencyError(package, "rl", f"the environment {env_id}")
        return spec
    raise UnknownNameError("environment", env_id, list_environments())


def _register_atari(env_id: str) -> None:
    try:
        import ale_py
    except ImportError as error:
        raise MissingDependencyError("ale-py", "rl", f"the environment {env_id}") from error
    gym.register_envs(ale_py)  # importing it is what registers; this says so
