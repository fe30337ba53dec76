"""Judges of shaped rewards, section 2.3."""

from typing import Any

import numpy as np
import torch
from gymnasium.envs.classic_control.cartpole import CartPoleEnv

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.checking.modules import Unfit
from arena_lib.checking.observing import Observations
from arena_lib.rl.environments import shaping

__test__ = False


def easy_cases(generator: torch.Generator) -> list[Case]:
    """A step of `EasyCart` from each of the states."""
    return state_cases("EasyCart")


def spin_cases(generator: torch.Generator) -> list[Case]:
    """A step of `SpinCart` from each of the states."""
    return state_cases("SpinCart")


def state_cases(cart: str) -> list[Case]:
    """States in the middle, at each edge, beyond it, and with the pole in any direction, spinning either way."""
    states = {
        "in the middle": (0.01, 0.0, 0.01, 0.1),
        "to the left, leaning right": (-1.3, 0.5, 0.1, -0.6),
        "to the right, leaning left": (2.0, -0.4, -0.19, 0.9),
        "the pole has fallen": (0.5, 0.2, 1.4, -5.0),
        "the pole spins fast": (-0.3, 0.1, 3.0, 11.0),
        "just beyond the right edge": (2.41, 0.3, 0.02, 2.0),
        "just beyond the left edge": (-2.43, -0.3, -0.05, -3.0),
        "far beyond both limits": (3.5, 0.3, 0.9, 0.4),
    }
    return [
        Case(
            label=label,
            call=f"{cart}().step({i % 2})  from the state {state}",
            given={"state": np.array(state), "action": i % 2},
        )
        for i, (label, state) in enumerate(states.items())
    ]


def two_steps(cls: Any, case: Case) -> Observations:
    """What two steps from a state give; the second one goes on after an end that only CartPole sees."""
    if not issubclass(cls, CartPoleEnv):
        raise Unfit(f"The class must be a subclass of CartPoleEnv: {cls.__name__} is none.")
    env = cls()
    env.reset(seed=0)
    env.state = case.given["state"].copy()
    seen: Observations = {}
    for which in ("first", "second"):
        result = env.step(case.given["action"])
        if not (isinstance(result, tuple) and len(result) == 5):
            raise Unfit("step must return obs, reward, terminated, truncated, info, as CartPoleEnv.step does.")
        obs, reward, terminated, truncated, _ = result
        seen |= {
            f"{which} step: observation": torch.as_tensor(np.asarray(obs)),
            f"{which} step: reward": float(reward),
            f"{which} step: terminated": bool(terminated),
            f"{which} step: truncated": bool(truncated),
        }
    return seen


def spins_on(cls: Any, case: Case) -> Observations:
    """As `two_steps`; and whether CartPole takes an episode for over that goes on, so that it will warn."""
    env = cls()
    env.reset(seed=0)
    env.state = case.given["state"].copy()
    terminated = env.step(case.given["action"])[2]
    return {
        **two_steps(cls, case),
        "CartPole would warn in the next step": bool(env.steps_beyond_terminated is not None and not terminated),
    }


class EasyCartAnew(CartPoleEnv):
    """Reads the state, and uses numpy."""

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """One step."""
        result = super().step(action)
        shares = np.abs(result[0][[0, 2]]) / np.array([self.x_threshold, self.theta_threshold_radians])
        return result[0], float(np.clip(1 - shares.mean(), 0, None)), *result[2:]


FIELDS = "an observation is position, velocity, angle, angular velocity"

