"""Judges of the two functions with gradients of their own, and of L0 as a loss, section 1.5.4.

Shapes:  z and pre_acts "... n_inst d_sae", theta "n_inst d_sae"
"""

from collections.abc import Callable
from typing import Any

import einops
import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, Unfit, exercise, instead_of, outputs_and_gradients
from arena_lib.checking.observing import Observations
from arena_lib.saes.toy import jumprelu

__test__ = False


def step_cases(generator: torch.Generator) -> list[Case]:
    """Any number of leading axes; windows of several widths; examples at the threshold; both precisions."""
    cases = []
    sizes = (
        ("a batch", (12,), 2, 5, 0.8, torch.float32),
        ("a narrow window", (30,), 1, 3, 0.3, torch.float32),
        ("one example", (), 3, 6, 1.5, torch.float32),
        ("two leading axes", (4, 3), 2, 3, 0.6, torch.float32),
        ("double precision", (6,), 2, 4, 0.5, torch.float64),
    )
    for label, leading, n_inst, d_sae, eps, dtype in sizes:
        theta = 0.3 + torch.rand(n_inst, d_sae, generator=generator, dtype=dtype)
        z = theta + eps * torch.randn(*leading, n_inst, d_sae, generator=generator, dtype=dtype)
        if leading:
            z[0] = theta
        axes = {"output": " ".join(["batch", "seq"][: len(leading)]) + " n_inst d_sae"}
        axes["gradient of z"] = axes["output"]
        tensors = {"z": z, "theta": theta, "grad_output": torch.randn(z.shape, generator=generator, dtype=dtype)}
        cases.append(Case(label=label, call=f"z, theta, {eps}", given={"tensors": tensors, "eps": eps}, axes=axes))
    return cases


def applied(cls: Any, case: Case) -> Observations:
    """The output, and the gradients for z and theta of a fixed projection of it."""
    if not (isinstance(cls, type) and issubclass(cls, torch.autograd.Function)):
        raise Unfit(f"This test takes the class, a torch.autograd.Function: got {cls!r:.60}. Pass the class itself.")
    tensors = case.given["tensors"]
    z, theta = (tensors[name].clone().requires_grad_() for name in ("z", "theta"))
    output = cls.apply(z, theta, case.given["eps"])
    seen = {"output": output.detach()}
    if output.requires_grad:
        gradients = torch.autograd.grad(output, [z, theta], tensors["grad_output"], allow_unused=True)
        seen |= {f"gradient of {name}": gradient for name, gradient in zip(("z", "theta"), gradients, strict=True)}
    seen["z changed"] = not torch.equal(z, tensors["z"])
    return seen


