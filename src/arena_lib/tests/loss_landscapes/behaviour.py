"""Judges of how outputs move, and of the curvature that comes from it."""

from collections.abc import Callable

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.fundamentals.landscapes import behaviour, gauss_newton
from arena_lib.tests.loss_landscapes.watching import draw, keeps_a_history, measured, pure

__test__ = False

Outputs = Callable[[Tensor], Tensor]


def waves(theta: Tensor) -> Tensor:
    """Two axes."""
    rows = torch.arange(1.0, 4.0, dtype=theta.dtype)[:, None]
    return torch.stack([(rows * theta).sin().sum(dim=1), (rows + theta**2).prod(dim=1)], dim=1)


def first_only(theta: Tensor) -> Tensor:
    """Some parameters don't matter."""
    return torch.exp(theta[:2].cumsum(0)) * theta[0]


def one_number(theta: Tensor) -> Tensor:
    """No axes."""
    return (theta**3).sum()


def gradient_cases(generator: torch.Generator) -> list[Case]:
    """Two axes, one, none; parameters that no output knows; float32."""
    rows = (
        ("outputs with two axes", waves, 4),
        ("parameters that don't matter", first_only, 5),
        ("one output", one_number, 3),
    )
    cases = [Case(label=label, args=(f, draw(generator, n)), call="output_fn, theta") for label, f, n in rows]
    return [
        *cases,
        Case(label="float32", args=(waves, draw(generator, 2, dtype=torch.float32)), call="output_fn, theta"),
    ]


def gradient_by_func(output_fn: Outputs, theta: Tensor) -> Tensor:
    """By torch.func."""
    result: Tensor = torch.func.jacrev(lambda point: output_fn(point).reshape(-1))(theta.detach())
    return result


def gradient_forward(output_fn: Outputs, theta: Tensor) -> Tensor:
    """Column by column, by forward mode."""
    columns = [
        torch.func.jvp(output_fn, (theta.detach(),), (unit,))[1].flatten() for unit in torch.eye(len(theta)).to(theta)
    ]
    return torch.stack(columns, dim=1)


def gradient_of_the_sum(output_fn: Outputs, theta: Tensor) -> Tensor:
    """One gradient for all."""
    point = theta.detach().requires_grad_(True)
    outputs = output_fn(point).flatten()
    (gradient,) = torch.autograd.grad(outputs.sum(), point)
    return gradient.expand(len(outputs), -1).clone()


def gradients_that_pile_up(output_fn: Outputs, theta: Tensor) -> Tensor:
    """By backward, which adds to grad."""
    point, rows = theta.detach().requires_grad_(True), []
    for output in output_fn(point).flatten():
        output.backward(retain_graph=True)
        assert point.grad is not None
        rows.append(point.grad.clone())
    return torch.stack(rows)


def graph_that_is_gone(output_fn: Outputs, theta: Tensor) -> Tensor:
    """Without retain_graph."""
    point = theta.detach().requires_grad_(True)
    return torch.stack([torch.autograd.grad(output, point)[0] for output in output_fn(point).flatten()])


def gradient_with_a_history(output_fn: Outputs, theta: Tensor) -> Tensor:
    """By torch.func on the vector that was handed in."""
    result: Tensor = torch.func.jacrev(lambda point: output_fn(point).reshape(-1))(theta)
    return result


test_behavioural_gradient = exercise(
    reference=behaviour.behavioural_gradient,
    cases=gradient_cases,
    observe=measured,
    accepts=[gradient_by_func, gradient_forward],
    equivalent={
        "torch.autograd.grad(outputs[i], point, retain_graph=True)[0] -> torch.autograd.grad(outputs[i], point, retain_graph=True)[-1]": (
            "there is one gradient"
        )
    },
    mistakes=[
        *instead_of(
            "output_fn(point).flatten()",
            {
                "output_fn(point).T.flatten()": (
                    "counts outputs column by column",
                    "they're counted as .flatten() does, row by row",
                ),
                "output_fn(point).softmax(dim=-1).flatten()": (
                    "adds a softmax",
                    "the outputs are what output_fn gives",
                ),
            },
        ),
        *instead_of(
            "torch.stack(rows)",
            {
                "torch.stack(rows, dim=1)": ("puts outputs into columns", "there's a row for each output"),
                "torch.stack(rows) / len(rows)": (
                    "divides by the number of outputs",
                    "each row is the gradient itself",
                ),
            },
        ),
        Mistake(
            "gives every output the gradient of the sum",
            function=gradient_of_the_sum,
            why="each row is one output's gradient",
        ),
        Mistake(
            "keeps a history",
            function=gradient_with_a_history,
            why="the result has none: take theta.detach(), or detach the result",
            shows=keeps_a_history,
        ),
        Mistake(
            "lets gradients pile up in grad",
            function=gradients_that_pile_up,
            why="backward adds to grad: use torch.autograd.grad",
        ),
        Mistake(
            "throws the graph away after the first output",
            function=graph_that_is_gone,
            why="the outputs share a graph: retain_graph=True",
            raises="RuntimeError",
        ),
    ],
)


