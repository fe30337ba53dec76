"""Judges of acting, with discrete and with continuous actions, section 2.3."""

from typing import Any

import gymnasium as gym
import numpy as np
import torch

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.rl.ppo import continuous, discrete
from arena_lib.rl.ppo.rollout import Rollout
from arena_lib.tests.ppo.small_parts import ROLLOUT_FIELDS as FIELDS
from arena_lib.tests.ppo.small_parts import GaussianActor, Linear, ScriptedStepper

__test__ = False


def acting_cases(generator: torch.Generator) -> list[Case]:
    """Rollouts of an agent for discrete actions."""
    return rollout_cases("PPOAgent", generator)


def continuous_cases(generator: torch.Generator) -> list[Case]:
    """Rollouts of an agent for continuous actions."""
    return rollout_cases("PPOAgentCts", generator)


def rollout_cases(agent: str, generator: torch.Generator) -> list[Case]:
    """A few steps of several environments, with ends and phantom steps among them; a second rollout after the first."""
    return [
        Case(
            label=label,
            call=f"{agent}(actor, stepper, rollout, generator).play_step()",
            given={
                "sizes": (n_steps, n_envs, d_obs, n_actions),
                "seed": seed,
                "n_rollouts": n_rollouts,
                "weight": torch.randn(d_obs, n_actions, generator=generator),
            },
        )
        for label, n_steps, n_envs, d_obs, n_actions, seed, n_rollouts in [
            ("five steps", 5, 3, 2, 4, 0, 1),
            ("two rollouts", 4, 2, 3, 5, 1, 2),
            ("one environment", 6, 1, 2, 3, 2, 1),
        ]
    ]


def play(cls: Any, case: Case, actor_class: type, space: gym.Space, room: Rollout) -> Observations:
    """Lets an agent act on a script, and looks at what it did and what it kept."""
    n_steps, n_envs, d_obs, _ = case.given["sizes"]
    actor = actor_class(case.given["weight"])
    stepper = ScriptedStepper(case.given["n_rollouts"] * n_steps, n_envs, d_obs, space, case.given["seed"])
    agent = cls(actor, stepper, room, torch.Generator().manual_seed(case.given["seed"]))
    seen: Observations = {}
    results = []
    for i in range(case.given["n_rollouts"]):
        agent.start_rollout()
        results += [agent.play_step() for _ in range(n_steps)]
        seen |= {f"rollout {i + 1}: {name}": getattr(room, name).clone() for name in FIELDS}
    return {
        **seen,
        "steps of the environments": stepper.t,
        "actions sent are numpy arrays": all(isinstance(actions, np.ndarray) for actions in stepper.actions),
        "actions sent": torch.as_tensor(np.array([np.asarray(actions) for actions in stepper.actions])),
        "the actor ran with gradients": actor.n_calls_with_gradient > 0,
        "each step returns its transition": all(
            np.array_equal(getattr(result, "rewards", np.nan), rewards)
            for result, rewards in zip(results, stepper.rewards, strict=True)
        ),
    }


def acts(cls: Any, case: Case) -> Observations:
    """What an agent for discrete actions does."""
    n_steps, n_envs, d_obs, n_actions = case.given["sizes"]
    return play(cls, case, Linear, gym.spaces.Discrete(n_actions), Rollout(n_steps, n_envs, (d_obs,)))


class AgentAnew(discrete.PPOAgent):
    """Goes through numpy, and hands the fields on by name."""

    @torch.inference_mode()
    def play_step(self) -> Any:
        """One step."""
        noise = self.noise[self.rollout.n_filled].numpy()
        logits = self.actor(torch.from_numpy(self.stepper.obs).float()).numpy()
        transition = self.stepper.step(np.argmax(logits + noise, axis=1))
        self.rollout.add(**{name: getattr(transition, name) for name in FIELDS})
        return transition


