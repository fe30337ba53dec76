"""Judges of section 2.2's rollout and of the agent that gathers it.

Shapes:  obs "n_envs n_steps *obs_shape"; actions, logprobs "n_envs"
"""

from typing import Any

import numpy as np
import torch
from gymnasium.vector import AutoresetMode
from torch import Tensor

from arena_lib.checking import Case, Mistake, Unfit, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.rl.environments.stepping import Transition
from arena_lib.rl.policy_gradient import agent, rollout
from arena_lib.rl.policy_gradient.rollout import Rollout
from arena_lib.tests.dqn_and_vpg.agents import WavyValues, make_stepper

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
        cases.append(Case(label=label, call="transition, logprobs", given=given))
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
                "pass": ("leaves out next_obs", "all eight fields of the step are written"),
            },
        ),
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
                "pass": ("leaves out the logprobs", "the importance weights need them"),
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
        Mistake(
            "takes every step for a real one",
            "self.is_real[:, t] = torch.as_tensor(transition.is_real)",
            "self.is_real[:, t] = True",
            why="a phantom step only starts a new episode: who learns must know it",
        ),
        Mistake(
            "stores the rewards one column later",
            "self.rewards[:, t] = as_floats(transition.rewards)",
            "self.rewards[:, min(t + 1, self.max_steps - 1)] = as_floats(transition.rewards)",
            why="the reward belongs to the step that brought it",
        ),
        Mistake(
            "fills from the last column",
            "t = self.n_steps",
            "t = self.max_steps - 1 - self.n_steps",
            why="column t is step t",
        ),
    ],
)


def vpg_agent_cases(generator: torch.Generator) -> list[Case]:
    """Three autoreset modes, and policies of two kinds."""
    runs = [("several environments", AutoresetMode.SAME_STEP, 3, 9), ("phantom steps", AutoresetMode.NEXT_STEP, 2, 11)]
    return [
        Case(
            label=label,
            call="stepper, policy, generator",
            given={"mode": mode, "n_envs": n_envs, "max_steps": max_steps},
        )
        for label, mode, n_envs, max_steps in runs
    ]


class CountingPolicy(WavyValues):
    """Logits that go up and down; counts the calls that recorded gradients."""

    n_calls_with_gradient = 0

    def forward(self, obs: Tensor) -> Tensor:
        """Logits "n_envs n_actions"."""
        self.n_calls_with_gradient += torch.is_grad_enabled()
        assert obs.dtype == torch.float32, "the policy must get a float32 tensor"
        return 2 * super().forward(obs)


def gathered(cls: Any, case: Case) -> Observations:
    """Actions for given observations, then a rollout."""
    if not isinstance(cls, type):
        raise Unfit(f"This test takes the class itself: got {type(cls).__name__}. Pass VPGAgent, without calling it.")
    stepper = make_stepper(case.given["mode"], case.given["n_envs"])
    policy, generator = CountingPolicy(), torch.Generator().manual_seed(4)
    player = cls(stepper, policy, generator)
    actions, logprobs = player.get_actions(np.linspace(0, 5, 7)[:, None])
    filled, episodes = player.gen_rollout(Rollout(case.given["n_envs"], case.given["max_steps"], (1,)))
    if not isinstance(filled, Rollout):
        raise Unfit(f"gen_rollout must return the rollout and the episodes: got {type(filled).__name__} first.")
    return {
        "actions": actions,
        "logprobs": logprobs,
        "columns of the rollout that are filled": filled.n_steps,
        **{f"rollout.{name}": getattr(filled, name) for name in ("obs", "next_obs", "actions", "logprobs", "is_real")},
        "episodes": [(episode.env_idx, episode.length) for episode in episodes],
        "calls of the policy that recorded gradients": policy.n_calls_with_gradient,
    }


