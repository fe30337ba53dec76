"""Judges of products with the Hessian, and of the Hessian itself."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, Tolerance, exercise, instead_of
from arena_lib.fundamentals.landscapes import hessian_vector_products as products
from arena_lib.tests.loss_landscapes.watching import (
    draw,
    keeps_a_history,
    makes_arguments_want_gradients,
    measured,
)

__test__ = False

Loss = Callable[[Tensor], Tensor]


def mixed(theta: Tensor) -> Tensor:
    """Powers and an exp of products."""
    return theta[0] * theta[1] ** 2 + torch.exp(theta[2] * theta[0]) + theta[1] ** 4


def logsumexp(theta: Tensor) -> Tensor:
    """Every pair of parameters meets."""
    return torch.logsumexp(torch.outer(theta, theta.cos()).sum(dim=1), dim=0)


def straight(theta: Tensor) -> Tensor:
    """The same gradient everywhere."""
    return (theta * 3.0).sum()


def quartic(theta: Tensor) -> Tensor:
    """Curved beyond parabolas."""
    return (theta.cumsum(0) ** 4).mean()


def crooked_form(theta: Tensor) -> Tensor:
    """Its Hessian is the matrix plus its transpose."""
    rows = torch.arange(1.0, len(theta) ** 2 + 1, dtype=theta.dtype).reshape(len(theta), -1)
    return theta @ rows @ theta


LOSSES: dict[str, tuple[Loss, int]] = {
    "mixed derivatives": (mixed, 3),
    "a log of a sum": (logsumexp, 5),
    "a quartic": (quartic, 4),
    "a quadratic form that isn't symmetric": (crooked_form, 6),
}


def difference_cases(generator: torch.Generator) -> list[Case]:
    """Coarse steps, which tell central from one-sided, and the usual one."""
    steps: list[tuple[float, ...]] = [(0.3,), (), (0.1,), (0.5,)]
    return [
        Case(
            label=label,
            args=(loss, draw(generator, n), draw(generator, n), *eps),
            call="loss_fn, theta, v" + "".join(f", {e}" for e in eps),
        )
        for (label, (loss, n)), eps in zip(LOSSES.items(), steps, strict=True)
    ]


def difference_by_autograd(loss_fn: Loss, theta: Tensor, v: Tensor, eps: float = 1e-4) -> Tensor:
    """With backward on both places."""
    gradients = []
    for sign in (1, -1):
        place = (theta + sign * eps * v).detach().requires_grad_(True)
        loss_fn(place).backward()
        gradients.append(place.grad)
    return (gradients[0] - gradients[1]) / eps / 2  # type: ignore[operator]


DIFFERENCE = "(ahead - behind) / (2 * eps)"
test_hvp_by_differences = exercise(
    reference=products.hvp_by_differences,
    cases=difference_cases,
    observe=measured,
    tolerance={
        name: Tolerance(rtol=1e-5, atol=1e-7) for name in ("output", "output where the arguments require gradients")
    },
    accepts=[difference_by_autograd],
    mistakes=[
        *instead_of(
            DIFFERENCE,
            {
                "(ahead - behind) / eps": ("divides by eps alone", "from behind to ahead it is 2 * eps"),
                "(behind - ahead) / (2 * eps)": ("has the wrong sign", "it's ahead minus behind"),
                "(ahead + behind) / (2 * eps)": (
                    "adds the gradients",
                    "it's how much the gradient changes: a difference",
                ),
                "(ahead - behind) / 2 * eps": (
                    "multiplies by eps",
                    "the whole 2 * eps is below the line: it needs brackets",
                ),
                "(ahead - compute_gradient(loss_fn, theta)) / eps": (
                    "goes to one side alone",
                    "a central difference goes eps * v ahead and eps * v behind: its error is far smaller",
                ),
                "((ahead - behind) @ v) * v / (2 * eps)": (
                    "keeps what lies along v alone",
                    "the product is a whole vector: the gradient changes in other directions too",
                ),
            },
        ),
        *instead_of(
            "theta + eps * v)",
            {
                "theta + eps)": ("forgets v", "the step goes along v"),
                "theta + eps * v / v.norm())": (
                    "divides v by its length",
                    "eps counts lengths of v: v itself is multiplied",
                ),
            },
        ),
    ],
)


def product_cases(generator: torch.Generator) -> list[Case]:
    """Mixed derivatives, a straight line, float32."""
    losses = LOSSES | {"a straight line": (straight, 3)}
    cases = [
        Case(label=label, args=(loss, draw(generator, n), draw(generator, n)), call="loss_fn, theta, v")
        for label, (loss, n) in losses.items()
    ]
    single = [draw(generator, 3, dtype=torch.float32) for _ in range(2)]
    return [*cases, Case(label="float32", args=(mixed, *single), call="loss_fn, theta, v")]


def product_by_functional(loss_fn: Loss, theta: Tensor, v: Tensor) -> Tensor:
    """By torch.autograd.functional."""
    result: Tensor = torch.autograd.functional.hvp(loss_fn, theta.detach(), v.detach())[1]
    return result


def product_forward_over_reverse(loss_fn: Loss, theta: Tensor, v: Tensor) -> Tensor:
    """Forward mode over backward mode."""
    result: Tensor = torch.func.jvp(torch.func.grad(loss_fn), (theta.detach(),), (v.detach(),))[1]
    return result


def product_on_theta(loss_fn: Loss, theta: Tensor, v: Tensor) -> Tensor:
    """Makes the caller's vector want gradients, and leaves them there."""
    theta.requires_grad_(True)
    (gradient,) = torch.autograd.grad(loss_fn(theta), theta, create_graph=True)
    if not gradient.requires_grad:
        return torch.zeros_like(theta).detach()
    (gradient @ v.detach()).backward()
    assert theta.grad is not None
    return theta.grad


