"""Judge of section 2.2's agent.

Shapes:  obs "n_envs *obs_shape"
"""

from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium.vector import AutoresetMode
from torch import Tensor, nn

from arena_lib.checking import Case, Mistake, Unfit, also_called, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.rl.dqn import agent
from arena_lib.rl.dqn.exploration import epsilon_greedy_policy, linear_schedule
from arena_lib.rl.dqn.replay import ReplayBuffer
from arena_lib.rl.environments.counting import CountingEnv
from arena_lib.rl.environments.stepping import Stepper

__test__ = False


class WavyValues(nn.Module):
    """Action values that go up and down with the observation."""

    def forward(self, obs: Tensor) -> Tensor:
        """Values "n_envs n_actions"."""
        return torch.cat([obs.sin(), obs.cos()], dim=-1)


def make_stepper(mode: AutoresetMode, n_envs: int = 2) -> Stepper:
    """Environments that count, with episodes of different lengths."""
    makers = [CountingEnv, lambda: CountingEnv((2, 5)), lambda: CountingEnv((1, 3))][:n_envs]
    return Stepper(gym.vector.SyncVectorEnv(makers, autoreset_mode=mode), seed=0)


def dqn_agent_cases(generator: torch.Generator) -> list[Case]:
    """Each autoreset mode; exploration that falls while the agent plays, and none."""
    runs = [
        ("epsilon falls", AutoresetMode.SAME_STEP, 3, (0.9, 0.1, 0.5, 40)),
        ("phantom steps", AutoresetMode.NEXT_STEP, 2, (1.0, 0.2, 0.8, 30)),
        ("resets by hand", AutoresetMode.DISABLED, 2, (0.7, 0.3, 1.0, 20)),
        ("no exploration", AutoresetMode.SAME_STEP, 2, (0.0, 0.0, 0.5, 20)),
    ]
    return [
        Case(
            label=label,
            call="DQNAgent(stepper, buffer, q_network, {}, {}, {}, {}, rng).play_step()".format(*exploration),
            given={"mode": mode, "n_envs": n_envs, "exploration": exploration},
        )
        for label, mode, n_envs, exploration in runs
    ]


def played(cls: Any, case: Case) -> Observations:
    """Twelve steps of an agent: what it chose, remembered and returned, and its epsilon."""
    if not isinstance(cls, type):
        raise Unfit(f"This test takes the class itself: got {type(cls).__name__}. Pass DQNAgent, without calling it.")
    stepper, buffer = make_stepper(case.given["mode"], case.given["n_envs"]), ReplayBuffer(200, (1,))
    q_network, rng = WavyValues(), np.random.default_rng(11)
    player = cls(stepper, buffer, q_network, *case.given["exploration"], rng)
    epsilons, episodes = [player.epsilon], []
    for _ in range(12):
        ended = player.play_step()
        if not isinstance(ended, list):
            raise Unfit(f"play_step must return stepper.finished(), a list of episodes: got {type(ended).__name__}.")
        episodes.append([(episode.env_idx, episode.length) for episode in ended])
        epsilons.append(float(player.epsilon))
    drawn_after_playing = float(rng.random())
    others = np.linspace(-2, 3, stepper.n_envs, dtype=np.float32)[:, None]
    stored = buffer.read(torch.arange(len(buffer)))
    return {
        "steps of the environments": stepper.n_steps,
        "epsilon after each step": epsilons,
        "transitions stored": len(buffer),
        "stored obs": stored.obs[:, 0],
        "stored next_obs": stored.next_obs[:, 0],
        "stored actions": stored.actions,
        "stored terminated": stored.terminated,
        "episodes that each step returned": episodes,
        "the next number that rng draws": drawn_after_playing,
        "actions of get_actions for other observations": player.get_actions(others),
    }