class StepByHand(torch.autograd.Function):
    """Keeps what it needs in the forward pass, and adds up over the leading axes."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, theta: Tensor, eps: float) -> Tensor:
        ctx.is_near, ctx.eps = (z - theta).abs() < eps / 2, eps
        return torch.ones_like(z).masked_fill(z <= theta, 0.0)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> Any:
        weighted = torch.where(ctx.is_near, grad_outputs[0], 0.0) / ctx.eps
        return torch.zeros_like(weighted), -weighted.reshape(-1, *weighted.shape[-2:]).sum(dim=0), None


SUM = "each threshold belongs to all examples, so its gradient is the sum over them: the shape of theta"
KEEP_EPS = "eps is an argument: forward keeps it in ctx for backward"


def in_backward(cls: str, gradients: str) -> tuple[Mistake, ...]:
    """Mistakes that both functions share in their backward pass."""
    return (
        *instead_of(
            "grad_theta.sum_to_size(theta.shape), None",
            {
                "grad_theta.flatten(0, -3).mean(dim=0) if z.ndim > 2 else grad_theta, None": (
                    "takes the mean over the examples",
                    SUM,
                ),
                "grad_theta.sum(dim=0), None": ("sums over the first axis alone", SUM, "RuntimeError"),
                "-grad_theta.sum_to_size(theta.shape), None": (
                    "turns the sign of theta's gradient round",
                    f"{gradients} has the minus sign already",
                ),
                "None, None": ("gives theta no gradient", "the threshold learns by this gradient"),
            },
            within=f"{cls}.backward",
        ),
        *instead_of(
            "ctx.eps, grad_outputs[0]",
            {
                "0.01, grad_outputs[0]": ("always takes a window of 0.01", KEEP_EPS),
                "ctx.eps, torch.ones_like(z)": (
                    "leaves out grad_output",
                    "the chain rule: grad_outputs[0] is the gradient of what comes after",
                ),
            },
            within=f"{cls}.backward",
        ),
    )


test_heaviside = exercise(
    reference=jumprelu.Heaviside,
    cases=step_cases,
    observe=applied,
    accepts=[StepByHand],
    equivalent={
        "heaviside_gradients(z, theta, ctx.eps, grad_outputs[0]) -> "
        "heaviside_gradients(z, theta, ctx.eps, grad_outputs[-1])": "there is one output, so one gradient",
    },
    mistakes=[
        *instead_of(
            "return (z > theta).to(z.dtype)",
            {
                "return (z >= theta).to(z.dtype)": ("counts z = theta as active", "1 only where z lies above theta"),
                "return (z < theta).to(z.dtype)": ("turns the step round", "1 where z lies above theta"),
                "return (z > theta).float()": ("always returns float32", "the step has z's dtype"),
                "return (z > 0).to(z.dtype)": ("puts the step at zero", "the step is at theta"),
                "return torch.where(z > theta, z, 0.0)": ("keeps z above theta", "above theta the step is 1"),
                "return torch.sigmoid((z - theta) / eps)": (
                    "makes a smooth step",
                    "forwards the step is sharp; only its gradient is smoothed",
                ),
            },
            within="Heaviside.forward",
        ),
        Mistake(
            "gives z the gradient of a JumpReLU",
            "return grad_z,",
            "return (z > theta) * grad_outputs[0],",
            within="Heaviside.backward",
            why="the step is flat on both sides: z gets zeros",
        ),
        Mistake(
            "multiplies theta's gradient by theta",
            "return grad_z, grad_theta.",
            "return grad_z, (theta * grad_theta).",
            within="Heaviside.backward",
            why="the step has height 1, not theta",
        ),
        *in_backward("Heaviside", "heaviside_gradients"),
    ],
)


class JumpByHand(torch.autograd.Function):
    """Multiplies by the step, and leaves the sum over examples to autograd, which knows theta's shape."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, theta: Tensor, eps: float) -> Tensor:
        ctx.save_for_backward(z, theta, torch.tensor(eps))
        return z * (z > theta)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> Any:
        z, theta, eps = ctx.saved_tensors
        is_near = ((z - theta).abs() < eps / 2).to(z)
        return grad_outputs[0] * (z > theta), -theta / eps * is_near * grad_outputs[0], None