def product_that_needs_a_bend(loss_fn: Loss, theta: Tensor, v: Tensor) -> Tensor:
    """Asks for the second gradient in any case."""
    point = theta.detach().requires_grad_(True)
    (gradient,) = torch.autograd.grad(loss_fn(point), point, create_graph=True)
    return torch.autograd.grad(gradient @ v.detach(), point)[0]


def product_on_a_wanting_theta(loss_fn: Loss, theta: Tensor, v: Tensor) -> Tensor:
    """Makes the caller's vector want gradients, and takes them elsewhere."""
    theta.requires_grad_(True)
    (gradient,) = torch.autograd.grad(loss_fn(theta), theta, create_graph=True)
    if not gradient.requires_grad:
        return torch.zeros_like(theta).detach()
    return torch.autograd.grad(gradient @ v.detach(), theta)[0]


def product_that_remembers(loss_fn: Loss, theta: Tensor, v: Tensor) -> Tensor:
    """Makes a graph of the second gradient, too."""
    point = theta.detach().requires_grad_(True)
    (gradient,) = torch.autograd.grad(loss_fn(point), point, create_graph=True)
    if not gradient.requires_grad:
        return torch.zeros_like(theta).detach()
    return torch.autograd.grad(gradient @ v.detach(), point, create_graph=True)[0]


def product_on_top_of_the_gradient(loss_fn: Loss, theta: Tensor, v: Tensor) -> Tensor:
    """By backward, twice into one grad."""
    point = theta.detach().requires_grad_(True)
    loss_fn(point).backward(create_graph=True)
    gradient = point.grad
    assert gradient is not None
    if not gradient.requires_grad:
        return torch.zeros_like(theta).detach()
    (gradient @ v.detach()).backward()
    assert point.grad is not None
    return point.grad.detach()


