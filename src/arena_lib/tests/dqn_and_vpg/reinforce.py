"""Judges of section 2.2's policy loss, and of how much its gradient varies.

Shapes:  returns, logprobs, importance weights "*shape" -> a scalar
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.checking.observing import CHANGED, Observations
from arena_lib.rl.policy_gradient import loss
from arena_lib.tests.dqn_and_vpg.arguments import names_of_changed

__test__ = False


def reinforce_cases(generator: torch.Generator) -> list[Case]:
    """Returns of both signs, several environments and one axis."""
    return [
        Case(
            label=label,
            call="returns, logprobs_taken, iw",
            given={
                "returns": 2 * torch.randn(shape, generator=generator),
                "logprobs": -torch.rand(shape, generator=generator) - 0.1,
                "iw": torch.rand(shape, generator=generator) + 0.5,
            },
        )
        for label, shape in {"several environments": (3, 5), "one axis": (7,), "one step": (2, 1)}.items()
    ]


def reinforce_seen(function: Callable[..., Any], case: Case) -> Observations:
    """The loss and its gradients."""
    leaves = {name: case.given[name].clone().requires_grad_() for name in ("returns", "logprobs", "iw")}
    passed = {name: leaf * 1 for name, leaf in leaves.items()}
    value = function(*passed.values())
    if isinstance(value, Tensor) and value.requires_grad:
        value.sum().backward()
    gradients = {
        f"gradient of {name}": torch.zeros_like(leaf) if leaf.grad is None else leaf.grad
        for name, leaf in leaves.items()
    }
    output = value.detach() if isinstance(value, Tensor) else value
    return {"output": output, **gradients, CHANGED: names_of_changed(passed, leaves)}


def reinforce_by_dot(values: Tensor, logprobs: Tensor, iw: Tensor) -> Tensor:
    """A dot product."""
    factors = (values * iw).detach().flatten()
    return -(factors @ logprobs.flatten()) / len(factors)


DATA = (
    "returns and importance weights say how much each action counts; the gradient goes to the log-probabilities alone"
)

test_compute_reinforce_loss = exercise(
    reference=loss.compute_reinforce_loss,
    cases=reinforce_cases,
    observe=reinforce_seen,
    accepts=[reinforce_by_dot],
    mistakes=[
        Mistake(
            "forgets the minus",
            "return -(",
            "return (",
            why="an optimizer makes a loss smaller: without the minus good actions become rarer",
        ),
        *instead_of(
            ".mean()",
            {
                ".sum()": (
                    "sums over the steps",
                    "the mean keeps the size of a step apart from the size of the rollout",
                ),
                ".flatten().sum() / len(returns)": (
                    "divides by the length of the first axis",
                    "the mean is over all entries",
                ),
                ".sum(dim=-1).mean()": (
                    "sums over the last axis, and averages over the first",
                    "the mean is over all entries",
                ),
                ".sum(dim=-1)": ("sums the steps of each environment", "the loss is one number, the mean of all"),
                ".mean(dim=-1)": ("returns a loss for each environment", "the loss is one number, the mean of all"),
                ".sum() / iw.detach().sum()": (
                    "divides by the sum of the importance weights",
                    "it is the mean over all entries: divide by their number",
                ),
            },
        ),
        *instead_of(
            "(iw.detach() * ",
            {
                "(": (
                    "leaves out the importance weights",
                    "they make up for the policy's change since the actions were drawn",
                ),
                "(iw * ": ("lets a gradient flow to the importance weights", DATA),
                "(1 / iw.detach() * ": (
                    "divides by the importance weights",
                    "what is likelier now than then counts more",
                ),
            },
        ),
        *instead_of(
            "returns.detach()",
            {
                "1.0": ("leaves out the returns", "actions that brought more must become likelier"),
                "returns": ("lets a gradient flow to the returns", DATA),
                "returns.detach().clamp_min(0)": (
                    "drops returns below zero",
                    "actions that brought less than nothing must become rarer",
                ),
                "(returns.detach() - returns.detach().mean())": (
                    "subtracts the mean of the returns",
                    "the returns count as they come; normalize_returns does that before",
                ),
            },
        ),
        *instead_of(
            " * logprobs_taken)",
            {
                " * logprobs_taken.exp())": (
                    "takes probabilities without their logarithm",
                    "the policy gradient is that of the log-probability",
                ),
                " * logprobs_taken.detach())": ("detaches the log-probabilities", DATA),
                ")": (
                    "leaves out the log-probabilities",
                    "the gradient flows to the log-probabilities alone",
                ),
                " + logprobs_taken)": (
                    "adds the log-probabilities",
                    "a return says how much its log-probability counts: multiply",
                ),
            },
        ),
        Mistake(
            "multiplies means",
            "returns.detach() * logprobs_taken).mean()",
            "returns.detach()).mean() * logprobs_taken.mean()",
            why="each action counts with its own return",
        ),
        Mistake(
            "writes into the returns",
            "iw.detach() * returns.detach()",
            "returns.detach().mul_(iw.detach())",
            why="a detached tensor shares its numbers with the one that it was made of: write a * b",
        ),
    ],
)


def variance_cases(generator: torch.Generator) -> list[Case]:
    """Several losses, two losses, losses that are all alike; parameters one by one; gradients that were there."""
    runs = [
        ("five losses", torch.randn(5, 8, generator=generator), False, False),
        ("two losses", torch.randn(2, 8, generator=generator), False, False),
        ("losses that are all alike", torch.ones(3, 8), False, False),
        ("parameters as network.parameters() gives them", torch.randn(4, 8, generator=generator), True, False),
        ("parameters that have a .grad already", torch.randn(3, 8, generator=generator), False, True),
    ]
    return [
        Case(
            label=label,
            call=f"losses, {'network.parameters()' if is_iterator else 'parameters'}",
            given={"scales": scales, "is_iterator": is_iterator, "has_old": has_old},
        )
        for label, scales, is_iterator, has_old in runs
    ]


def variance_seen(function: Callable[..., Any], case: Case) -> Observations:
    """The variance, and that parameters and their gradients are as they were."""
    parameters = [nn.Parameter(torch.arange(1.0, 7).view(2, 3)), nn.Parameter(torch.tensor([0.5, -1.0]))]
    flat = torch.cat([parameter.flatten() for parameter in parameters])
    hidden = flat.tanh()  # a graph that all losses share
    losses = [(hidden * scale).sum() for scale in case.given["scales"]]
    old = [torch.full_like(parameter, 0.3) if case.given["has_old"] else None for parameter in parameters]
    for parameter, gradient in zip(parameters, old, strict=True):
        parameter.grad = None if gradient is None else gradient.clone()
    output = function(losses, iter(parameters) if case.given["is_iterator"] else parameters)
    changed = not torch.equal(parameters[1].detach(), torch.tensor([0.5, -1.0]))
    return {
        "output": output.detach() if isinstance(output, Tensor) else output,
        "a parameter changed": changed,
        "a parameter's .grad changed": not all(map(has_gradient, parameters, old)),
    }


def has_gradient(parameter: nn.Parameter, gradient: Tensor | None) -> bool:
    """Whether this is the parameter's .grad, which may be None."""
    if parameter.grad is None or gradient is None:
        return parameter.grad is gradient
    return torch.equal(parameter.grad, gradient)


