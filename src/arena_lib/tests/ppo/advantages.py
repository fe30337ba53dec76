"""Judges of advantages and of the values of successors, section 2.3."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of, outputs
from arena_lib.checking.observing import Observations
from arena_lib.rl.ppo import advantages
from arena_lib.tests.ppo.small_parts import Linear

__test__ = False

AXES = {"output": "n_steps n_envs"}


def advantage_cases(generator: torch.Generator) -> list[Case]:
    """Rollouts with and without ends of both kinds, of one step, and with extreme discounts."""

    def case(label: str, n_steps: int, n_envs: int, share: float, gamma: float, gae_lambda: float) -> Case:
        floats = [torch.randn(n_steps, n_envs, generator=generator) for _ in range(3)]
        ends = [torch.rand(n_steps, n_envs, generator=generator) < share for _ in range(2)]
        return Case(label=label, args=(*floats, *ends, gamma, gae_lambda), axes=AXES)

    return [
        case("no episode ends", 5, 3, 0.0, 0.9, 0.7),
        case("episodes end in both ways", 11, 4, 0.2, 0.8, 0.6),
        case("many ends", 6, 7, 0.5, 0.95, 0.9),
        case("one step", 1, 3, 0.3, 0.9, 0.7),
        case("gae_lambda is 0", 4, 3, 0.2, 0.9, 0.0),
        case("neither gamma nor gae_lambda discounts", 7, 2, 0.2, 1.0, 1.0),
    ]


def advantages_by_definition(
    next_values: Tensor,
    rewards: Tensor,
    values: Tensor,
    terminated: Tensor,
    truncated: Tensor,
    gamma: float,
    gae_lambda: float,
) -> Tensor:
    """Goes through each environment by itself, in plain numbers."""
    result = torch.empty_like(rewards)
    for env in range(rewards.shape[1]):
        advantage = 0.0
        for t in range(len(rewards) - 1, -1, -1):
            future = 0.0 if terminated[t, env] else float(next_values[t, env])
            if terminated[t, env] or truncated[t, env]:
                advantage = 0.0
            advantage = float(rewards[t, env]) + gamma * future - float(values[t, env]) + gamma * gae_lambda * advantage
            result[t, env] = advantage
    return result


OPEN = "the sum ends where an episode ends, whether it terminated or was truncated"
BOTH = "each later delta counts gamma * gae_lambda less than the one before it"

test_compute_advantages = exercise(
    reference=advantages.compute_advantages,
    cases=advantage_cases,
    observe=outputs,
    accepts=[advantages_by_definition, advantages.compute_advantages_by_scan],
    equivalent={
        "following = torch.zeros_like(rewards[0]) -> following = torch.zeros_like(rewards[-1])": "all rows are alike"
    },
    mistakes=[
        *instead_of(
            "(1.0 - terminated.float())",
            {
                "1.0": ("bootstraps through termination", "nothing follows a terminal state, so its value is 0"),
                "is_open": (
                    "takes truncation for termination",
                    "an episode that was cut off would have gone on: next_values says what that is worth",
                ),
                "(1.0 - truncated.float())": (
                    "bootstraps where the episode terminated, and not where it was truncated",
                    "termination means that nothing follows; truncation means that we stopped watching",
                ),
                "terminated.float()": (
                    "keeps the future only where the episode terminated",
                    "the middle term is left out where the step terminated, and stays everywhere else",
                ),
            },
        ),
        *instead_of(
            "(terminated | truncated)",
            {
                "terminated": ("carries advantages back over a truncation", OPEN),
                "truncated": ("carries advantages back over a termination", OPEN),
                "(terminated & truncated)": ("ends the sum only where both flags are set", OPEN),
                "torch.zeros_like(terminated)": ("carries advantages back from one episode into another", OPEN),
            },
        ),
        *instead_of(
            "is_open[t]",
            {
                "(1 - is_open[t])": (
                    "carries advantages back only where an episode ended",
                    "the sum goes on while the episode is open, and ends where it ends",
                ),
                "is_open[min(t + 1, len(rewards) - 1)]": (
                    "looks one step too late for the end",
                    "step t itself says whether its episode ended there",
                ),
                "is_open[max(t - 1, 0)]": (
                    "looks one step too early for the end",
                    "step t itself says whether its episode ended there",
                ),
            },
        ),
        *instead_of(
            "gamma * gae_lambda * is_open",
            {
                "gamma * is_open": ("leaves gae_lambda out", BOTH),
                "gae_lambda * is_open": ("leaves gamma out of the sum", BOTH),
                "(gamma + gae_lambda) / 2 * is_open": ("averages gamma and gae_lambda", BOTH),
            },
        ),
        *instead_of(
            "rewards + gamma * next_values",
            {
                "rewards + next_values": ("does not discount the next value", "what comes a step later counts gamma"),
                "gamma * rewards + gamma * next_values": (
                    "discounts the reward too",
                    "this step's reward counts whole",
                ),
                "rewards * (1.0 - terminated.float()) + gamma * next_values": (
                    "leaves out the reward of a step that terminated",
                    "the last step's reward counts too: only the future is left out",
                ),
                "rewards + gamma * values.roll(-1, 0)": (
                    "bootstraps from the next row's value",
                    "after an end the next row belongs to another episode: next_values holds each step's own successor",
                ),
                "rewards + gamma * (next_values - values)": (
                    "discounts the value that it subtracts",
                    "gamma belongs to what follows alone: values are subtracted whole",
                ),
                "rewards + gamma * values": (
                    "bootstraps from the value before the step",
                    "what follows is worth next_values",
                ),
            },
        ),
        Mistake(
            "does not subtract the value", " - values", "", why="an advantage compares with what the critic expected"
        ),
        Mistake(
            "adds the value", " - values", " + values", why="an advantage is what was better than the critic expected"
        ),
        *instead_of(
            "reversed(range(len(rewards)))",
            {
                "range(len(rewards))": (
                    "runs forwards in time",
                    "an advantage needs the one after it, so go backwards",
                ),
                "reversed(range(len(rewards) - 1))": ("leaves out the last step", "the last step has an advantage too"),
                "reversed(range(1, len(rewards)))": (
                    "leaves out the first step",
                    "the first step has an advantage too",
                ),
            },
        ),
        *instead_of(
            "torch.zeros_like(rewards[0])",
            {
                "next_values[-1]": (
                    "begins with a value as if it were an advantage",
                    "after the last step there is no advantage to add; delta has the next value already",
                ),
            },
        ),
        *instead_of(
            "return advantages",
            {
                "return advantages + values": ("returns returns", "advantages alone are asked for"),
                "return advantages * (1 - gae_lambda)": (
                    "multiplies by 1 - gae_lambda",
                    "the errors are added as they are, each gamma * gae_lambda less than the one before",
                ),
                "return delta": ("returns the one-step errors", "later errors count too, each gamma * gae_lambda less"),
                "return (advantages - advantages.mean()) / (advantages.std() + 1e-8)": (
                    "normalises the advantages",
                    "that comes later, within each minibatch; the critic's targets are made from the raw ones",
                ),
            },
        ),
        Mistake(
            "writes into the rewards",
            "torch.zeros_like(rewards)",
            "rewards",
            why="the arguments stay as they are: make a new tensor",
        ),
    ],
)


def next_value_cases(generator: torch.Generator) -> list[Case]:
    """Ends of each kind, in the last row too; observations that are vectors and pictures."""

    def case(label: str, n_steps: int, n_envs: int, share: float, *obs_shape: int) -> Case:
        values = torch.randn(n_steps, n_envs, generator=generator)
        next_obs = torch.randn(n_steps, n_envs, *obs_shape, generator=generator)
        ends = [torch.rand(n_steps, n_envs, generator=generator) < share for _ in range(2)]
        weight = torch.randn(obs_shape[-1], 1, generator=generator)
        given = {"weight": weight, "is_picture": len(obs_shape) > 1, "tensors": (values, next_obs, *ends)}
        return Case(label=label, axes=AXES, given=given, call="critic, values, next_obs, terminated, truncated")

    return [
        case("no episode ends", 5, 3, 0.0, 2),
        case("episodes end in both ways", 9, 4, 0.3, 2),
        case("every row has ends", 6, 5, 0.6, 3),
        case("one step", 1, 3, 0.4, 2),
        case("observations with two axes", 4, 3, 0.3, 2, 3),
    ]


def next_values_seen(function: Callable[..., Any], case: Case) -> Observations:
    """The result, whether it was computed without gradients, and what became of the arguments."""
    critic = Linear(case.given["weight"])
    read = (lambda obs: critic(obs).mean(dim=-2)) if case.given["is_picture"] else critic
    tensors = [tensor.clone() for tensor in case.given["tensors"]]
    result = function(read, *tensors)
    names = ("values", "next_obs", "terminated", "truncated")
    before = zip(names, tensors, case.given["tensors"], strict=True)
    return {
        "output": result.detach() if isinstance(result, Tensor) else result,
        "the critic ran with gradients": critic.n_calls_with_gradient > 0,
        "arguments changed in place": [name for name, now, then in before if not torch.equal(now, then)],
    }


@torch.no_grad()
def ask_about_everything(
    critic: Callable[[Tensor], Tensor], values: Tensor, next_obs: Tensor, terminated: Tensor, truncated: Tensor
) -> Tensor:
    """Asks the critic about every successor, which costs more and says the same, and hides what doesn't follow."""
    asked = critic(next_obs.flatten(0, 1)).reshape(values.shape)
    following = torch.cat([values[1:], asked[-1:]])
    return torch.where(truncated, asked, following) * ~terminated