class AgentInOnePiece(agent.DQNAgent):
    """Stores what is real by hand."""

    def get_actions(self, obs: np.ndarray) -> np.ndarray:
        schedule = self.start_e, self.end_e, self.exploration_fraction, self.total_timesteps
        self.epsilon = linear_schedule(self.stepper.n_steps, *schedule)
        return epsilon_greedy_policy(self.stepper.envs, self.q_network, self.rng, obs, self.epsilon)

    def play_step(self) -> Any:
        step = self.stepper.step(self.get_actions(self.stepper.obs))
        real, buffer = step.is_real, self.buffer
        assert isinstance(buffer, ReplayBuffer)
        buffer.store(
            step.obs[real], step.actions[real], step.rewards[real], step.terminated[real], step.next_obs[real], 1
        )
        return self.stepper.finished()


STORE = "self.buffer.add(transition)"
FIELDS = "transition.obs, transition.actions, transition.rewards, transition.terminated, transition.next_obs"
REAL_FIELDS = ", ".join(f"{field}[transition.is_real]" for field in FIELDS.split(", "))

CHOICE = "epsilon_greedy_policy(self.stepper.envs, self.q_network, self.rng, obs, self.epsilon)"
SCHEDULE = "self.stepper.n_steps, self.start_e, self.end_e, self.exploration_fraction, self.total_timesteps"
COUNT = "        self.n_calls = getattr(self, 'n_calls', -1) + 1\n"

