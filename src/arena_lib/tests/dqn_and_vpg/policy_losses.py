"""Judges of section 2.2's policy gradient: log-probabilities, weights, the loss, its variance.

Shapes:  logprobs, entropy, returns, importance weights "n_envs n_steps"
"""

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.checking.observing import CHANGED, Observations
from arena_lib.rl.policy_gradient import loss
from arena_lib.rl.policy_gradient.rollout import Rollout
from arena_lib.tests.dqn_and_vpg.arguments import names_of_changed

__test__ = False


def make_rollout(generator: torch.Generator, n_envs: int, n_steps: int, d_obs: int, n_actions: int) -> Rollout:
    """A rollout of random steps."""
    rollout = Rollout(n_envs, n_steps, (d_obs,))
    rollout.obs = torch.randn(n_envs, n_steps, d_obs, generator=generator)
    rollout.actions = torch.randint(0, n_actions, (n_envs, n_steps), generator=generator)
    rollout.logprobs = -torch.rand(n_envs, n_steps, generator=generator) - 0.3
    rollout.n_steps = n_steps
    return rollout


def logprobs_cases(generator: torch.Generator) -> list[Case]:
    """Several environments and actions, one environment, two actions; logits that are large."""
    sizes = {
        "several environments": (3, 4, 2, 5, 1.0),
        "one environment": (1, 6, 3, 2, 1.0),
        "a policy that is sure": (2, 5, 3, 4, 30.0),
        "one step": (4, 1, 2, 3, 1.0),
    }
    return [
        Case(
            label=label,
            call="tau, pi",
            given={
                "rollout": make_rollout(generator, n_envs, n_steps, d_obs, n_actions),
                "weights": scale * torch.randn(n_actions, d_obs, generator=generator),
            },
            axes={"logprobs": "n_envs n_steps", "entropy": "n_envs n_steps"},
        )
        for label, (n_envs, n_steps, d_obs, n_actions, scale) in sizes.items()
    ]


def state_of(tau: Rollout) -> dict[str, Tensor]:
    """What a rollout holds, copied."""
    return {f"tau.{name}": getattr(tau, name).clone() for name in ("obs", "next_obs", "actions", "logprobs")}


def logprobs_seen(function: Callable[..., Any], case: Case) -> Observations:
    """Log-probabilities, entropy, and the gradient of each for the policy's weights."""
    n_actions, d_obs = case.given["weights"].shape
    policy = nn.Linear(d_obs, n_actions, bias=False)
    with torch.no_grad():
        policy.weight.copy_(case.given["weights"])
    tau = copy.deepcopy(case.given["rollout"])
    result = dict(zip(("logprobs", "entropy"), function(tau, policy), strict=True))
    seen: Observations = {name: value.detach() for name, value in result.items()}
    for name, value in result.items():
        factors = torch.linspace(0.5, 2.0, value.numel()).view(value.shape)
        flows = value.requires_grad
        gradient = torch.autograd.grad((value * factors).sum(), policy.weight, retain_graph=True)[0] if flows else None
        seen[f"gradient of {name} for the policy"] = torch.zeros(n_actions, d_obs) if gradient is None else gradient
    return seen | {CHANGED: names_of_changed(state_of(tau), state_of(case.given["rollout"]))}


def logprobs_by_distribution(tau: Rollout, pi: nn.Module) -> tuple[Tensor, Tensor]:
    """Asks torch's Categorical."""
    distribution = torch.distributions.Categorical(logits=pi(tau.obs))
    return distribution.log_prob(tau.actions), distribution.entropy()


TAKEN = "it's the action that was taken whose log-probability is asked for"

