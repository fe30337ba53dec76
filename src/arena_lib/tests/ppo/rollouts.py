"""Judges of what a rollout becomes, section 2.3."""

from collections.abc import Callable
from typing import Any

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


SHARED = "fields that share memory with the rollout"


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
    own = {getattr(room, name).untyped_storage().data_ptr() for name in FIELDS}
    return {
        **{name: field.detach() for name, field in fields.items()},
        "fields that record gradients": [name for name, field in fields.items() if field.requires_grad],
        "what changed in the rollout": changed,
        SHARED: [name for name, field in fields.items() if field.untyped_storage().data_ptr() in own],
    }


@torch.no_grad()
def whole_fields(room: Rollout, critic: Any, compute_logprobs: Any, gamma: float, gae_lambda: float) -> tuple[Any, ...]:
    """All fields of a batch with both axes, phantom steps among them; each row is asked about by itself."""
    values = torch.stack([critic(obs).squeeze(-1) for obs in room.obs])
    logprobs = torch.stack([compute_logprobs(obs, act) for obs, act in zip(room.obs, room.actions, strict=True)])
    ends = room.terminated, room.truncated
    following = compute_next_values(critic, values, room.next_obs, *ends)
    advantages = compute_advantages(following, room.rewards, values, *ends, gamma, gae_lambda)
    return room.obs, room.actions, logprobs, advantages, values + advantages, values


def finish_step_by_step(room: Rollout, *rest: Any) -> Batch:
    """Asks about each step by itself, and picks the real ones last."""
    return Batch(*(field[room.is_real] for field in whole_fields(room, *rest)))


def finish_by_environment(
    rollout: Rollout, critic: Any, compute_logprobs: Any, gamma: float, gae_lambda: float
) -> Batch:
    """A wrong one: everything in the other order."""
    fields = whole_fields(rollout, critic, compute_logprobs, gamma, gae_lambda)
    return Batch(*(field.transpose(0, 1)[rollout.is_real.T] for field in fields))


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
                "returns=(advantages + next_values)": (
                    "adds the next values",
                    "an advantage is measured from the value before the step",
                ),
                "returns=(compute_advantages_by_scan("
                "next_values, rollout.rewards, values, *ends, gamma, 1.0) + values)": (
                    "makes the returns without gae_lambda",
                    "the returns are the same advantages plus the values",
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
            function=finish_by_environment,
            why="the steps stay in the order in which they were made: by step, then by environment",
        ),
        Mistake(
            "hands on the rollout's own memory",
            "obs=obs[is_real],\n        actions=actions[is_real]",
            "obs=obs if is_real.all() else obs[is_real],\n"
            "        actions=actions if is_real.all() else actions[is_real]",
            why="the rollout is filled again while the batch is learned from, so the batch must be a copy",
            shows=lambda seen: any(case[SHARED] for case in seen),
        ),
        *instead_of(
            "advantages=advantages.flatten()[is_real]",
            {
                "advantages=((advantages - advantages.mean()) / (advantages.std() + 1e-8)).flatten()[is_real]": (
                    "normalises the advantages already",
                    "that comes later, within each minibatch: the batch holds the raw ones",
                ),
                "advantages=(lambda a: (a - a.mean()) / (a.std() + 1e-8))(advantages.flatten()[is_real])": (
                    "normalises the advantages of the real steps already",
                    "that comes later, within each minibatch: the batch holds the raw ones",
                ),
                "advantages=(advantages + values).flatten()[is_real]": (
                    "takes the returns for advantages",
                    "an advantage says how much better it went than the critic's value",
                ),
            },
        ),
        *instead_of(
            "*ends, gamma, gae_lambda",
            {
                "*ends, gae_lambda, gamma": ("swaps gamma and gae_lambda", "gamma comes first"),
                "*ends, gamma, 1.0": ("leaves gae_lambda out", "gae_lambda says how far advantages look"),
                "*ends[::-1], gamma, gae_lambda": (
                    "swaps the ends for the advantages",
                    "terminated comes before truncated",
                ),
            },
        ),
        *instead_of(
            "critic(obs).reshape(shape)",
            {
                "critic(obs).reshape(shape[::-1]).T": (
                    "unflattens the values by environment",
                    "obs were flattened by step, then by environment: values take the same shape back",
                ),
                "critic(rollout.next_obs.flatten(0, 1)).reshape(shape)": (
                    "asks for the values of the next observations",
                    "values are the critic's of rollout.obs, for which the actions were chosen",
                ),
            },
        ),
        *instead_of(
            "compute_next_values(critic, values, rollout.next_obs, *ends)",
            {
                "critic(rollout.next_obs.flatten(0, 1)).reshape(shape) * ~rollout.terminated": (
                    "asks the critic about every next observation",
                    "the next values come from compute_next_values, which takes the next row's where the episode goes on",
                ),
                "compute_next_values(critic, values, rollout.obs, *ends)": (
                    "asks about the observations before the steps",
                    "what a step led to is rollout.next_obs",
                ),
            },
        ),
        *instead_of(
            "values=values.flatten()",
            {
                "values=next_values.flatten()": (
                    "keeps the next values as values",
                    "values are what the critic said of the observations before the steps",
                ),
                "values=(advantages + values).flatten()": (
                    "keeps the returns as values",
                    "values are what the critic said, returns what it should have said",
                ),
            },
        ),
        Mistake(
            "keeps the next observations as obs",
            "obs=obs[is_real]",
            "obs=rollout.next_obs.flatten(0, 1)[is_real]",
            why="obs are what the actions were chosen for",
        ),
        Mistake(
            "asks for the log-probabilities at the next observations",
            "compute_logprobs(obs, actions)",
            "compute_logprobs(rollout.next_obs.flatten(0, 1), actions)",
            why="the actions were chosen for rollout.obs",
        ),
        Mistake(
            "orders observations and actions by environment, and the rest by step",
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