test_dqn_agent = exercise(
    reference=agent.DQNAgent,
    cases=dqn_agent_cases,
    observe=played,
    keep=["__init__"],
    accepts=[AgentInOnePiece],
    name="dqn_agent",
    mistakes=[
        *instead_of(
            STORE,
            {
                "pass": (
                    "remembers nothing",
                    "without a memory there is nothing to learn from: buffer.add(transition)",
                ),
                f"self.buffer.store({FIELDS}, 1)": (
                    "stores phantom steps",
                    "buffer.add leaves out the steps that only start a new episode; store takes whatever it gets",
                ),
                f"self.buffer.store({REAL_FIELDS.replace('transition.next_obs', 'self.stepper.obs')}, 1)": (
                    "stores what waits for the next action as next_obs",
                    "after an end that is the next episode's first observation; transition.next_obs is what the step led to",
                ),
                f"self.buffer.store({REAL_FIELDS.replace('terminated', 'done')}, 1)": (
                    "takes truncation for termination",
                    "a truncated episode would have gone on: only termination makes what follows worth nothing",
                ),
                "self.buffer.add(transition)\n        self.buffer.add(transition)": (
                    "stores every transition twice",
                    "one step gives one transition for each environment",
                ),
                "if not transition.done.any():\n            self.buffer.add(transition)": (
                    "stores no step in which an episode ended",
                    "each step is stored: an episode's last reward is often the one that matters",
                ),
                "if transition.is_real.all():\n            self.buffer.add(transition)": (
                    "stores no step in which an environment has a phantom",
                    "buffer.add leaves out the phantoms themselves; the other environments' steps are real",
                ),
            },
            within="DQNAgent.play_step",
        ),
        *instead_of(
            "return self.stepper.finished()",
            {
                "return []": ("returns no episodes", "stepper.finished() gives each episode once: return what it gave"),
                "ended, self.ended = getattr(self, 'ended', []), self.stepper.finished()\n        return ended": (
                    "asks for the ended episodes before the step",
                    "those that ended in this step are meant: call stepper.finished() after it",
                ),
                "self.ended = [*getattr(self, 'ended', []), *self.stepper.finished()]\n        return self.ended": (
                    "returns all episodes so far",
                    "each episode is returned once, by the step in which it ended",
                ),
            },
            within="DQNAgent.play_step",
        ),
        *instead_of(
            "transition = self.stepper.step(self.get_actions(self.stepper.obs))",
            {
                "transition = self.stepper.step(self.get_actions(self.stepper.obs))\n"
                "        transition = self.stepper.step(self.get_actions(self.stepper.obs))": (
                    "does two steps in one",
                    "each step that is done must be stored",
                ),
                "transition = self.stepper.step(self.get_actions(np.zeros_like(self.stepper.obs)))": (
                    "chooses actions without looking",
                    "actions are for stepper.obs, the observations that wait for them",
                ),
                "transition = self.stepper.step(self.get_actions(getattr(self, 'last_obs', self.stepper.obs)))\n"
                "        self.last_obs = transition.next_obs": (
                    "chooses actions for transition.next_obs",
                    "after an end that is the old episode's last observation; stepper.obs waits for the next actions",
                ),
                "self.get_actions(self.stepper.obs)\n"
                "        transition = self.stepper.step(self.get_actions(self.stepper.obs))": (
                    "asks for actions twice",
                    "rng draws at each call, so the actions that were chosen once are the ones to do",
                ),
            },
        ),
        *instead_of(
            "self.stepper.n_steps, self.start_e, self.end_e, self",
            {
                "self.stepper.n_steps, self.end_e, self.start_e, self": (
                    "swaps start_e and end_e",
                    "epsilon falls from start_e to end_e",
                ),
            },
            within="DQNAgent.get_actions",
        ),
        Mistake(
            "sets epsilon only after the choice",
            f"self.epsilon = linear_schedule(\n            {SCHEDULE}\n        )\n        return {CHOICE}",
            f"actions = {CHOICE}\n        self.epsilon = linear_schedule(\n            {SCHEDULE}\n        )\n"
            "        return actions",
            why="the actions are chosen with the epsilon of now: set it first",
        ),
        *instead_of(
            "        self.epsilon = linear_schedule(\n            self.stepper.n_steps,",
            {
                f"{COUNT}        self.epsilon = linear_schedule(\n            self.n_calls * self.stepper.n_envs,": (
                    "counts its calls, phantom steps too",
                    "stepper.n_steps counts the real steps; a phantom step only starts a new episode",
                ),
                f"{COUNT}        self.epsilon = linear_schedule(\n            self.n_calls,": (
                    "counts its calls",
                    "stepper.n_steps counts the steps of all environments, as total_timesteps does",
                ),
                "        self.epsilon = linear_schedule(\n            0,": (
                    "never lets epsilon fall",
                    "the schedule is asked for the steps so far, stepper.n_steps",
                ),
                "        self.epsilon = linear_schedule(\n            self.total_timesteps,": (
                    "begins with end_e",
                    "the schedule is asked for the steps so far, stepper.n_steps",
                ),
                "        self.epsilon = linear_schedule(\n            self.stepper.n_steps // self.stepper.n_envs,": (
                    "counts one step for all environments together",
                    "stepper.n_steps counts the steps of all environments, as total_timesteps does",
                ),
                "        self.epsilon = linear_schedule(\n            self.stepper.n_steps + self.stepper.n_envs,": (
                    "asks for the epsilon of the next step",
                    "the steps so far are those before this one",
                ),
            },
        ),
        *instead_of(
            f"return {CHOICE}",
            {
                "return epsilon_greedy_policy(self.stepper.envs, self.q_network, self.rng, obs, self.start_e)": (
                    "always explores as at the start",
                    "epsilon is what the schedule says now",
                ),
                "return epsilon_greedy_policy(self.stepper.envs, self.q_network, self.rng, obs, 0.0)": (
                    "never explores",
                    "with probability epsilon an action is random",
                ),
                "return epsilon_greedy_policy(\n"
                "            self.stepper.envs, self.q_network, np.random.default_rng(0), obs, self.epsilon\n        )": (
                    "makes a new generator at each call",
                    "a generator that begins anew draws the same numbers each time: use self.rng",
                ),
                "return epsilon_greedy_policy(\n"
                "            self.stepper.envs, self.q_network, self.rng, self.stepper.obs, self.epsilon\n        )": (
                    "looks at stepper.obs, whatever it is given",
                    "the observations are an argument of get_actions",
                ),
                f"epsilon, self.epsilon = self.epsilon, self.start_e\n        return {CHOICE.replace('self.epsilon', 'epsilon')}": (
                    "doesn't keep epsilon in self.epsilon",
                    "self.epsilon says the share of random actions at the last choice",
                ),
            },
        ),
    ],
)

test_agent = also_called(test_dqn_agent)