test_compute_logprobs_and_entropy = exercise(
    reference=loss.compute_logprobs_and_entropy,
    cases=logprobs_cases,
    observe=logprobs_seen,
    accepts=[logprobs_by_distribution],
    mistakes=[
        *instead_of(
            "logprobs = pi(tau.obs).log_softmax(dim=-1)",
            {
                "logprobs = pi(tau.obs)": (
                    "takes logits for log-probabilities",
                    "log_softmax makes probabilities of them that sum to one",
                ),
                "logprobs = pi(tau.obs).softmax(dim=-1)": (
                    "takes probabilities without their logarithm",
                    "the gradient of the logarithm is what the policy gradient theorem asks for",
                ),
                "logprobs = pi(tau.obs).softmax(dim=-1).log()": (
                    "takes the logarithm of a softmax that may be 0",
                    "log_softmax stays finite where a probability is too small for a float",
                ),
                "logprobs = pi(tau.obs).log_softmax(dim=-2)": (
                    "takes the softmax over the steps",
                    "the probabilities of one step's actions sum to one: the last axis",
                ),
                "logprobs = pi(tau.obs).log_softmax(dim=0)": (
                    "takes the softmax over the environments",
                    "the probabilities of one step's actions sum to one: the last axis",
                ),
                "logprobs = pi(tau.obs).detach().log_softmax(dim=-1)": (
                    "detaches the policy",
                    "the gradient of the log-probabilities is what the policy learns from",
                ),
                "logprobs = pi(tau.next_obs).log_softmax(dim=-1)": (
                    "asks the policy about the next observations",
                    "the actions were chosen for tau.obs",
                ),
            },
        ),
        *instead_of(
            "logprobs.gather(-1, tau.actions[..., None]).squeeze(-1)",
            {
                "logprobs.max(dim=-1).values": ("takes the likeliest action", TAKEN),
                "logprobs.mean(dim=-1)": ("averages over the actions", TAKEN),
                "logprobs[..., 0]": ("takes the first action", TAKEN),
                "logprobs.gather(-1, tau.actions[..., None])": (
                    "leaves an axis of length 1",
                    "one number for each step, n_envs n_steps; with one axis more, products would broadcast",
                ),
                "tau.logprobs * 1 + 0 * logprobs.sum(dim=-1)": (
                    "returns the log-probabilities of when the actions were drawn",
                    "what the policy thinks now is asked for",
                ),
                "pi(tau.obs).gather(-1, tau.actions[..., None]).squeeze(-1)": (
                    "returns the logits of the actions for their log-probabilities",
                    "log_softmax makes probabilities of logits that sum to one",
                ),
                "-logprobs.gather(-1, tau.actions[..., None]).squeeze(-1)": (
                    "turns the sign of the log-probabilities round",
                    "a log-probability is never above zero; the loss has the minus",
                ),
                "logprobs.gather(-1, tau.actions[..., None]).squeeze(-1).exp()": (
                    "returns the probabilities of the actions",
                    "the gradient of the logarithm is what the policy gradient theorem asks for",
                ),
                "logprobs.gather(-1, tau.actions[..., None]).squeeze(-1).detach()": (
                    "detaches the log-probabilities",
                    "their gradient is what the policy learns from",
                ),
                "logprobs.gather(-1, tau.actions[..., None]).squeeze(-1).sum(dim=-1)": (
                    "sums the log-probabilities of the steps",
                    "each step has a log-probability of its own",
                ),
            },
        ),
        *instead_of(
            "return taken, ",
            {
                "tau.logprobs[:] = taken.detach()\n    return taken, ": (
                    "writes into tau.logprobs",
                    "tau.logprobs say how likely the actions were when they were drawn, and must stay",
                ),
            },
        ),
        Mistake(
            "returns the entropy first",
            "return taken, -(logprobs.exp() * logprobs).sum(dim=-1)",
            "return -(logprobs.exp() * logprobs).sum(dim=-1), taken",
            why="the order is logprobs, entropy",
        ),
        *instead_of(
            "-(logprobs.exp() * logprobs)",
            {
                "-(logprobs.exp() * logprobs.exp().log())": (
                    "takes the logarithm of a probability that may be 0 in the entropy",
                    "log_softmax stays finite where a probability is too small for a float",
                ),
                "-(logprobs.exp() * logprobs.exp().log2())": (
                    "measures in bits, by the logarithm of a probability that may be 0",
                    "natural logarithms give nats, and log_softmax stays finite",
                ),
            },
        ),
        *instead_of(
            "-(logprobs.exp() * logprobs).sum(dim=-1)",
            {
                "(logprobs.exp() * logprobs).sum(dim=-1)": ("forgets the minus", "an entropy is never below zero"),
                "-(logprobs.exp() * logprobs).mean(dim=-1)": ("averages over the actions", "the terms are summed"),
                "-logprobs.sum(dim=-1)": (
                    "doesn't weigh by the probabilities",
                    "each log-probability counts as often as its action comes",
                ),
                "-(logprobs.exp() * logprobs).sum(dim=-1).detach()": (
                    "detaches the entropy",
                    "its gradient keeps the policy undecided",
                ),
                "-(logprobs.exp() * logprobs).sum(dim=-1).mean()": (
                    "averages the entropy over all steps",
                    "each step has an entropy of its own",
                ),
                "-taken": (
                    "takes the surprise of the action that was taken",
                    "the entropy is the mean surprise over all actions",
                ),
                "-(logprobs.exp() * logprobs).sum(dim=-1) / torch.tensor(float(logprobs.shape[-1])).log()": (
                    "divides the entropy by its largest value",
                    "the entropy is asked for in nats, as it is",
                ),
                "-tau.logprobs.exp() * tau.logprobs + 0 * taken": (
                    "takes the log-probabilities of when the actions were drawn for the entropy",
                    "the entropy is that of the policy now, over all actions",
                ),
                "-taken.exp() * taken": (
                    "takes the term of the action that was taken",
                    "the entropy is the sum of such terms over all actions",
                ),
                "-(logprobs.exp() * logprobs).sum(dim=-1) / 0.6931472": (
                    "measures in bits",
                    "natural logarithms give nats",
                ),
            },
        ),
    ],
)