test_easy_cart = exercise(
    reference=shaping.EasyCart,
    cases=easy_cases,
    observe=two_steps,
    accepts=[EasyCartAnew],
    mistakes=[
        *instead_of(
            "abs(position) / self.x_threshold / 2 + abs(angle) / self.theta_threshold_radians / 2",
            {
                "position / self.x_threshold / 2 + angle / self.theta_threshold_radians / 2": (
                    "forgets the absolute values",
                    "being left of the middle is as bad as being right of it",
                ),
                "abs(position) / self.x_threshold / 2": ("leaves the angle out", "position and angle count half each"),
                "abs(angle) / self.theta_threshold_radians / 2": (
                    "leaves the position out",
                    "position and angle count half each",
                ),
                "abs(position) / self.x_threshold + abs(angle) / self.theta_threshold_radians": (
                    "counts both distances whole",
                    "position and angle count half each",
                ),
                "abs(position) / self.x_threshold / 2 + abs(angle) / 0.2095 / 2": (
                    "rounds the angle's limit",
                    "self.theta_threshold_radians holds it, 12 degrees or 0.20944",
                ),
                "abs(position) / self.x_threshold / 2 + abs(angle) / (2 * self.theta_threshold_radians) / 2": (
                    "takes the angle's limit twice",
                    "the pole's limit is self.theta_threshold_radians, though observations may be twice as large",
                ),
                "abs(position) / 2 + abs(angle) / 2": (
                    "does not divide by the limits",
                    "each distance is a share of its limit, so that both matter alike",
                ),
                "abs(position) / self.theta_threshold_radians / 2 + abs(angle) / self.x_threshold / 2": (
                    "swaps the limits",
                    "x_threshold is the position's limit",
                ),
                "(position / self.x_threshold) ** 2 / 2 + (angle / self.theta_threshold_radians) ** 2 / 2": (
                    "squares the distances",
                    "the reward falls in a straight line: absolute values",
                ),
                "max(abs(position) / self.x_threshold, abs(angle) / self.theta_threshold_radians)": (
                    "takes the larger distance",
                    "position and angle count half each",
                ),
                "min(1, abs(position) / self.x_threshold) / 2 + min(1, abs(angle) / self.theta_threshold_radians) / 2": (
                    "bounds each distance before it adds them",
                    "only the reward has a bound: it's never below 0",
                ),
                "abs(position / self.x_threshold / 2 + angle / self.theta_threshold_radians / 2)": (
                    "takes the absolute value of the sum",
                    "to the left and leaning right are two distances: they don't cancel",
                ),
                "abs(position) / self.x_threshold / 2 * abs(angle) / self.theta_threshold_radians / 2": (
                    "multiplies the distances",
                    "position and angle count half each: they are added",
                ),
            },
        ),
        Mistake(
            "looks at the state before the step",
            "obs, _, terminated, truncated, info = super().step(action)\n        position, _, angle, _ = obs",
            "position, _, angle, _ = np.array(self.state)\n"
            "        obs, _, terminated, truncated, info = super().step(action)",
            why="a step is paid for what it led to: the observation after it",
        ),
        *instead_of(
            "position, _, angle, _ = obs",
            {
                "_, position, _, angle = obs": ("reads the velocities", FIELDS),
                "position, angle, _, _ = obs": ("takes the cart's velocity for the angle", FIELDS),
                "position, _, _, angle = obs": ("takes the pole's angular velocity for the angle", FIELDS),
            },
        ),
        *instead_of(
            "max(0.0, 1.0 - float(distance))",
            {
                "1.0 - float(distance)": ("lets the reward fall below 0", "the reward is never below 0"),
                "abs(1.0 - float(distance))": (
                    "turns rewards below 0 round",
                    "where the formula falls below 0 the reward is 0",
                ),
                "1.0 + max(0.0, 1.0 - float(distance))": (
                    "adds to CartPole's reward, and is never below 1",
                    "CartPole's reward is replaced by 1 minus the distance",
                ),
                "float(distance)": ("rewards the distance", "nearer is better: 1 minus the distance"),
                "1.0": ("keeps CartPole's reward", "the reward is 1 minus the distance"),
                "-float(distance)": ("charges for the distance", "the reward is 1 minus the distance"),
                "2.0 - float(distance)": (
                    "adds to CartPole's reward",
                    "CartPole's reward is replaced by 1 minus the distance",
                ),
                "0.0 if terminated else max(0.0, 1.0 - float(distance))": (
                    "pays nothing for the step that ends the episode",
                    "the formula holds for every step, also for the last",
                ),
            },
        ),
        Mistake(
            "never ends",
            "float(distance)), terminated, truncated, info",
            "float(distance)), False, truncated, info",
            why="everything but the reward stays as CartPole returns it",
        ),
    ],
)


SPIN_STEP = """obs, _, _, truncated, info = super().step(action)
        self.steps_beyond_terminated = None
        terminated = bool(abs(obs[0]) > self.x_threshold)
        reward = 0.0 if terminated else min(abs(float(obs[3]))"""


class SpinCartAnew(CartPoleEnv):
    """Forgets the end before the step, and reads the state after it."""

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """One step."""
        self.steps_beyond_terminated = None
        obs, _, _, truncated, info = super().step(action)
        self.steps_beyond_terminated = None
        is_out = not -self.x_threshold <= obs[0] <= self.x_threshold
        return obs, float(np.clip(abs(obs[3]) / 8, 0, 1)) * (not is_out), is_out, truncated, info