test_jumprelu = exercise(
    name="jumprelu",
    reference=jumprelu.JumpReLU,
    cases=step_cases,
    observe=applied,
    accepts=[JumpByHand],
    equivalent={
        "jumprelu_gradients(z, theta, ctx.eps, grad_outputs[0]) -> "
        "jumprelu_gradients(z, theta, ctx.eps, grad_outputs[-1])": "there is one output, so one gradient",
    },
    mistakes=[
        *instead_of(
            "return torch.where(z > theta, z, 0.0)",
            {
                "return torch.relu(z - theta)": (
                    "subtracts theta",
                    "above theta z stays as it is: that is what keeps JumpReLU from shrinking",
                ),
                "return torch.where(z >= theta, z, 0.0)": (
                    "counts z = theta as active",
                    "z stays only where it lies above theta",
                ),
                "return torch.relu(z)": ("cuts at zero", "what lies below theta becomes 0"),
                "return (z > theta).to(z.dtype)": ("says only which are active", "above theta z stays as it is"),
                "return z.clamp_min(0).maximum(theta.expand_as(z))": (
                    "lifts what lies below theta up to it",
                    "what lies below theta becomes 0",
                ),
            },
            within="JumpReLU.forward",
        ),
        *instead_of(
            "return grad_z,",
            {
                "return grad_outputs[0],": (
                    "passes the whole gradient on to z",
                    "below theta the output is 0 whatever z is: no gradient there",
                ),
                "return (z > 0) * grad_outputs[0],": (
                    "takes the gradient of ReLU",
                    "between 0 and theta the output is 0, so nothing flows there",
                ),
                "return torch.zeros_like(z),": (
                    "gives z no gradient",
                    "above theta the output is z itself: the gradient passes on",
                ),
            },
            within="JumpReLU.backward",
        ),
        Mistake(
            "leaves theta out of its gradient",
            "return grad_z, grad_theta.",
            "return grad_z, (grad_theta / theta).",
            within="JumpReLU.backward",
            why="at the threshold the output jumps by theta, not by 1",
        ),
        *in_backward("JumpReLU", "jumprelu_gradients"),
    ],
)


def l0_cases(generator: torch.Generator) -> list[Case]:
    """Some latents within the window, some at the threshold, some far from it."""
    cases = []
    for label, batch, n_inst, d_sae, eps in (("a batch", 8, 3, 5, 0.7), ("one example", 1, 2, 4, 1.5)):
        theta = 0.3 + torch.rand(n_inst, d_sae, generator=generator)
        pre_acts = theta + 0.6 * torch.randn(batch, n_inst, d_sae, generator=generator)
        pre_acts[0, 0, 0] = theta[0, 0]
        cases.append(Case(label=label, args=(pre_acts, theta, eps), axes={"output": "batch n_inst"}))
    return cases


def l0_by_function(pre_acts: Tensor, theta: Tensor, eps: float) -> Tensor:
    """With a step of its own."""
    step: Callable[..., Any] = StepByHand.apply
    return einops.reduce(step(pre_acts, theta, eps), "batch inst sae -> batch inst", "sum")


test_compute_l0_loss = exercise(
    reference=jumprelu.compute_l0_loss,
    cases=l0_cases,
    observe=outputs_and_gradients,
    accepts=[l0_by_function],
    mistakes=[
        *instead_of(
            "Heaviside.apply(pre_acts, theta, eps).sum(dim=-1)",
            {
                "(pre_acts > theta).float().sum(dim=-1)": (
                    "counts without gradients",
                    "a comparison has no gradient, so no threshold would move: Heaviside.apply counts with one",
                ),
                "JumpReLU.apply(pre_acts, theta, eps).sum(dim=-1)": (
                    "adds up the latents",
                    "L0 counts each active latent once, however large it is",
                ),
                "Heaviside.apply(pre_acts, theta, eps).mean(dim=-1)": (
                    "takes the mean over the latents",
                    "the sum over d_sae is how many are active",
                ),
                "Heaviside.apply(pre_acts, theta, eps).sum(dim=0)": (
                    "sums over the batch",
                    "each example of each instance has a count of its own",
                ),
                "Heaviside.apply(pre_acts, theta, eps).sum(dim=-1).mean(dim=0)": (
                    "takes the mean over the batch too",
                    "each example of each instance has a count of its own",
                ),
                "Heaviside.apply(pre_acts, torch.zeros_like(theta), eps).sum(dim=-1)": (
                    "counts what lies above zero",
                    "active is what lies above its threshold",
                ),
                "Heaviside.apply(pre_acts, theta, 0.01).sum(dim=-1)": (
                    "always takes a window of 0.01",
                    "eps is an argument",
                ),
            },
        ),
    ],
)