def importance_cases(generator: torch.Generator) -> list[Case]:
    """Ratios on both sides of 1, bounded and not."""
    cases = []
    for label, n_envs, n_steps, clip in [
        ("no bound", 3, 4, None),
        ("a bound of 0.2", 2, 6, 0.2),
        ("a wide bound", 2, 5, 0.7),
        ("a bound of 0", 2, 3, 0.0),
    ]:
        rollout = make_rollout(generator, n_envs, n_steps, 2, 3)
        now = rollout.logprobs + torch.randn(n_envs, n_steps, generator=generator) * 0.5
        args = (now,) if clip is None else (now, clip)
        call = "logprobs_taken, tau" + ("" if clip is None else f", {clip}")
        axes = {"output": "n_envs n_steps"}
        cases.append(Case(label=label, call=call, given={"args": args, "rollout": rollout}, axes=axes))
    return cases


def importance_seen(function: Callable[..., Any], case: Case) -> Observations:
    """The weights, and whether they carry a gradient."""
    now, *rest = case.given["args"]
    tau, passed = copy.deepcopy(case.given["rollout"]), now.clone().requires_grad_() * 1
    output = function(passed, tau, *rest)
    after = state_of(tau) | {"logprobs_taken": passed.detach()}
    before = state_of(case.given["rollout"]) | {"logprobs_taken": now}
    carries = bool(getattr(output, "requires_grad", False))
    return {
        "output": output.detach() if isinstance(output, Tensor) else output,
        "the weights carry a gradient": carries,
        CHANGED: names_of_changed(after, before),
    }


def importance_by_division(now: Tensor, tau: Rollout, clip_coef: float | None = None) -> Tensor:
    """Divides probabilities."""
    with torch.no_grad():
        ratios = now.exp() / tau.logprobs.exp()
        if clip_coef is not None:
            ratios = torch.minimum(torch.maximum(ratios, torch.tensor(1 - clip_coef)), torch.tensor(1 + clip_coef))
        return ratios