test_compute_next_values = exercise(
    reference=advantages.compute_next_values,
    cases=next_value_cases,
    observe=next_values_seen,
    accepts=[ask_about_everything],
    mistakes=[
        *instead_of(
            "is_asked = truncated.clone()",
            {
                "is_asked = torch.zeros_like(truncated)": (
                    "takes the value of the next episode's beginning after a truncation",
                    "the next row belongs to another episode; what the step led to is next_obs",
                ),
                "is_asked = torch.ones_like(truncated)": (
                    "takes the critic's word on next_obs everywhere",
                    "while an episode goes on, the value is there already: values[t + 1]",
                ),
                "is_asked = truncated": (
                    "writes into truncated",
                    "the arguments stay as they are: clone before you write",
                ),
            },
        ),
        *instead_of(
            "    is_asked[-1] = True\n",
            {
                "": (
                    "gives the last row the value of the first",
                    "after the last row the rollout ends: ask the critic about next_obs there",
                ),
                "    next_values[-1] = values[-1]\n": (
                    "keeps the last row's own value",
                    "after the last row the rollout ends: ask the critic about next_obs there",
                ),
                "    next_values[-1] = 0.0\n": (
                    "gives the last row no future",
                    "the rollout ends there, the episode doesn't: ask the critic about next_obs",
                ),
                "    is_asked[-1] = ~terminated.any()\n": (
                    "asks about the last row only where nothing terminated",
                    "each environment by itself has a last row: ask the critic about all of it",
                ),
                "    is_asked[0] = True\n": (
                    "asks about the first row instead of the last",
                    "it's the last row that has no row after it",
                ),
            },
        ),
        *instead_of(
            "values.roll(-1, dims=0)",
            {
                "values.roll(1, dims=0)": ("shifts the wrong way", "what follows step t is row t + 1"),
                "values.clone()": ("does not shift the values", "what follows step t is row t + 1"),
                "values.roll(-1)": (
                    "shifts all entries in a row",
                    "time is the first axis: roll(-1, dims=0) takes the next step of the same environment",
                ),
                "values.roll(-1, dims=1)": (
                    "shifts along the environments",
                    "time is the first axis: the next step of the same environment follows",
                ),
            },
        ),
        *instead_of(
            "critic(next_obs[is_asked])",
            {
                "critic(next_obs.roll(1, dims=0)[is_asked])": (
                    "asks about the observation of the step before",
                    "next_obs[t] is what step t led to",
                ),
                "values[is_asked].unsqueeze(-1)": (
                    "takes the value before the step where the critic must be asked",
                    "what the step led to is next_obs: ask the critic about it",
                ),
                "critic(next_obs.roll(-1, dims=0)[is_asked])": (
                    "asks about the observation of the step after",
                    "next_obs[t] is what step t led to",
                ),
                "0 * critic(next_obs[is_asked])": (
                    "gives a truncated step no future",
                    "it would have gone on: its value is the critic's of next_obs",
                ),
            },
        ),
        *instead_of(
            "masked_fill(terminated, 0.0)",
            {
                "masked_fill(terminated & ~truncated, 0.0)": (
                    "bootstraps where a step both terminated and was truncated",
                    "once an episode has terminated, nothing follows, whatever else is true",
                ),
                "clone()": ("gives terminal states a value", "where an episode terminated, the result is 0"),
                "masked_fill(~terminated, 0.0)": (
                    "keeps the values only where the episode terminated",
                    "where an episode terminated the result is 0, and everywhere else the value stays",
                ),
                "masked_fill(truncated, 0.0)": (
                    "puts the zeros where the episode was truncated",
                    "a truncated step would have gone on; after a terminated one nothing follows",
                ),
                "where(~terminated | (torch.arange(len(values)) == len(values) - 1)[:, None], 0.0)": (
                    "asks about the last row after it has put the zeros",
                    "an episode can terminate in the last row too: the zeros come last",
                ),
                "roll(1, dims=0).masked_fill(terminated, 0.0).roll(-1, dims=0)": (
                    "puts the zeros one row too early",
                    "terminated[t] says that nothing follows step t: its own row is 0",
                ),
                "masked_fill(terminated | truncated, 0.0)": (
                    "gives a truncated step the value 0",
                    "it would have gone on: its value is the critic's of next_obs",
                ),
            },
        ),
        Mistake(
            "gives a truncated step the value before it",
            "return next_values",
            "return torch.where(truncated, values, next_values)",
            why="what the step led to is next_obs: ask the critic about it",
        ),
        Mistake(
            "writes into values",
            "return next_values",
            "return values.copy_(next_values.masked_fill(terminated, 0.0))",
            why="the arguments stay as they are: make a new tensor",
        ),
        Mistake("records gradients", "@torch.no_grad()\n", "", why="these are targets: no gradient flows into them"),
    ],
)
