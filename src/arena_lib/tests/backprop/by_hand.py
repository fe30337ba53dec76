"""Judge of a chain of backward functions that is put together by hand."""

import numpy as np
import torch

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.fundamentals.backprop import elementwise_back
from arena_lib.tests.backprop.watching import array_result

__test__ = False


def chain_cases(generator: torch.Generator) -> list[Case]:
    """Equal shapes, and every way of broadcasting; all products are above 0, so that their logarithms are there."""
    rng = np.random.default_rng(11)

    def case(label: str, *shapes: tuple[int, ...]) -> Case:
        a, b, c = (np.asarray(rng.uniform(1.5, 4.0, shape)) for shape in shapes)
        return Case(label=label, args=(a, b, c))

    return [
        case("equal shapes", (4,), (4,), (4,)),
        case("a is repeated", (3,), (2, 3), (2, 3)),
        case("b is stretched", (2, 3), (2, 1), (2, 3)),
        case("c is repeated", (2, 3), (2, 3), (3,)),
        case("all have other shapes", (2, 1, 3), (4, 1), (3,)),
        case("c has more axes than the others", (3,), (1,), (2, 3)),
        case("no axes", (), (), ()),
    ]


def chain_by_formula(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The logarithm of a product is a sum: the gradients are 1 / a, 1 / b and 1 / (c log c), as often as each is copied."""
    size = np.broadcast_shapes(a.shape, b.shape, c.shape)
    n = float(np.prod(size))
    return n / (a * a.size), n / (b * b.size), n / (c * np.log(c) * c.size)


def chain_of_products_alone(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """No step adds up what was broadcast."""
    d, e = a * b, np.log(c)
    grad_f = 1.0 / (d * e)
    grad_d, grad_e = grad_f * e, grad_f * d
    return grad_d * b, grad_d * a, grad_e / c


def chain_by_formula_alone(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The formula, as if nothing were ever repeated."""
    return 1 / a, 1 / b, 1 / (c * np.log(c))


NO_ADDING_UP = (
    "does not add up what was broadcast",
    "each gradient has the shape of its argument, in every step: multiply_back0 and multiply_back1 see to it",
)

test_forward_and_back = exercise(
    reference=elementwise_back.forward_and_back,
    cases=chain_cases,
    observe=array_result,
    accepts=[chain_by_formula],
    mistakes=[
        *instead_of(
            "return grad_a, grad_b, grad_c",
            {
                "return grad_c, grad_b, grad_a": (
                    "returns the gradients in reverse order",
                    "they are returned as the arguments come: a, b, c",
                ),
                "return grad_b, grad_a, grad_c": (
                    "swaps the gradients of a and b",
                    "they are returned as the arguments come: a, b, c",
                ),
                "return grad_d * b, grad_d * a, grad_e / c": NO_ADDING_UP,
                "return [grad_a, grad_b, grad_c]": (
                    "returns a list",
                    "three gradients are returned as a tuple: return grad_a, grad_b, grad_c",
                ),
            },
        ),
        *instead_of(
            "log_back(np.ones_like(g), g, f)",
            {
                "log_back(g, g, f)": ("begins with g", "the sum of g's entries has the slope 1 for each of them"),
                "log_back(np.ones_like(g), f, g)": (
                    "divides by g",
                    "the derivative of log(f) is 1 / f: f is the input",
                ),
                "np.ones_like(g)": (
                    "skips the last logarithm",
                    "f has become g by a logarithm: log_back takes one back",
                ),
                "log_back(np.ones_like(g) / g.size, g, f)": (
                    "begins with the mean",
                    "the gradients are those of the sum: grad_out is ones",
                ),
            },
        ),
        *instead_of(
            "log_back(grad_e, e, c)",
            {
                "grad_e": ("skips the logarithm of c", "c has become e by a logarithm: log_back takes one back"),
                "log_back(np.ones_like(e), e, c)": (
                    "begins anew at c",
                    "the gradient that arrives at e is grad_e: it is passed on",
                ),
                "log_back(grad_e, c, e)": ("divides by e", "the derivative of log(c) is 1 / c: c is the input"),
            },
        ),
        *instead_of(
            "grad_e = multiply_back1(grad_f, f, d, e)",
            {
                "grad_e = multiply_back1(np.ones_like(f), f, d, e)": (
                    "begins anew at f",
                    "the gradient that arrives at f is grad_f: it is passed on to both factors",
                ),
                "grad_e = multiply_back0(grad_f, f, d, e)": (
                    "uses multiply_back0 for the second factor of f",
                    "e is the second factor of f: multiply_back1 is for it",
                ),
            },
        ),
        *instead_of(
            "grad_d = multiply_back0(grad_f, f, d, e)",
            {
                "grad_d = multiply_back0(grad_f, f, e, d)": (
                    "swaps the factors of f",
                    "f is d * e: the arguments of its backward functions come as in the product",
                ),
                "grad_d = grad_f": (
                    "skips the product f",
                    "d has become f by a product: multiply_back0 takes one back",
                ),
            },
        ),
        *instead_of(
            "grad_a = multiply_back0(grad_d, d, a, b)",
            {
                "grad_a = multiply_back0(grad_f, d, a, b)": (
                    "jumps from f to a",
                    "a became d first: its gradient comes from grad_d",
                ),
            },
        ),
        *instead_of(
            "grad_b = multiply_back1(grad_d, d, a, b)",
            {
                "grad_b = multiply_back1(grad_f, d, a, b)": (
                    "jumps from f to b",
                    "b became d first: its gradient comes from grad_d",
                ),
            },
        ),
        *(
            Mistake(NO_ADDING_UP[0], function=wrong, why=NO_ADDING_UP[1])
            for wrong in (chain_of_products_alone, chain_by_formula_alone)
        ),
        Mistake(
            "takes the first logarithm of d",
            "e = np.log(c)",
            "e = np.log(d)",
            why="e is the logarithm of c",
        ),
    ],
)