def logit_cases(generator: torch.Generator) -> list[Case]:
    """Several sizes, logits that overflow a plain exp, one class, float32."""
    rows = (
        ("four examples", (4, 3), 1.0),
        ("one example", (1, 5), 2.0),
        ("logits of any size", (3, 2), 400.0),
        ("one class", (2, 1), 1.0),
    )
    cases = [Case(label=label, args=(size * draw(generator, *shape),)) for label, shape, size in rows]
    return [
        *cases,
        Case(label="float32", args=(draw(generator, 2, 4, dtype=torch.float32),)),
    ]


def softmax_hessians_by_autograd(logits: Tensor) -> Tensor:
    """The Hessian of log-sum-exp."""
    return torch.stack([torch.func.hessian(lambda z: torch.logsumexp(z, dim=0))(row) for row in logits])


def softmax_hessians_by_loops(logits: Tensor) -> Tensor:
    """Products everywhere, then the diagonal."""
    p = torch.softmax(logits, dim=1)
    result = -p[:, :, None] * p[:, None, :]
    for i in range(logits.shape[1]):
        result[:, i, i] += p[:, i]
    return result


OUTER = 'einsum(p, p, "batch i, batch j -> batch i j")'
test_softmax_hessians = exercise(
    reference=gauss_newton.softmax_hessians,
    cases=logit_cases,
    observe=pure,
    accepts=[softmax_hessians_by_autograd, softmax_hessians_by_loops],
    mistakes=[
        *instead_of(
            f"torch.diag_embed(p) - {OUTER}",
            {
                f"torch.diag_embed(p) + {OUTER}": ("adds the product", "p_i * p_j is taken off: rows add up to 0"),
                f"-{OUTER}": ("forgets the diagonal", "where i is j, p_i is added"),
                "torch.diag_embed(p * (1 - p))": (
                    "keeps the diagonal alone",
                    "two classes compete: -p_i * p_j beside it",
                ),
                f"torch.eye(p.shape[1]).to(p) - {OUTER}": (
                    "puts ones on the diagonal",
                    "on the diagonal stands p_i, less its square",
                ),
                f"(torch.diag_embed(p) - {OUTER}) / len(p)": (
                    "takes a mean",
                    "each example has its own matrix; nothing is divided",
                ),
            },
        ),
        *instead_of(
            "logits.softmax(dim=-1)",
            {
                "logits.softmax(dim=0)": (
                    "takes softmax over the examples",
                    "probabilities add up to 1 over the classes",
                ),
                "logits.sigmoid()": ("takes sigmoids", "p is the softmax of all logits of an example"),
            },
        ),
    ],
)


def logits_of(theta: Tensor) -> Tensor:
    """Five examples, three classes, bent."""
    inputs = torch.linspace(-1, 1, 5, dtype=theta.dtype)[:, None]
    hidden = torch.tanh(inputs * theta[:2] + theta[2:4])
    return hidden @ theta[4:10].reshape(2, 3)


def one_example(theta: Tensor) -> Tensor:
    """One row of logits."""
    return torch.stack([theta[0] ** 2, theta[0] * theta[1], theta[2].exp()])[None]


def newton_cases(generator: torch.Generator) -> list[Case]:
    """Several examples, one, float32."""

    def case(label: str, output_fn: Outputs, n: int, dtype: torch.dtype = torch.float64) -> Case:
        args = (output_fn, draw(generator, n, dtype=dtype), draw(generator, n, dtype=dtype))
        return Case(label=label, args=args, call="output_fn, theta, v")

    return [
        case("five examples", logits_of, 10),
        case("one example", one_example, 4),
        case("float32", logits_of, 10, torch.float32),
    ]


