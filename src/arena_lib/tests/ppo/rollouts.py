"""Judges of acting and of what a rollout becomes, section 2.3."""

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import torch

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.checking.modules import Unfit
from arena_lib.checking.observing import Observations
from arena_lib.rl.ppo import continuous, discrete, rollout
from arena_lib.rl.ppo.advantages import compute_advantages, compute_next_values
from arena_lib.rl.ppo.rollout import Batch, Rollout
from arena_lib.tests.ppo.small_parts import GaussianActor, Linear, ScriptedStepper, filled_rollout

__test__ = False

FIELDS = ("obs", "actions", "rewards", "next_obs", "terminated", "truncated", "is_real")


def acting_cases(generator: torch.Generator) -> list[Case]:
    """A few steps of several environments, with ends and phantom steps among them; a second rollout after the first."""
    return [
        Case(
            label=label,
            call="",
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
        {"truncated=transition.done": ("stores every end as a truncation", "the two are kept apart")},
    ),
    Mistake(
        "stores phantom steps as real",
        "is_real=transition.is_real",
        "is_real=True",
        why="a phantom step only begins an episode: is_real says so, and learning leaves it out",
    ),
    Mistake("records gradients", "@torch.no_grad()\n    ", "", why="nothing is learned while acting"),
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
        dist = self.actor(torch.tensor(self.stepper.obs, dtype=torch.float))[2]
        drawn = dist.mean + dist.stddev * self.noise[self.rollout.n_filled]
        sent = torch.minimum(torch.maximum(drawn, torch.tensor(self.low)), torch.tensor(self.high))
        transition = self.stepper.step(sent.numpy())
        kept = {name: getattr(transition, name) for name in FIELDS} | {"actions": drawn}
        self.rollout.add(**kept)
        return transition


test_ppo_agent_cts = exercise(
    reference=continuous.PPOAgentCts,
    cases=acting_cases,
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


def finishing_cases(generator: torch.Generator) -> list[Case]:
    """Rollouts with and without phantom steps."""
    cases = []
    for label, n_steps, n_envs, share_real, gamma, gae_lambda in [
        ("every step is real", 5, 3, 1.0, 0.9, 0.8),
        ("phantom steps among them", 7, 4, 0.7, 0.8, 0.6),
        ("one environment", 6, 1, 1.0, 0.95, 0.9),
    ]:
        room = filled_rollout(generator, n_steps, n_envs, share_real=share_real)
        weights = {name: torch.randn(2, 1, generator=generator) for name in ("critic", "policy")}
        call = "rollout, critic, compute_logprobs, gamma, gae_lambda"
        discounts = (gamma, gae_lambda)
        cases.append(Case(label=label, call=call, given={"rollout": room, "discounts": discounts, **weights}))
    return cases


def finished(function: Callable[..., Any], case: Case) -> Observations:
    """Every field of the batch, and whether gradients were recorded."""
    room, critic, policy = case.given["rollout"], Linear(case.given["critic"]), Linear(case.given["policy"])
    before = {name: getattr(room, name).clone() for name in FIELDS}
    batch = function(room, critic, lambda obs, actions: policy(obs).squeeze(-1) - actions, *case.given["discounts"])
    names = ("obs", "actions", "logprobs", "advantages", "returns", "values")
    if not all(isinstance(getattr(batch, name, None), torch.Tensor) for name in names):
        raise Unfit(f"The result must be a Batch of tensors: got {type(batch).__name__}.")
    fields = {name: getattr(batch, name) for name in names}
    changed = [name for name in FIELDS if not torch.equal(getattr(room, name), before[name])]
    is_copy = batch.obs.untyped_storage().data_ptr() != room.obs.untyped_storage().data_ptr()
    return {
        **{name: field.detach() for name, field in fields.items()},
        "fields that record gradients": [name for name, field in fields.items() if field.requires_grad],
        "what changed in the rollout": changed,
        "the batch is a copy": is_copy,
    }


@torch.no_grad()
def finish_step_by_step(room: Rollout, critic: Any, compute_logprobs: Any, gamma: float, gae_lambda: float) -> Batch:
    """Asks about each step by itself, and picks the real ones last."""
    values = torch.stack([critic(obs).squeeze(-1) for obs in room.obs])
    logprobs = torch.stack([compute_logprobs(obs, act) for obs, act in zip(room.obs, room.actions, strict=True)])
    ends = room.terminated, room.truncated
    following = compute_next_values(critic, values, room.next_obs, *ends)
    advantages = compute_advantages(following, room.rewards, values, *ends, gamma, gae_lambda)
    everything = (room.obs, room.actions, logprobs, advantages, values + advantages, values)
    return Batch(*(field[room.is_real] for field in everything))


test_finish_rollout = exercise(
    reference=rollout.finish_rollout,
    cases=finishing_cases,
    observe=finished,
    accepts=[finish_step_by_step],
    mistakes=[
        Mistake("records gradients", "@torch.no_grad()\n", "", why="a batch is data: no gradient flows into it"),
        *instead_of(
            "returns=(advantages + values)",
            {
                "returns=advantages": (
                    "takes the advantages for returns",
                    "the critic should have said value + advantage",
                ),
                "returns=(advantages - values)": (
                    "subtracts the values",
                    "the critic should have said value + advantage",
                ),
                "returns=rollout.rewards": ("takes the rewards for returns", "a return counts what follows too"),
                "returns=(rollout.rewards + gamma * next_values)": (
                    "makes one-step returns",
                    "the returns are advantages + values, which look as far ahead as the advantages",
                ),
            },
        ),
        *instead_of(
            "is_real = rollout.is_real.flatten()",
            {
                "is_real = torch.ones_like(rollout.is_real).flatten()": (
                    "keeps phantom steps",
                    "a phantom step's action was ignored: there is nothing to learn from it",
                ),
                "is_real = ~rollout.is_real.flatten()": ("keeps the phantom steps only", "keep what is real"),
                "is_real = ~(rollout.terminated | rollout.truncated).flatten()": (
                    "drops the last step of each episode",
                    "an episode's last step is as real as the others",
                ),
            },
        ),
        *instead_of(
            "compute_advantages_by_scan(next_values, rollout.rewards, values,",
            {
                "compute_advantages_by_scan(values, rollout.rewards, next_values,": (
                    "swaps values and next values",
                    "next_values come first",
                ),
                "compute_advantages_by_scan(values.roll(-1, 0), rollout.rewards, values,": (
                    "bootstraps from the next row, whatever episode it's of",
                    "compute_next_values knows what each step led to",
                ),
            },
        ),
        Mistake(
            "orders the steps by environment",
            "obs, actions = rollout.obs.flatten(0, 1), rollout.actions.flatten(0, 1)\n    values = critic(obs).reshape(shape)",
            "obs, actions = rollout.obs.transpose(0, 1).flatten(0, 1), rollout.actions.T.flatten()\n"
            "    values = critic(obs).reshape(shape[::-1]).T",
            why="all fields have the same order: by step, then by environment",
        ),
        Mistake(
            "swaps the ends",
            "ends = rollout.terminated, rollout.truncated",
            "ends = rollout.truncated, rollout.terminated",
            why="terminated comes before truncated",
        ),
    ],
)


def dealing_cases(generator: torch.Generator) -> list[Case]:
    """Sizes that divide and that don't."""
    return [
        Case(label=label, call=f"rng, {batch_size}, {size}", given={"sizes": (batch_size, size), "seed": seed})
        for label, batch_size, size, seed in [
            ("sizes that divide", 12, 4, 0),
            ("sizes that don't divide", 13, 5, 1),
            ("one minibatch", 7, 7, 2),
            ("minibatches of one", 3, 1, 3),
        ]
    ]


def dealt(function: Callable[..., Any], case: Case) -> Observations:
    """The minibatches of two calls with the same generator."""
    rng = np.random.default_rng(case.given["seed"])
    calls = [function(rng, *case.given["sizes"]) for _ in range(2)]
    if not all(isinstance(call, list) for call in calls):
        raise Unfit(f"The result must be a list of arrays: got {type(calls[0]).__name__}.")
    return {
        f"call {i + 1}": [torch.as_tensor(np.asarray(idx).astype(np.int64)) for idx in call]
        for i, call in enumerate(calls)
    }


def deal_by_slices(rng: np.random.Generator, batch_size: int, minibatch_size: int) -> list[np.ndarray]:
    """Cuts the order piece by piece."""
    order = rng.permutation(batch_size)
    starts = range(0, batch_size - minibatch_size + 1, minibatch_size)
    return [order[start : start + minibatch_size] for start in starts]


test_get_minibatch_indices = exercise(
    reference=rollout.get_minibatch_indices,
    cases=dealing_cases,
    observe=dealt,
    accepts=[deal_by_slices],
    mistakes=[
        *instead_of(
            "rng.permutation(batch_size)",
            {
                "np.arange(batch_size)": (
                    "does not shuffle",
                    "neighbouring steps are alike: shuffled, each minibatch speaks for the whole rollout",
                ),
                "rng.integers(0, batch_size, batch_size)": (
                    "draws with replacement",
                    "each step comes exactly once in an epoch",
                ),
                "np.random.default_rng(0).permutation(batch_size)": (
                    "makes a generator of its own",
                    "the given one is used, so that each call shuffles anew",
                ),
            },
        ),
        *instead_of(
            "list(order.reshape(n_minibatches, minibatch_size))",
            {
                "list(order.reshape(minibatch_size, n_minibatches).T)": (
                    "deals by turns",
                    "the first minibatch_size numbers are the first minibatch",
                ),
                "list(order.reshape(n_minibatches, minibatch_size))[:1]": (
                    "gives one minibatch only",
                    "every step is learned from: batch_size // minibatch_size minibatches",
                ),
                "list(np.sort(order.reshape(n_minibatches, minibatch_size)))": (
                    "sorts within each minibatch",
                    "the numbers stay in the order of the permutation",
                ),
            },
        ),
    ],
)