test_compute_importance_weights = exercise(
    reference=loss.compute_importance_weights,
    cases=importance_cases,
    observe=importance_seen,
    accepts=[importance_by_division],
    mistakes=[
        *instead_of(
            "(logprobs_taken - tau.logprobs).exp().detach()",
            {
                "(tau.logprobs - logprobs_taken).exp().detach()": (
                    "turns the ratio round",
                    "now over then: what is likelier now counts more than it was drawn",
                ),
                "(logprobs_taken - tau.logprobs).detach()": (
                    "forgets the exponential",
                    "a difference of logarithms is the logarithm of the ratio",
                ),
                "(logprobs_taken / tau.logprobs).detach()": (
                    "divides log-probabilities",
                    "the ratio is that of probabilities: subtract the logarithms, then exp",
                ),
                "(logprobs_taken - tau.logprobs).exp()": (
                    "lets a gradient flow through the weights",
                    "they weigh a gradient, and have none of their own: detach",
                ),
                "logprobs_taken.exp().detach()": (
                    "leaves out the probability of then",
                    "actions that were drawn more often must count less each time",
                ),
                "(logprobs_taken - tau.logprobs).exp().detach().cumprod(dim=-1)": (
                    "multiplies the ratios along the steps",
                    "each step has a weight of its own",
                ),
                "(-tau.logprobs.sub_(logprobs_taken.detach())).exp()": (
                    "writes into tau.logprobs",
                    "tau.logprobs are needed again at the next update from the same rollout: a - b, not a.sub_(b)",
                ),
                "(lambda ratios: ratios / ratios.mean())((logprobs_taken - tau.logprobs).exp().detach())": (
                    "divides by the mean of the weights",
                    "a weight is the ratio itself",
                ),
                "(logprobs_taken - tau.logprobs).sum(dim=-1, keepdim=True).exp().expand_as(logprobs_taken).detach()": (
                    "gives every step the ratio of the whole rollout",
                    "each step has a weight of its own",
                ),
                "(logprobs_taken.exp() - tau.logprobs.exp()).detach()": (
                    "subtracts the probabilities",
                    "how much likelier is a ratio: now / then",
                ),
            },
        ),
        *instead_of(
            "weights if clip_coef is None else weights.clamp(1 - clip_coef, 1 + clip_coef)",
            {
                "weights": ("ignores clip_coef", "with a clip_coef c the ratios stay between 1 - c and 1 + c"),
                "weights if clip_coef is None else weights.clamp(max=1 + clip_coef)": (
                    "bounds the weights from above only",
                    "they stay between 1 - c and 1 + c",
                ),
                "weights if clip_coef is None else weights.clamp(min=1 - clip_coef)": (
                    "bounds the weights from below only",
                    "they stay between 1 - c and 1 + c",
                ),
                "weights if clip_coef is None else weights.clamp(-clip_coef, clip_coef)": (
                    "bounds the weights by clip_coef itself",
                    "a weight of 1 means that nothing has changed: the bounds lie around it",
                ),
                "weights if not clip_coef else weights.clamp(1 - clip_coef, 1 + clip_coef)": (
                    "takes a bound of 0 for none",
                    "only None means that there is no bound; with 0 every weight is 1: ask `is None`",
                ),
                "weights if clip_coef is None else weights.log().clamp(-clip_coef, clip_coef).exp()": (
                    "bounds the logarithms of the weights",
                    "the ratios themselves stay between 1 - c and 1 + c",
                ),
                "weights if clip_coef is None else weights * ((weights - 1).abs() <= clip_coef)": (
                    "makes weights beyond the bounds 0",
                    "they are brought to the nearest bound",
                ),
                "weights.clamp(max=1)": (
                    "always bounds by 1 from above",
                    "without clip_coef there is no bound, and with it the bound is 1 + c",
                ),
                "weights if clip_coef is None else weights.clamp(1 / (1 + clip_coef), 1 + clip_coef)": (
                    "takes 1 / (1 + c) for the lower bound",
                    "the ratios stay between 1 - c and 1 + c",
                ),
                "weights.clamp(0.8, 1.2)": ("always bounds by 0.2", "the bound is an argument"),
            },
        ),
    ],
)