STORED = [
    *instead_of(
        "next_obs=transition.next_obs",
        {
            "next_obs=self.stepper.obs": (
                "stores the next episode's first observation as next_obs",
                "after an end stepper.obs belongs to the next episode; transition.next_obs is what the step led to",
            ),
            "next_obs=transition.obs": ("stores the observation before the step twice", "next_obs is what came of it"),
        },
    ),
    Mistake(
        "stores the observation after the step as obs",
        "obs=transition.obs",
        "obs=self.stepper.obs",
        why="obs is what the action was chosen for, and stepper.obs has moved on by then",
    ),
    *instead_of(
        "terminated=transition.terminated",
        {
            "terminated=transition.done": (
                "stores every end as a termination",
                "terminated and truncated are kept apart: only one of them means that nothing follows",
            ),
            "terminated=transition.truncated": ("stores truncations as terminations", "the two are kept apart"),
        },
    ),
    *instead_of(
        "truncated=transition.truncated",
        {
            "truncated=transition.done": ("stores every end as a truncation", "the two are kept apart"),
            "truncated=transition.terminated": ("stores terminations as truncations", "the two are kept apart"),
        },
    ),
    Mistake(
        "stores the last step of each episode as a phantom",
        "is_real=transition.is_real",
        "is_real=transition.is_real & ~transition.done",
        why="an episode's last step is as real as the others",
    ),
    Mistake(
        "stores phantom steps as real",
        "is_real=transition.is_real",
        "is_real=True",
        why="a phantom step only begins an episode: is_real says so, and learning leaves it out",
    ),
    Mistake("records gradients", "@torch.no_grad()\n    ", "", why="nothing is learned while acting"),
    Mistake(
        "keeps nothing in the rollout",
        "self.rollout.add(",
        "dict(",
        why="what isn't added to the rollout can't be learned from",
    ),
    Mistake("returns nothing", "return transition", "pass", why="the step's transition is the result"),
]
"""What goes wrong between a step and its place in the rollout, for both kinds of actions."""

test_ppo_agent = exercise(
    reference=discrete.PPOAgent,
    cases=acting_cases,
    observe=acts,
    keep=["__init__", "start_rollout"],
    accepts=[AgentAnew],
    mistakes=[
        *(Mistake(m.name, m.old, m.new, why=m.why, within="PPOAgent.play_step") for m in STORED),
        *instead_of(
            "(logits + self.noise[self.rollout.n_filled]).argmax(dim=-1)",
            {
                "(logits + self.noise[self.rollout.n_filled - 1]).argmax(dim=-1)": (
                    "uses the noise of the step before",
                    "this step's noise is row n_filled, before the step is added",
                ),
                "(logits + self.noise[(self.rollout.n_filled + 1) % self.rollout.n_steps]).argmax(dim=-1)": (
                    "uses the noise of the step after",
                    "this step's noise is row n_filled, before the step is added",
                ),
                "(logits + self.noise[self.rollout.n_filled]).argmin(dim=-1)": (
                    "takes the smallest",
                    "the largest of logits plus Gumbel noise is a draw from the softmax",
                ),
                "(logits * self.noise[self.rollout.n_filled]).argmax(dim=-1)": (
                    "multiplies by the noise",
                    "Gumbel noise is added to logits",
                ),
                "(logits + self.noise[self.rollout.n_filled, :1]).argmax(dim=-1)": (
                    "uses the first environment's noise for all",
                    "each environment has noise of its own: the whole row",
                ),
                "torch.distributions.Categorical(logits=logits).sample()": (
                    "draws by itself, without the noise",
                    "the noise of a whole rollout was drawn from the agent's generator: the draw is made from it",
                ),
                "(logits + draw_gumbel_noise(self.generator, *logits.shape)).argmax(dim=-1)": (
                    "draws new noise in each step",
                    "the noise of a whole rollout is there already: row n_filled of self.noise",
                ),
                "logits.argmax(dim=-1)": (
                    "always takes the likeliest action",
                    "to learn, an agent must try things: the noise makes the choice a draw from the softmax",
                ),
                "(logits + self.noise[0]).argmax(dim=-1)": (
                    "uses the same noise in every step",
                    "each step has noise of its own: row n_filled",
                ),
                "(logits.softmax(-1) + self.noise[self.rollout.n_filled]).argmax(dim=-1)": (
                    "adds the noise to probabilities",
                    "Gumbel noise is added to logits",
                ),
                "(logits - self.noise[self.rollout.n_filled]).argmax(dim=-1)": (
                    "subtracts the noise",
                    "the largest of logits plus Gumbel noise is a draw from the softmax",
                ),
                "torch.distributions.Categorical(logits=self.noise[self.rollout.n_filled]).sample()": (
                    "draws from the noise",
                    "the actions come from logits plus noise",
                ),
            },
            within="PPOAgent.play_step",
        ),
        *instead_of(
            "torch.as_tensor(self.stepper.obs, dtype=torch.float32)",
            {
                "torch.as_tensor(self.stepper.obs)": (
                    "leaves the observations as they are",
                    "the actor's weights are float32, and observations may be of another dtype",
                    "RuntimeError",
                ),
            },
            within="PPOAgent.play_step",
        ),
        Mistake(
            "sends a tensor to the environments",
            "actions.numpy()",
            "actions",
            why="stepper.step takes a numpy array",
            within="PPOAgent.play_step",
        ),
    ],
)


