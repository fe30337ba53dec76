"""The judge of shaping by a potential, section 2.3."""

from typing import Any

import gymnasium as gym
import numpy as np
import torch

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.checking.modules import Unfit
from arena_lib.checking.observing import Observations
from arena_lib.rl.environments import potentials

__test__ = False


class Walk(gym.Env):
    """Walks by what it is told, from where its seed says; it ends at 4 and beyond, and notes how it was reset."""

    observation_space = gym.spaces.Box(-50.0, 50.0, (2,), np.float32)
    action_space = gym.spaces.Discrete(5, start=-2)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.place, self.n_steps = float((seed or 0) % 3), 0
        self.was_reset_with = (seed, options)
        return self._obs(), {"begins at": self.place}

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.place, self.n_steps = self.place + action, self.n_steps + 1
        return self._obs(), 0.3 * self.place - 0.7, self.place >= 4, self.n_steps >= 5, {"steps": self.n_steps}

    def _obs(self) -> np.ndarray:
        return np.array([self.place, 10.0 * self.n_steps], np.float32)


def height(obs: np.ndarray) -> float:
    """The potential in the cases: nowhere 0, and different in every place and at every step."""
    return float(1.5 + 0.25 * obs[0] ** 2 - 0.04 * obs[1])


def walks(generator: torch.Generator) -> list[Case]:
    """Two episodes each, as lists of actions; they end, are cut short, or both at once."""
    episodes = {
        "an episode that terminates": ([[1, -1, 2, 2]], 1, 0.9),
        "an episode that is truncated": ([[1, -1, 1, -1, 1]], 2, 0.8),
        "terminated and truncated in the same step": ([[1, -1, 1, 1, 2]], 0, 0.7),
        "a second episode after the first": ([[2, -1, 1], [1, -2, 2]], 1, 0.95),
        "a reset before the end": ([[1, -1], [1, 1]], 2, 0.6),
        "no discount": ([[1, 0, -1, 1]], 1, 1.0),
    }
    return [
        Case(
            label=label,
            call=f"PotentialShaping(env, potential, {gamma})  with the actions {actions}",
            given={"actions": actions, "seed": seed, "gamma": gamma},
        )
        for label, (actions, seed, gamma) in episodes.items()
    ]


def shaped_walk(cls: Any, case: Case) -> Observations:
    """Everything that the wrapped walk returns, and what the walk itself was told at each reset."""
    if not issubclass(cls, gym.Wrapper):
        raise Unfit(f"The class must be a subclass of gym.Wrapper: {cls.__name__} is none.")
    walk = Walk()
    env = cls(walk, height, case.given["gamma"])
    seen: Observations = {}
    for episode, actions in enumerate(case.given["actions"], 1):
        options = {"episode": episode}
        obs, info = env.reset(seed=case.given["seed"] + episode - 1, options=options)
        seen |= {
            f"episode {episode}: first observation": torch.as_tensor(np.asarray(obs)),
            f"episode {episode}: info of the reset": info,
            f"episode {episode}: seed and options handed on": walk.was_reset_with
            == (case.given["seed"] + episode - 1, options),
        }
        for step, action in enumerate(actions, 1):
            result = env.step(action)
            if not (isinstance(result, tuple) and len(result) == 5):
                raise Unfit("step must return obs, reward, terminated, truncated, info, as self.env.step does.")
            obs, reward, terminated, truncated, info = result
            when = f"episode {episode}, step {step}"
            seen |= {
                f"{when}: reward": float(reward),
                f"{when}: observation": torch.as_tensor(np.asarray(obs)),
                f"{when}: terminated": bool(terminated),
                f"{when}: truncated": bool(truncated),
                f"{when}: info": info,
            }
    return seen


