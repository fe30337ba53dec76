"""Judge of section 2.2's rollout: steps of several environments, side by side.

Shapes:  obs "n_envs n_steps *obs_shape"; actions, logprobs "n_envs"
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, Unfit, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.rl.environments.stepping import Transition
from arena_lib.rl.policy_gradient import rollout
from arena_lib.rl.policy_gradient.rollout import Rollout

__test__ = False

FIELDS = ("obs", "next_obs", "actions", "logprobs", "rewards", "terminated", "truncated", "is_real")


def rollout_cases(generator: torch.Generator) -> list[Case]:
    """A full rollout and one that isn't; vectors and pictures as observations."""
    runs = [("a full rollout", 3, 4, 4, (2,)), ("half full", 2, 5, 2, (3,)), ("small pictures", 2, 3, 3, (2, 3))]
    cases = []
    for label, n_envs, max_steps, n_steps, shape in runs:
        steps = []
        for t in range(n_steps):
            obs, next_obs = torch.randn(2, n_envs, *shape, generator=generator).double().numpy()
            rewards = torch.randn(n_envs, generator=generator).double().numpy()
            flags = [np.arange(n_envs) == (t + i) % (n_envs + 1) for i in range(3)]
            actions = (np.arange(n_envs) + t) % 3
            step = Transition(obs, actions, rewards, next_obs, flags[0], flags[1], ~flags[2])
            steps.append((step, -torch.rand(n_envs, generator=generator)))
        given = {"init": (n_envs, max_steps, shape), "steps": steps}
        cases.append(
            Case(label=label, call="Rollout(n_envs, max_steps, obs_shape).add_step(transition, logprobs)", given=given)
        )
    return cases


def rollout_seen(cls: Any, case: Case) -> Observations:
    """What a rollout holds after each step was added."""
    if not isinstance(cls, type):
        raise Unfit(f"This test takes the class itself: got {type(cls).__name__}. Pass Rollout, without calling it.")
    filled = cls(*case.given["init"])
    for step, logprobs in case.given["steps"]:
        filled.add_step(step, logprobs.clone().requires_grad_())
    seen: Observations = {name: getattr(filled, name) for name in FIELDS}
    carries = bool(seen["logprobs"].requires_grad)
    seen["logprobs"] = seen["logprobs"].detach()
    return seen | {"n_steps": filled.n_steps, "the stored logprobs carry a graph": carries}


class RolloutByColumns(Rollout):
    """Writes column after column from one list."""

    def add_step(self, transition: Transition, logprobs: Tensor) -> None:
        for name in FIELDS:
            if name != "logprobs":
                target = getattr(self, name)
                target[:, self.n_steps] = torch.from_numpy(np.asarray(getattr(transition, name))).to(target.dtype)
        with torch.no_grad():
            self.logprobs[:, self.n_steps] = logprobs
        self.n_steps = self.n_steps + 1


LINES = {
    "obs": "self.obs[:, t] = as_floats(transition.obs)",
    "next_obs": "self.next_obs[:, t] = as_floats(transition.next_obs)",
    "actions": "self.actions[:, t] = torch.as_tensor(transition.actions)",
    "logprobs": "self.logprobs[:, t] = logprobs.detach()",
    "rewards": "self.rewards[:, t] = as_floats(transition.rewards)",
    "terminated": "self.terminated[:, t] = torch.as_tensor(transition.terminated)",
    "truncated": "self.truncated[:, t] = torch.as_tensor(transition.truncated)",
    "is_real": "self.is_real[:, t] = torch.as_tensor(transition.is_real)",
}
ALL_EIGHT = "all eight fields of the step are written"