test_spin_cart = exercise(
    reference=shaping.SpinCart,
    cases=spin_cases,
    observe=spins_on,
    accepts=[SpinCartAnew],
    mistakes=[
        *instead_of(
            "bool(abs(obs[0]) > self.x_threshold)",
            {
                "bool(abs(obs[0]) > self.x_threshold or abs(obs[2]) > self.theta_threshold_radians)": (
                    "ends when the pole falls",
                    "a pole that may not fall can't spin: only the track's edge ends an episode",
                ),
                "bool(obs[0] > self.x_threshold)": ("looks at the right edge only", "the track has two edges"),
                "False": ("never ends", "a cart that has left the track is out"),
                "bool(abs(obs[0]) > self.theta_threshold_radians)": (
                    "takes the angle's limit for the track's",
                    "the track ends at x_threshold",
                ),
                "bool(abs(obs[2]) > self.theta_threshold_radians)": (
                    "ends only when the pole falls",
                    "a pole that may not fall can't spin: only the track's edge ends an episode",
                ),
            },
        ),
        Mistake(
            "pays for the angular speed before the step",
            SPIN_STEP,
            "before = float(self.state[3])\n        " + SPIN_STEP.replace("float(obs[3])", "before"),
            why="a step is paid for what it led to: the angular velocity after it",
        ),
        Mistake(
            "lets CartPole take the episode for over",
            "        self.steps_beyond_terminated = None\n",
            "",
            why="CartPole notes the pole's fall as an end, and warns in the next step: set steps_beyond_terminated to None",
        ),
        Mistake(
            "truncates instead of terminating",
            "return obs, reward, terminated, truncated, info",
            "return obs, reward, False, terminated, info",
            why="a cart that has left the track is out: the episode terminates",
        ),
        *instead_of(
            "min(abs(float(obs[3])), MAX_SPIN) / MAX_SPIN",
            {
                "max(0.0, min(float(obs[3]), MAX_SPIN)) / MAX_SPIN": (
                    "rewards one direction only",
                    "either direction counts: take the absolute value",
                ),
                "abs(float(obs[3])) / MAX_SPIN": ("has no upper bound", "above MAX_SPIN spinning faster pays no more"),
                "abs(float(np.tanh(obs[3] / MAX_SPIN)))": (
                    "bends the reward by tanh",
                    "the reward grows in a straight line up to MAX_SPIN",
                ),
                "min(float(obs[3]) ** 2, MAX_SPIN**2) / MAX_SPIN**2": (
                    "squares the angular speed",
                    "the reward grows in a straight line up to MAX_SPIN",
                ),
                "max(-MAX_SPIN, min(float(obs[3]), MAX_SPIN)) / MAX_SPIN": (
                    "charges for the other direction",
                    "either direction counts: take the absolute value",
                ),
                "1.0": ("keeps CartPole's reward", "the reward is the angular speed, divided by MAX_SPIN"),
                "1.0 + min(abs(float(obs[3])), MAX_SPIN) / MAX_SPIN": (
                    "adds to CartPole's reward",
                    "CartPole's reward is replaced by the angular speed, divided by MAX_SPIN",
                ),
                "min(abs(float(obs[3])), 1.0)": (
                    "bounds the speed at 1 instead of dividing it",
                    "the angular speed is at most MAX_SPIN, and is divided by it",
                ),
                "min(abs(float(obs[3])), MAX_SPIN)": ("does not divide by MAX_SPIN", "the reward is from 0 to 1"),
                "min(abs(float(obs[2])), MAX_SPIN) / MAX_SPIN": (
                    "rewards the angle",
                    "what is rewarded is the angular velocity, obs[3]",
                ),
                "min(abs(float(obs[1])), MAX_SPIN) / MAX_SPIN": (
                    "rewards the cart's velocity",
                    "what is rewarded is the pole's angular velocity, obs[3]",
                ),
            },
        ),
        *instead_of(
            "0.0 if terminated else ",
            {
                "": ("pays for leaving the track", "where the episode terminates the reward is 0"),
                "-1.0 if terminated else ": (
                    "charges for leaving the track",
                    "where the episode terminates the reward is 0",
                ),
            },
        ),
    ],
)
