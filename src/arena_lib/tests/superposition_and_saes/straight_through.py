"""Judges of the kernel and of the gradients that stand in for those of a step, section 1.5.4.

Shapes:  z and grad_output "... n_inst d_sae", theta "n_inst d_sae"
"""

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of, outputs
from arena_lib.saes.toy import jumprelu

__test__ = False


def rectangle_cases(generator: torch.Generator) -> list[Case]:
    """Many numbers around zero, and the edges."""
    return [
        Case(label="many numbers", args=(1.5 * torch.randn(40, generator=generator),), axes={"output": "number"}),
        Case(label="two axes", args=(torch.randn(3, 7, generator=generator),), axes={"output": "row column"}),
        Case(
            label="the edges",
            args=(torch.tensor([-1.0, -0.75, -0.5, -0.4999, 0.0, 0.4999, 0.5, 0.75, 1.0]),),
            axes={"output": "number"},
        ),
    ]


def rectangle_by_two_steps(x: Tensor) -> Tensor:
    """One step up, one step down."""
    return (x > -0.5).to(x) - (x >= 0.5).to(x)


test_rectangle = exercise(
    reference=jumprelu.rectangle,
    cases=rectangle_cases,
    observe=outputs,
    accepts=[rectangle_by_two_steps],
    mistakes=[
        *instead_of(
            "(x.abs() < 0.5)",
            {
                "(x.abs() < 1)": (
                    "makes the kernel twice as wide",
                    "from -1/2 to 1/2 it has width 1, so its area is 1",
                ),
                "(x.abs() <= 0.5)": ("includes the edges", "1 only where -1/2 < x < 1/2"),
                "(x < 0.5)": ("forgets the left edge", "left of -1/2 the kernel is 0 too"),
                "((x >= 0) & (x < 1))": ("begins at zero", "the kernel lies around zero, from -1/2 to 1/2"),
                "((x > -0.5) & (x < 0))": ("covers the left half alone", "the kernel lies on both sides of zero"),
                "(x.abs() > 0.5)": ("turns inside and outside round", "the kernel is 1 inside, near zero"),
                "2 * (x.abs() < 0.25)": ("makes it narrower and higher", "width 1 and height 1"),
            },
        ),
        Mistake(
            "returns True and False",
            ".to(x.dtype)",
            "",
            why="numbers are asked for, 1 and 0 in the dtype of x",
        ),
    ],
)


def window_cases(generator: torch.Generator) -> list[Case]:
    """Windows of several widths with examples inside and outside, and examples at the threshold itself."""
    cases = []
    sizes = (("a batch", (12,), 2, 5, 0.8), ("a narrow window", (30,), 1, 3, 0.3), ("one example", (), 3, 6, 1.5))
    for label, leading, n_inst, d_sae, eps in sizes:
        theta = 0.3 + torch.rand(n_inst, d_sae, generator=generator)
        z = theta + torch.randn(*leading, n_inst, d_sae, generator=generator) * eps
        grad_output = torch.randn(z.shape, generator=generator)
        axes = dict.fromkeys(("output[0]", "output[1]"), " ".join(["batch"][: len(leading)]) + " n_inst d_sae")
        cases.append(Case(label=label, args=(z, theta, eps, grad_output), axes=axes))
    theta = torch.tensor([[1.0, 2.0, 0.5]])
    z = torch.stack([theta, theta + 0.25, theta - 0.25, theta + 0.125, theta + 0.375])
    at_edges = (z, theta, 0.5, torch.linspace(1, 2, 15).reshape(5, 1, 3))
    return [*cases, Case(label="examples at the threshold, and at the window's edges", args=at_edges)]


def heaviside_by_loop(z: Tensor, theta: Tensor, eps: float, grad_output: Tensor) -> tuple[Tensor, Tensor]:
    """Asks which examples lie within half a window."""
    is_near = (theta - z).abs() < eps / 2
    return torch.zeros(z.shape), torch.where(is_near, -grad_output / eps, torch.tensor(0.0))


SIGN = "a higher threshold makes fewer latents active, so the gradient has a minus sign"
WIDTH = "the window has width eps: (z - theta) / eps goes into the kernel"
HEIGHT = "a window of width eps has height 1 / eps, so that its area is 1"
CHAIN = "the chain rule: each gradient is times grad_output"
SUMMED = "entry by entry: the sum over examples comes later"