def acts_continuously(cls: Any, case: Case) -> Observations:
    """What an agent for continuous actions does; the bounds are narrow, and differ by entry."""
    n_steps, n_envs, d_obs, n_actions = case.given["sizes"]
    high = np.linspace(0.5, 1.5, n_actions).astype(np.float32)
    space = gym.spaces.Box(-0.5 * high, high)
    room = Rollout(n_steps, n_envs, (d_obs,), (n_actions,), action_dtype=np.float32)
    return play(cls, case, GaussianActor, space, room)


class CtsAgentAnew(continuous.PPOAgentCts):
    """Takes mean and deviation from the distribution, and clips with torch."""

    @torch.no_grad()
    def play_step(self) -> Any:
        """One step."""
        dist: Any = self.actor(torch.tensor(self.stepper.obs, dtype=torch.float))[2]
        drawn = dist.mean + dist.stddev * self.noise[self.rollout.n_filled]
        sent = torch.minimum(torch.maximum(drawn, torch.tensor(self.low)), torch.tensor(self.high))
        transition = self.stepper.step(sent.numpy())
        kept = {name: getattr(transition, name) for name in FIELDS} | {"actions": drawn}
        self.rollout.add(**kept)
        return transition


test_ppo_agent_cts = exercise(
    reference=continuous.PPOAgentCts,
    cases=continuous_cases,
    observe=acts_continuously,
    keep=["__init__", "start_rollout"],
    accepts=[CtsAgentAnew],
    equivalent={
        "self.stepper.step(np.clip(actions, self.low, self.high)) -> "
        "self.stepper.step(np.clip(self.low, actions, self.high))": "the middle of three numbers is the same in any order"
    },
    mistakes=[
        *(
            Mistake(m.name, m.old, m.new, why=m.why, within="PPOAgentCts.play_step")
            for m in STORED
            if m.name != "records gradients"
        ),
        *instead_of(
            "actions=actions",
            {
                "actions=np.clip(actions, self.low, self.high)": (
                    "keeps the clipped action",
                    "the action whose log-density is known is the one that was drawn",
                ),
            },
            within="PPOAgentCts.play_step",
        ),
        *instead_of(
            "np.clip(actions, self.low, self.high)",
            {
                "actions": ("sends actions beyond the bounds", "the environment gets actions within low and high"),
                "(np.tanh(actions) + 1) / 2 * (self.high - self.low) + self.low": (
                    "squashes the actions to the bounds",
                    "they are clipped to the bounds, not squashed",
                ),
                "np.clip(actions, -self.high, self.high)": (
                    "takes minus the upper bound for the lower one",
                    "the bounds needn't be symmetric: self.low and self.high",
                ),
                "np.minimum(actions, self.high)": (
                    "clips only from above",
                    "the environment gets actions within low and high",
                ),
                "np.tanh(actions)": ("squashes the actions", "they are clipped to the bounds, not squashed"),
                "np.clip(actions, -1, 1)": (
                    "clips to -1 and 1",
                    "each entry has bounds of its own: self.low, self.high",
                ),
            },
            within="PPOAgentCts.play_step",
        ),
        *instead_of(
            "mu + sigma * self.noise[self.rollout.n_filled]",
            {
                "mu + sigma**2 * self.noise[self.rollout.n_filled]": (
                    "scales by the variance",
                    "standard normal noise is scaled by the standard deviation",
                ),
                "mu + sigma.sqrt() * self.noise[self.rollout.n_filled]": (
                    "scales by the root of sigma",
                    "sigma is the standard deviation already",
                ),
                "(mu + self.noise[self.rollout.n_filled]) * sigma": (
                    "scales the mean, too",
                    "only the noise is scaled by sigma",
                ),
                "mu + sigma * self.noise[self.rollout.n_filled - 1]": (
                    "uses the noise of the step before",
                    "row n_filled belongs to this step, before it is added",
                ),
                "torch.distributions.Normal(mu, sigma).sample()": (
                    "draws by itself, without the noise",
                    "the noise of a whole rollout was drawn from the agent's generator: the draw is made from it",
                ),
                "mu": ("always takes the mean", "to learn, an agent must try things: add sigma * noise"),
                "mu + self.noise[self.rollout.n_filled]": ("leaves sigma out", "the noise is scaled by sigma"),
                "mu + sigma * self.noise[0]": (
                    "uses the same noise in every step",
                    "row n_filled belongs to this step",
                ),
                "mu + sigma.log() * self.noise[self.rollout.n_filled]": (
                    "scales by the logarithm of sigma",
                    "sigma is the standard deviation already",
                ),
            },
            within="PPOAgentCts.play_step",
        ),
    ],
)