class AgentByDistribution(agent.VPGAgent):
    """Asks torch's Categorical for log-probabilities."""

    def get_actions(self, obs: np.ndarray) -> tuple[np.ndarray, Tensor]:
        with torch.inference_mode():
            distribution = torch.distributions.Categorical(logits=self.policy(torch.from_numpy(obs).float()))
            actions = torch.multinomial(distribution.probs, 1, generator=self.generator)[:, 0]
            return actions.numpy(), distribution.log_prob(actions)

    def gen_rollout(self, rollout: Rollout) -> Any:
        for _ in range(rollout.max_steps):
            actions, logprobs = self.get_actions(self.stepper.obs)
            rollout.add_step(self.stepper.step(actions), logprobs.clone())
        return rollout, self.stepper.finished()


test_vpg_agent = exercise(
    reference=agent.VPGAgent,
    cases=vpg_agent_cases,
    observe=gathered,
    keep=["__init__"],
    accepts=[AgentByDistribution],
    name="vpg_agent",
    mistakes=[
        *instead_of(
            "actions = torch.multinomial(logprobs.exp(), 1, generator=self.generator)",
            {
                "actions = logprobs.argmax(dim=-1, keepdim=True)": (
                    "always takes the likeliest action",
                    "a policy gradient needs actions drawn from the policy, or it never sees what else might be better",
                ),
                "actions = torch.multinomial((-logprobs).exp(), 1, generator=self.generator)": (
                    "prefers the unlikely actions",
                    "each action is drawn with its probability",
                ),
                "actions = torch.multinomial(torch.ones_like(logprobs), 1, generator=self.generator)": (
                    "draws every action with the same probability",
                    "each action is drawn with its probability",
                ),
                "actions = torch.multinomial(logprobs[:1].exp(), len(obs), True, generator=self.generator).T": (
                    "draws for all environments from the first one's policy",
                    "each observation has probabilities of its own",
                ),
            },
        ),
        *instead_of(
            "return actions.squeeze(-1).numpy(), logprobs.gather(-1, actions).squeeze(-1)",
            {
                "return actions.squeeze(-1).numpy(), logprobs.max(dim=-1).values": (
                    "returns the log-probability of the likeliest action",
                    "that of the action that was drawn is asked for",
                ),
                "return actions.squeeze(-1).numpy(), logprobs.gather(-1, actions).squeeze(-1).exp()": (
                    "returns probabilities",
                    "log-probabilities are asked for",
                ),
                "return actions.squeeze(-1), logprobs.gather(-1, actions).squeeze(-1)": (
                    "returns the actions as a tensor",
                    "environments take numpy arrays",
                ),
                "return actions.squeeze(-1).numpy(), logprobs.gather(-1, actions)": (
                    "leaves an axis of length 1 in the logprobs",
                    "one number for each environment",
                    "RuntimeError",
                ),
            },
        ),
        *instead_of(
            "self.policy(as_floats(obs)).log_softmax(dim=-1)",
            {
                "torch.enable_grad()(self.policy)(as_floats(obs)).detach().log_softmax(dim=-1)": (
                    "records gradients while it plays",
                    "nothing is learnt while acting: the loss computes the log-probabilities again",
                ),
                "self.policy(as_floats(obs)).log_softmax(dim=0)": (
                    "takes the softmax over the environments",
                    "the probabilities of one environment's actions sum to one",
                ),
            },
        ),
        Mistake(
            "plays one step too few",
            "while rollout.n_steps < rollout.max_steps:",
            "while rollout.n_steps < rollout.max_steps - 1:",
            why="the rollout is full when n_steps is max_steps",
        ),
        *instead_of(
            "actions, logprobs = self.get_actions(self.stepper.obs)",
            {
                "actions, logprobs = self.get_actions(np.zeros_like(self.stepper.obs))": (
                    "chooses actions without looking",
                    "actions are for stepper.obs, the observations that wait for them",
                ),
            },
        ),
        *instead_of(
            "return rollout, self.stepper.finished()",
            {
                "return rollout, []": (
                    "returns no episodes",
                    "who trains wants to see the returns: stepper.finished()",
                ),
            },
            within="VPGAgent.gen_rollout",
        ),
    ],
)