test_heaviside_gradients = exercise(
    reference=jumprelu.heaviside_gradients,
    cases=window_cases,
    observe=outputs,
    accepts=[heaviside_by_loop],
    mistakes=[
        *instead_of(
            "-rectangle((z - theta) / eps) / eps * grad_output",
            {
                "rectangle((z - theta) / eps) / eps * grad_output": ("forgets the minus sign", SIGN),
                "-rectangle((z - theta) / eps) * grad_output": ("leaves out 1 / eps", HEIGHT),
                "-rectangle((z - theta) / eps) * eps * grad_output": ("multiplies by eps", HEIGHT),
                "-rectangle(z - theta) / eps * grad_output": ("leaves out eps in the kernel", WIDTH),
                "-rectangle((z - theta) * eps) / eps * grad_output": ("multiplies by eps in the kernel", WIDTH),
                "-rectangle((z - theta) / (2 * eps)) / eps * grad_output": (
                    "makes the window twice as wide",
                    "the window reaches from theta - eps / 2 to theta + eps / 2",
                ),
                "-rectangle(z / eps) / eps * grad_output": (
                    "puts the window around zero",
                    "the window lies around the threshold",
                ),
                "-rectangle((z - theta) / eps) / eps": ("leaves out grad_output", CHAIN),
                "-theta * rectangle((z - theta) / eps) / eps * grad_output": (
                    "takes JumpReLU's gradient",
                    "the step has height 1, not theta",
                ),
                "(-rectangle((z - theta) / eps) / eps * grad_output).sum(dim=0)": ("sums over the examples", SUMMED),
            },
        ),
        *instead_of(
            "torch.zeros_like(z)",
            {
                "grad_output": (
                    "passes the gradient on to z",
                    "away from the threshold the step is flat, so z gets no gradient",
                ),
                "rectangle((z - theta) / eps) / eps * grad_output": (
                    "gives z the window's gradient",
                    "only thresholds are moved by the window: z gets zeros",
                ),
                "(z > theta) * grad_output": ("gives z the gradient of a JumpReLU", "the step is flat: z gets zeros"),
                "None": ("returns None for z", "zeros in the shape of z are asked for"),
            },
        ),
    ],
)


def jumprelu_by_masks(z: Tensor, theta: Tensor, eps: float, grad_output: Tensor) -> tuple[Tensor, Tensor]:
    """Fills zeros where nothing flows."""
    is_near, is_active = (z - theta).abs() < eps / 2, z > theta
    to_theta = -(theta / eps) * grad_output
    return grad_output.masked_fill(~is_active, 0.0), to_theta.masked_fill(~is_near, 0.0)


test_jumprelu_gradients = exercise(
    reference=jumprelu.jumprelu_gradients,
    cases=window_cases,
    observe=outputs,
    accepts=[jumprelu_by_masks],
    mistakes=[
        *instead_of(
            "-theta * rectangle((z - theta) / eps) / eps * grad_output",
            {
                "theta * rectangle((z - theta) / eps) / eps * grad_output": ("forgets the minus sign", SIGN),
                "-rectangle((z - theta) / eps) / eps * grad_output": (
                    "leaves out theta",
                    "at the threshold the output jumps by theta",
                ),
                "-z * rectangle((z - theta) / eps) / eps * grad_output": (
                    "takes z for the height of the jump",
                    "at the threshold the output jumps by theta",
                ),
                "-theta * rectangle((z - theta) / eps) * grad_output": ("leaves out 1 / eps", HEIGHT),
                "-theta * rectangle(z - theta) / eps * grad_output": ("leaves out eps in the kernel", WIDTH),
                "-theta * rectangle((z - theta) / (2 * eps)) / eps * grad_output": (
                    "makes the window twice as wide",
                    "the window reaches from theta - eps / 2 to theta + eps / 2",
                ),
                "-theta * rectangle((z - theta) / eps) / eps": ("leaves out grad_output for theta", CHAIN),
                "-theta * rectangle((z - theta) / eps) / eps * (z > theta) * grad_output": (
                    "looks at active examples only",
                    "the window lies on both sides of the threshold",
                ),
                "(-theta * rectangle((z - theta) / eps) / eps * grad_output).sum(dim=0)": (
                    "sums over the examples",
                    SUMMED,
                ),
            },
        ),
        *instead_of(
            "(z > theta) * grad_output,",
            {
                "grad_output,": (
                    "passes the whole gradient on to z",
                    "below the threshold the output is 0 whatever z is: no gradient there",
                ),
                "(z >= theta) * grad_output,": ("counts z = theta as active", "active is only what lies above theta"),
                "(z > 0) * grad_output,": (
                    "takes the gradient of ReLU",
                    "between 0 and theta the output is 0, so nothing flows there",
                ),
                "torch.zeros_like(z),": (
                    "gives z no gradient",
                    "above the threshold the output is z itself: the gradient passes on",
                ),
                "(z > theta).to(z.dtype),": ("leaves out grad_output for z", CHAIN),
                "z * (z > theta) * grad_output,": ("multiplies z's gradient by z", "above theta the slope is 1"),
            },
        ),
    ],
)
