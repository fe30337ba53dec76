"""Judges of what a rollout becomes, section 2.3."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.checking.modules import Unfit
from arena_lib.checking.observing import Observations
from arena_lib.rl.ppo import rollout
from arena_lib.rl.ppo.advantages import compute_advantages, compute_next_values
from arena_lib.rl.ppo.rollout import Batch, Rollout
from arena_lib.tests.ppo.small_parts import ROLLOUT_FIELDS as FIELDS
from arena_lib.tests.ppo.small_parts import Linear, filled_rollout

__test__ = False


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