def newton_by_matrix(output_fn: Outputs, theta: Tensor, v: Tensor) -> Tensor:
    """With the whole matrix."""
    point = theta.detach()
    matrix = gauss_newton.gauss_newton_matrix(behaviour.behavioural_gradient(output_fn, point), output_fn(point))
    return matrix @ v.detach()


def newton_by_probabilities(output_fn: Outputs, theta: Tensor, v: Tensor) -> Tensor:
    """The same without the small matrices: p * (u - p · u)."""
    point = theta.detach().requires_grad_(True)
    outputs = output_fn(point)
    p = outputs.detach().softmax(dim=1)
    _, moved = torch.autograd.functional.jvp(output_fn, theta.detach(), v.detach())
    bent = p * (moved - (p * moved).sum(dim=1, keepdim=True))
    return torch.autograd.grad(outputs, point, bent / len(outputs))[0]


def newton_from_the_hessian(output_fn: Outputs, theta: Tensor, v: Tensor) -> Tensor:
    """The whole Hessian of a cross-entropy, as if all labels were 0."""

    def loss(point: Tensor) -> Tensor:
        return -output_fn(point).log_softmax(dim=1)[:, 0].mean()

    result: Tensor = torch.func.jvp(torch.func.grad(loss), (theta.detach(),), (v.detach(),))[1]
    return result


def newton_with_a_history(output_fn: Outputs, theta: Tensor, v: Tensor) -> Tensor:
    """Detaches nothing."""
    logits, moved = torch.func.jvp(output_fn, (theta,), (v,))  # type: ignore[misc]
    _, pull_back = torch.func.vjp(output_fn, theta)  # type: ignore[misc]
    bent = torch.einsum("b i j, b j -> b i", gauss_newton.softmax_hessians(logits), moved) / len(logits)
    result: Tensor = pull_back(bent)[0]
    return result


BENT = 'einsum(softmax_hessians(logits), moved, "batch i j, batch j -> batch i") / len(logits)'
test_gauss_newton_product = exercise(
    reference=gauss_newton.gauss_newton_product,
    cases=newton_cases,
    observe=measured,
    accepts=[newton_by_matrix, newton_by_probabilities],
    equivalent={
        "_, pull_back = vjp(output_fn, theta.detach()) -> _, pull_back = vjp(output_fn, theta)": "the end is detached",
        "return product.detach() -> return product": "nothing before it has a history",
        "jvp(output_fn, (theta.detach(),), (v.detach(),)) -> jvp(output_fn, (theta,), (v.detach(),))": "the end is detached",
        "jvp(output_fn, (theta.detach(),), (v.detach(),)) -> jvp(output_fn, (theta.detach(),), (v,))": "the end is detached",
    },
    mistakes=[
        *instead_of(
            BENT,
            {
                "moved / len(logits)": (
                    "leaves the middle out",
                    "J^T J belongs to the squared error; cross-entropy has H_out in the middle",
                ),
                BENT.replace(" / len(logits)", ""): (
                    "adds the examples up",
                    "the loss is their mean: divide by their number",
                ),
                BENT.replace("len(logits)", "logits.numel()"): (
                    "divides by examples times classes",
                    "divide by the examples alone",
                ),
                "logits.softmax(dim=-1) * moved / len(logits)": (
                    "keeps the diagonal of H_out in part",
                    "H_out is diag(p) - p p^T: classes compete",
                ),
                "(lambda p: p * moved - p * (p * moved).sum(1, keepdim=True))(logits.softmax(dim=0)) / len(logits)": (
                    "takes softmax over the examples",
                    "probabilities add up to 1 over the classes: dim=-1",
                ),
                BENT.replace("moved", "moved.mean(dim=0).expand_as(logits)"): (
                    "takes the mean before H_out",
                    "each example's H_out meets that example's own J v; the mean comes at the end",
                ),
            },
        ),
        *instead_of(
            "jvp(output_fn, (theta.detach(),), (v.detach(),))",
            {
                "jvp(output_fn, (theta.detach(),), (torch.ones_like(v),))": ("forgets v", "the logits move along v"),
                "jvp(output_fn, (v.detach(),), (theta.detach(),))": (
                    "swaps the point and the direction",
                    "first where, then in which direction",
                ),
            },
        ),
        Mistake(
            "keeps a history",
            function=newton_with_a_history,
            why="the product has none: detach theta and v, or the product",
            shows=keeps_a_history,
        ),
        Mistake(
            "takes the whole Hessian",
            function=newton_from_the_hessian,
            why="G leaves out how the outputs bend: only J and H_out go in",
        ),
    ],
)