test_rollout = exercise(
    reference=rollout.Rollout,
    cases=rollout_cases,
    observe=rollout_seen,
    keep=["__init__", "done"],
    accepts=[RolloutByColumns],
    mistakes=[
        *instead_of(
            "self.next_obs[:, t] = as_floats(transition.next_obs)",
            {
                "self.next_obs[:, t] = as_floats(transition.obs)": (
                    "stores the observation twice",
                    "next_obs is what the step led to",
                ),
            },
        ),
        *(Mistake(f"leaves out {name}", line, "pass", why=ALL_EIGHT) for name, line in LINES.items()),
        *instead_of(
            "self.logprobs[:, t] = logprobs.detach()",
            {
                "self.logprobs[:, t] = logprobs": (
                    "stores the logprobs with their graph",
                    "what was thought when the action was drawn is data: detach",
                ),
                "self.logprobs[:, t] = logprobs.detach().exp()": (
                    "stores probabilities",
                    "the rollout keeps log-probabilities, as they come",
                ),
                "self.logprobs[:, t] = -logprobs.detach()": (
                    "turns the sign of the logprobs round",
                    "the rollout keeps log-probabilities, as they come",
                ),
            },
        ),
        *instead_of(
            "self.n_steps += 1",
            {
                "pass": (
                    "doesn't count the step",
                    "n_steps says which column is free: without it each step overwrites",
                ),
                "self.n_steps += self.n_envs": ("counts a step for each environment", "one column is one step"),
                "for name in ('obs', 'next_obs', 'actions', 'logprobs', 'rewards', 'terminated', 'truncated'):\n"
                "            getattr(self, name)[~torch.as_tensor(transition.is_real), t] = 0\n"
                "        self.n_steps += 1": (
                    "leaves zeros where a step is a phantom",
                    "every environment's step is written, and is_real says which are phantoms",
                ),
            },
        ),
        *instead_of(
            "self.terminated[:, t] = torch.as_tensor(transition.terminated)",
            {
                "self.terminated[:, t] = torch.as_tensor(transition.done)": (
                    "takes truncation for termination",
                    "the two are kept apart: a truncated episode would have gone on",
                ),
                "self.terminated[:, t] = torch.as_tensor(transition.truncated)": (
                    "stores truncated in place of terminated",
                    "the two are kept apart",
                ),
            },
        ),
        *instead_of(
            LINES["truncated"],
            {
                "self.truncated[:, t] = torch.as_tensor(transition.done)": (
                    "stores done in place of truncated",
                    "the two are kept apart: `done` is made of both",
                ),
                "self.truncated[:, t] = torch.as_tensor(transition.terminated)": (
                    "stores terminated in place of truncated",
                    "the two are kept apart",
                ),
            },
        ),
        Mistake(
            "swaps terminated and truncated",
            f"{LINES['terminated']}\n        {LINES['truncated']}",
            "self.terminated[:, t] = torch.as_tensor(transition.truncated)\n"
            "        self.truncated[:, t] = torch.as_tensor(transition.terminated)",
            why="a truncated episode would have gone on, a terminated one is over",
        ),
        Mistake(
            "swaps obs and next_obs",
            f"{LINES['obs']}\n        {LINES['next_obs']}",
            "self.obs[:, t] = as_floats(transition.next_obs)\n        self.next_obs[:, t] = as_floats(transition.obs)",
            why="obs is what the actions were chosen for, next_obs what the step led to",
        ),
        *instead_of(
            LINES["is_real"],
            {
                "self.is_real[:, t] = ~torch.as_tensor(transition.done)": (
                    "takes the last step of an episode for a phantom",
                    "the step that ends an episode is real: transition.is_real says which aren't",
                ),
                "self.is_real[:, t] = True": (
                    "takes every step for a real one",
                    "a phantom step only starts a new episode: who learns must know it",
                ),
                "self.is_real[:, t] = ~torch.as_tensor(transition.is_real)": (
                    "turns is_real round",
                    "is_real is False for phantom steps",
                ),
            },
        ),
        Mistake(
            "stores the rewards one column later",
            "self.rewards[:, t] = as_floats(transition.rewards)",
            "self.rewards[:, min(t + 1, self.max_steps - 1)] = as_floats(transition.rewards)",
            why="the reward belongs to the step that brought it",
        ),
        *instead_of(
            "t = self.n_steps",
            {
                "t = self.max_steps - 1 - self.n_steps": ("fills from the last column", "column t is step t"),
                "if not transition.is_real.all():\n            return\n        t = self.n_steps": (
                    "leaves out steps in which an environment has a phantom",
                    "every step has a column: is_real says which of its rows are phantoms",
                ),
                "t = self.n_steps + 1": (
                    "begins with column 1",
                    "columns are counted from 0: the next free one is n_steps",
                ),
            },
        ),
    ],
)