def variance_by_distances(losses: Any, parameters: Any) -> float:
    """Sums squared distances from the mean gradient."""
    rows, parameters = [], tuple(parameters)
    for value in losses:
        gradients = torch.autograd.grad(value, parameters, retain_graph=True)
        rows.append(torch.cat([gradient.reshape(-1) for gradient in gradients]))
    table = torch.stack(rows)
    return ((table - table.mean(0)) ** 2).sum().item() / (len(rows) - 1)


FORGET = "[setattr(p, 'grad', None) for p in parameters]"

test_compute_gradient_variance = exercise(
    reference=loss.compute_gradient_variance,
    cases=variance_cases,
    observe=variance_seen,
    accepts=[variance_by_distances],
    mistakes=[
        *instead_of(
            "float(flat.var(dim=0).sum())",
            {
                "float(flat.std(dim=0).sum())": ("sums standard deviations", "variances are summed"),
                "float(flat.var(dim=0).mean())": (
                    "averages over the parameters",
                    "the sum over all parameters is the squared distance of a gradient from the mean one",
                ),
                "float(flat.var())": (
                    "takes the variance of all entries together",
                    "each entry of the gradient has a variance over the losses",
                ),
                "float(flat.var(dim=1).sum())": (
                    "takes the variance over the parameters",
                    "the variance is over the losses, entry by entry",
                ),
                "float(flat.var(dim=0, correction=0).sum())": (
                    "divides by n in the variance",
                    "the docstring asks for n - 1",
                ),
                "float(flat.norm(dim=1).var())": (
                    "takes the variance of the gradients' lengths",
                    "gradients of one length may point anywhere",
                ),
                "float(flat.var(dim=0, correction=0).mean())": (
                    "divides by n, and averages over the parameters",
                    "the docstring asks for n - 1, and for the sum of the variances",
                ),
                "float((flat - flat.mean(dim=0)).square().sum())": (
                    "doesn't divide by n - 1",
                    "a variance is the sum of squares divided by n - 1",
                ),
                "float(flat.var(dim=0).max())": ("takes the largest variance", "the variances are summed"),
                "float(flat.var(dim=0).norm())": ("takes the length of the variances", "the variances are summed"),
                "float(flat.var(dim=0).sum().sqrt())": (
                    "takes the root of the sum",
                    "the sum of the variances is the mean squared distance itself",
                ),
                "float(flat.sum(dim=1).var())": (
                    "sums each gradient's entries before it takes the variance",
                    "each entry of the gradient has a variance of its own",
                ),
                "float(torch.stack([loss.detach() for loss in losses]).var())": (
                    "takes the variance of the losses",
                    "the gradients of the losses are meant, entry by entry",
                ),
                "float(flat.square().sum(dim=1).mean())": (
                    "doesn't subtract the mean gradient",
                    "the variance is around the mean gradient",
                ),
            },
        ),
        *instead_of(
            "torch.autograd.grad(loss, parameters, retain_graph=True)",
            {
                "torch.autograd.grad(loss, parameters)": (
                    "frees the graph that the losses share",
                    "retain_graph=True keeps it for the next loss",
                    "RuntimeError",
                ),
                "torch.autograd.grad(loss, parameters[:1], retain_graph=True)": (
                    "looks at the first parameter only",
                    "the gradient is that of all parameters",
                ),
                "(loss.backward(retain_graph=True), [p.grad.clone() for p in parameters])[1]": (
                    "adds up the gradients in .grad",
                    "backward adds to what is there: torch.autograd.grad returns a gradient and leaves .grad alone",
                ),
                f"({FORGET}, loss.backward(retain_graph=True), [p.grad.clone() for p in parameters])[-1]": (
                    "leaves its gradients in .grad",
                    "the parameters' .grad stay as they were: torch.autograd.grad returns a gradient and leaves them alone",
                ),
                f"({FORGET}, loss.backward(retain_graph=True), [p.grad.clone() for p in parameters], {FORGET})[-2]": (
                    "clears the parameters' .grad",
                    "the parameters' .grad stay as they were: torch.autograd.grad returns a gradient and leaves them alone",
                ),
            },
        ),
        Mistake(
            "goes through the parameters anew for each loss",
            "parameters = list(parameters)",
            "pass",
            why="network.parameters() can be gone through once only: make a list of it first",
        ),
    ],
)