test_hessian_vector_product = exercise(
    reference=products.hessian_vector_product,
    cases=product_cases,
    observe=measured,
    accepts=[product_by_functional, product_forward_over_reverse],
    equivalent={
        "return differentiate_again(gradient, point, v.detach()) -> return differentiate_again(gradient, point, v)": (
            "the product is differentiated for theta alone"
        )
    },
    mistakes=[
        *instead_of(
            "gradient @ v",
            {
                "gradient.sum()": ("forgets v", "each column of the Hessian is weighed with an entry of v"),
                "gradient @ gradient": ("multiplies by the gradient in place of v", "the direction is v"),
                "gradient @ v / v.norm()": ("divides v by its length", "the Hessian is multiplied by v as it is"),
                "-gradient @ v": ("has the wrong sign", "the gradient times v, with its sign"),
            },
            within="differentiate_again",
        ),
        *instead_of(
            "differentiate_again(gradient, point, v.detach())",
            {
                "gradient * v.detach()": (
                    "multiplies the gradient by v, and stops",
                    "this product, added up, is differentiated again",
                ),
                "differentiate_again(gradient, point, v.detach()) * v.detach()": (
                    "multiplies by v twice",
                    "the second gradient is the product already",
                ),
                "differentiate_again(gradient, point, torch.ones_like(v)) * v.detach()": (
                    "multiplies by v too late",
                    "v goes in before the second gradient: it weighs the columns of the Hessian, not its rows",
                ),
            },
        ),
        Mistake(
            "lets the second gradient pile up on the first",
            function=product_on_top_of_the_gradient,
            why="backward adds to grad: take both with torch.autograd.grad",
        ),
        Mistake(
            "leaves its traces on theta",
            function=product_on_theta,
            why="theta stays as it is: take theta.detach().requires_grad_()",
        ),
        Mistake(
            "makes theta require a gradient",
            function=product_on_a_wanting_theta,
            why="theta stays as it is: take theta.detach().requires_grad_()",
            shows=makes_arguments_want_gradients,
        ),
        Mistake(
            "keeps a history",
            function=product_that_remembers,
            why="the result has none: detach it, or make the second gradient without create_graph",
            shows=keeps_a_history,
        ),
        Mistake(
            "stops where the loss is a straight line",
            function=product_that_needs_a_bend,
            why="a gradient that is the same everywhere has no history: the product is zeros",
        ),
    ],
)


def hessian_cases(generator: torch.Generator) -> list[Case]:
    """Mixed derivatives, a straight line, float32."""
    losses = LOSSES | {"a straight line": (straight, 2)}
    cases = [
        Case(label=label, args=(loss, draw(generator, n)), call="loss_fn, theta") for label, (loss, n) in losses.items()
    ]
    return [*cases, Case(label="float32", args=(mixed, draw(generator, 3, dtype=torch.float32)), call="loss_fn, theta")]


def hessian_by_func(loss_fn: Loss, theta: Tensor) -> Tensor:
    """By torch.func."""
    result: Tensor = torch.func.hessian(loss_fn)(theta.detach())
    return result


def hessian_by_rows(loss_fn: Loss, theta: Tensor) -> Tensor:
    """Unit vectors made one by one."""
    columns: list[Any] = []
    for i in range(len(theta)):
        unit = torch.zeros_like(theta)
        unit[i] = 1
        columns.append(products.hessian_vector_product(loss_fn, theta, unit))
    return torch.stack(columns, dim=1)


def squared_gradient(loss_fn: Loss, theta: Tensor) -> Tensor:
    """The outer product of the gradient."""
    gradient = products.compute_gradient(loss_fn, theta)
    return torch.outer(gradient, gradient)


ROWS = "torch.stack([hessian_vector_product(loss_fn, theta, unit) for unit in torch.eye(len(theta)).to(theta)])"
test_exact_hessian = exercise(
    reference=products.exact_hessian,
    cases=hessian_cases,
    observe=measured,
    accepts=[hessian_by_func, hessian_by_rows],
    mistakes=[
        *instead_of(
            ROWS,
            {
                "torch.diag(hessian_vector_product(loss_fn, theta, torch.ones_like(theta)))": (
                    "puts the sums of its rows on the diagonal",
                    "ones give the sum of all columns; a unit vector gives one",
                ),
                f"{ROWS}.triu()": ("keeps one half", "a Hessian is symmetric: both halves are filled"),
                f"{ROWS}.diag().diag()": ("keeps the diagonal alone", "mixed derivatives belong to it"),
                f"{ROWS} / 2": ("halves it", "it's the matrix of second derivatives itself"),
                ROWS.replace(".to(theta)", ".to(theta) * theta"): (
                    "multiplies along theta",
                    "the directions are unit vectors",
                ),
            },
        ),
        Mistake(
            "takes the gradient times itself",
            function=squared_gradient,
            why="curvature is how the gradient changes, not its size",
        ),
    ],
)