class KeepsTheObservation(gym.Wrapper):
    """Keeps the observation instead of its potential, and asks for both potentials at each step."""

    def __init__(self, env: gym.Env, potential: Any, gamma: float):
        super().__init__(env)
        self.phi, self.discount = potential, gamma

    def reset(self, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
        """Begin."""
        self.before, info = self.env.reset(**kwargs)
        return self.before, info

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """One step."""
        after, reward, terminated, *rest = self.env.step(action)
        gain = -self.phi(self.before)
        if not terminated:
            gain += self.discount * self.phi(after)
        self.before = after
        return after, reward + gain, terminated, *rest


END = "only where the episode has terminated can nothing come any more: there the potential counts as 0"
SHAPED = "float(reward) + self.gamma * potential - self.last_potential"

test_potential_shaping = exercise(
    reference=potentials.PotentialShaping,
    cases=walks,
    observe=shaped_walk,
    keep=["__init__"],
    accepts=[KeepsTheObservation],
    mistakes=[
        *instead_of(
            "0.0 if terminated else potential_of(self.potential, obs)",
            {
                "potential_of(self.potential, obs)": ("counts the potential of a terminal state", END),
                "0.0 if terminated or truncated else potential_of(self.potential, obs)": (
                    "takes truncation for an end",
                    END,
                ),
                "0.0 if truncated else potential_of(self.potential, obs)": ("swaps terminated and truncated", END),
                "0.0 if not terminated else potential_of(self.potential, obs)": (
                    "counts the potential at the end alone",
                    END,
                ),
            },
        ),
        *instead_of(
            SHAPED,
            {
                "float(reward) + potential - self.last_potential": (
                    "leaves gamma out",
                    "the potential after the step lies a step ahead, so it is discounted once",
                ),
                "float(reward) + potential - self.gamma * self.last_potential": (
                    "discounts the potential before the step",
                    "gamma belongs to the potential after the step",
                ),
                "float(reward) + self.gamma * (potential - self.last_potential)": (
                    "discounts both potentials",
                    "gamma belongs to the potential after the step alone",
                ),
                "float(reward) + self.last_potential - self.gamma * potential": (
                    "pays for what was lost",
                    "after minus before: a step that gains is paid",
                ),
                "self.gamma * potential - self.last_potential": (
                    "forgets the reward",
                    "shaping is added to what the environment pays",
                ),
                "float(reward) + self.gamma * potential": (
                    "pays for being there, not for getting there",
                    "the potential before the step is charged",
                ),
                "float(reward) + max(0.0, self.gamma * potential - self.last_potential)": (
                    "charges nothing for the way back",
                    "what a step loses must be charged, or an agent earns by going back and forth",
                ),
                "float(reward) + (0.0 if terminated else self.gamma * potential - self.last_potential)": (
                    "shapes no step that terminates",
                    "the potential before the last step is charged too; only the one after it counts as 0",
                ),
            },
        ),
        Mistake(
            "compares every step with the beginning",
            "        self.last_potential = potential\n",
            "",
            why="after each step its potential is kept, for the next one",
        ),
        Mistake(
            "keeps the potential before the next reward is worked out",
            f"shaped = {SHAPED}\n        self.last_potential = potential",
            f"self.last_potential = potential\n        shaped = {SHAPED}",
            why="the reward needs the potential before the step, so that is replaced last",
        ),
        *instead_of(
            "self.last_potential = potential_of(self.potential, obs)\n        return obs, info",
            {
                "self.last_potential = 0.0\n        return obs, info": (
                    "begins every episode with potential 0",
                    "the first step is charged the potential of the first observation",
                ),
                "self.last_potential = getattr(self, 'last_potential', potential_of(self.potential, obs))\n"
                "        return obs, info": (
                    "keeps the last episode's potential",
                    "each reset brings a first observation, with a potential of its own",
                ),
            },
        ),
        Mistake(
            "does not hand on seed and options",
            "self.env.reset(seed=seed, options=options)",
            "self.env.reset()",
            why="without its seed an episode can't be repeated",
        ),
        Mistake(
            "ends the episode where it is truncated",
            "return obs, shaped, terminated, truncated, info",
            "return obs, shaped, terminated or truncated, truncated, info",
            why="everything but the reward stays",
        ),
    ],
)
