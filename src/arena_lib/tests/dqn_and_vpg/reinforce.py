"""Judges of section 2.2's policy loss, and of how much its gradient varies.

Shapes:  returns, logprobs, importance weights "*shape" -> a scalar
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from arena_lib.checking import Case, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.rl.policy_gradient import loss

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
    value = function(*(leaf * 1 for leaf in leaves.values()))
    if isinstance(value, Tensor) and value.requires_grad:
        value.sum().backward()
    gradients = {
        f"gradient of {name}": torch.zeros_like(leaf) if leaf.grad is None else leaf.grad
        for name, leaf in leaves.items()
    }
    return {"output": value.detach() if isinstance(value, Tensor) else value, **gradients}


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
    mistakes=instead_of(
        "-(iw.detach() * returns.detach() * logprobs_taken).mean()",
        {
            "(iw.detach() * returns.detach() * logprobs_taken).mean()": (
                "forgets the minus",
                "an optimizer makes a loss smaller: without the minus good actions become rarer",
            ),
            "-(iw.detach() * returns.detach() * logprobs_taken).sum()": (
                "sums over the steps",
                "the mean keeps the size of a step apart from the size of the rollout",
            ),
            "-(returns.detach() * logprobs_taken).mean()": (
                "leaves out the importance weights",
                "they make up for the policy's change since the actions were drawn",
            ),
            "-(iw.detach() * logprobs_taken).mean()": (
                "leaves out the returns",
                "actions that brought more must become likelier",
            ),
            "-(iw.detach() * returns.detach() * logprobs_taken.exp()).mean()": (
                "takes probabilities without their logarithm",
                "the policy gradient is that of the log-probability",
            ),
            "-(iw * returns.detach() * logprobs_taken).mean()": (
                "lets a gradient flow to the importance weights",
                DATA,
            ),
            "-(iw.detach() * returns * logprobs_taken).mean()": ("lets a gradient flow to the returns", DATA),
            "-(iw.detach() * returns.detach() * logprobs_taken.detach()).mean()": (
                "detaches the log-probabilities",
                DATA,
            ),
            "-(iw.detach() * returns.detach()).mean() * logprobs_taken.mean()": (
                "multiplies means",
                "each action counts with its own return",
            ),
            "-(iw.detach() * returns.detach() * logprobs_taken).flatten().sum() / len(returns)": (
                "divides by the length of the first axis",
                "the mean is over all entries",
            ),
            "-(returns.detach() / iw.detach() * logprobs_taken).mean()": (
                "divides by the importance weights",
                "what is likelier now than then counts more",
            ),
        },
    ),
)


def variance_cases(generator: torch.Generator) -> list[Case]:
    """Several losses, two losses, losses that are all alike."""
    return [
        Case(label=label, call="losses, parameters", given={"scales": scales})
        for label, scales in {
            "five losses": torch.randn(5, 8, generator=generator),
            "two losses": torch.randn(2, 8, generator=generator),
            "losses that are all alike": torch.ones(3, 8),
        }.items()
    ]


def variance_seen(function: Callable[..., Any], case: Case) -> Observations:
    """The variance, and that parameters and their gradients are as they were."""
    parameters = [nn.Parameter(torch.arange(1.0, 7).view(2, 3)), nn.Parameter(torch.tensor([0.5, -1.0]))]
    flat = torch.cat([parameter.flatten() for parameter in parameters])
    hidden = flat.tanh()  # a graph that all losses share
    losses = [(hidden * scale).sum() for scale in case.given["scales"]]
    output = function(losses, parameters)
    changed = not torch.equal(parameters[1].detach(), torch.tensor([0.5, -1.0]))
    return {
        "output": output.detach() if isinstance(output, Tensor) else output,
        "a parameter changed": changed,
        "a parameter has a .grad": any(parameter.grad is not None for parameter in parameters),
    }


def variance_by_distances(losses: Any, parameters: Any) -> float:
    """Sums squared distances from the mean gradient."""
    rows = []
    for value in losses:
        gradients = torch.autograd.grad(value, list(parameters), retain_graph=True)
        rows.append(torch.cat([gradient.reshape(-1) for gradient in gradients]))
    table = torch.stack(rows)
    return ((table - table.mean(0)) ** 2).sum().item() / (len(rows) - 1)


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
            },
        ),
    ],
)
