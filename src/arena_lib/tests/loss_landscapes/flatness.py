"""Judges of what measures of flatness measure."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, Tolerance, exercise, instead_of
from arena_lib.checking.observing import CHANGED, Observations
from arena_lib.fundamentals.landscapes import measuring_flatness, symmetries
from arena_lib.tests.loss_landscapes.curvature import LOSSES, Loss
from arena_lib.tests.loss_landscapes.symmetric import Params, answer, draw_params
from arena_lib.tests.loss_landscapes.watching import draw, measured

__test__ = False


def size_of_weights(params: Params) -> float:
    """Grows with the scale, from the first."""
    return (params["W_in"] ** 2).sum().item() + params["b_in"].norm().item()


def dips_first(params: Params) -> float:
    """Falls for scales a little above 1, then grows."""
    return (params["W_in"].norm() + 3 * params["W_out"].norm()).item()


def goal_cases(generator: torch.Generator) -> list[Case]:
    """Near goals and far ones, and a measure that falls at first."""

    def case(label: str, measure: Callable[[Params], float], factor: float, sizes: tuple[int, int, int]) -> Case:
        params = draw_params(generator, *sizes)
        given = {"params": params, "measure": measure, "goal": factor * measure(params)}
        return Case(label=label, given=given, call=f"params, measure, {given['goal']:.4g}")

    return [
        case("three times as much", size_of_weights, 3.0, (2, 3, 4)),
        case("a thousand times as much", size_of_weights, 1000.0, (3, 2, 2)),
        case("a measure that falls at first", dips_first, 4.0, (2, 4, 3)),
    ]


def raised(function: Callable[..., Any], case: Case) -> Observations:
    """The function of the network, the measure, and the parameters that were handed in."""
    params = {name: part.clone() for name, part in case.given["params"].items()}
    result = function(params, case.given["measure"], case.given["goal"])
    inputs = draw(torch.Generator().manual_seed(6), 7, len(params["W_in"]))
    return {
        "what the new network answers": answer(result, inputs),
        "its measure": case.given["measure"](result),
        "shapes": {name: tuple(part.shape) for name, part in result.items()},
        CHANGED: [name for name, part in params.items() if not torch.equal(part, case.given["params"][name])],
    }


def raised_on_a_log_scale(params: Params, measure: Callable[[Params], float], goal: float) -> Params:
    """Halves the logarithm of the scale."""
    low, high = 0.0, 9.0
    scale = torch.ones_like(params["b_in"])
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (
            (middle, high)
            if measure(symmetries.rescale_hidden(params, scale * 2.718281828**middle)) < goal
            else (low, middle)
        )
    return symmetries.rescale_hidden(params, scale * 2.718281828**high)


def raised_by_growing(params: Params, measure: Callable[[Params], float], goal: float) -> Params:
    """Makes everything larger, whatever becomes of the function."""
    scale = 1.0
    while measure({name: scale * part for name, part in params.items()}) < goal * (1 - 1e-9):
        scale *= 1.0001
    return {name: scale * part for name, part in params.items()}


def raised_again_and_again(params: Params, measure: Callable[[Params], float], goal: float) -> Params:
    """Rescales what it rescaled before."""
    low, high = 1.0, 2.0
    scale = torch.ones_like(params["b_in"])
    while measure(params) < goal:
        params = symmetries.rescale_hidden(params, high * scale)
        high *= 2
    for _ in range(20):
        middle = (low + high) / 2
        params = symmetries.rescale_hidden(params, middle * scale)
        low, high = (middle, high) if measure(params) < goal else (low, middle)
    return symmetries.rescale_hidden(params, high * scale)


def reaches_the_goal(seen: Observations, case: Case) -> str | None:
    """The measure is at least the goal."""
    goal = case.given["goal"]
    if seen["its measure"] >= goal * (1 - 1e-11):
        return None
    return (
        f"The result is for high, where the measure is at least the goal, {goal:.10g}: got {seen['its measure']:.10g}."
    )


test_raise_sharpness = exercise(
    reference=measuring_flatness.raise_sharpness,
    cases=goal_cases,
    observe=raised,
    properties=[reaches_the_goal],
    tolerance={"its measure": Tolerance(rtol=1e-4, atol=1e-9)},
    accepts=[raised_on_a_log_scale],
    equivalent={
        "low, high = (1.0, 2.0) -> low, high = (1.0, 3.0)": "the interval is widened and halved from any beginning",
        "low, high = (1.0, 2.0) -> low, high = (1.0, 4.0)": "the interval is widened and halved from any beginning",
        "high *= 2 -> high *= 3": "any growth finds an interval that holds the goal",
        "measure(rescale(high)) < goal -> measure(rescale(high)) <= goal": "a measure that is the goal to the last bit",
        "measure(rescale(middle)) < goal -> measure(rescale(middle)) <= goal": "a measure that is the goal to the last bit",
    },
    mistakes=[
        *instead_of(
            "if measure(rescale(middle)) < goal:",
            {
                "if measure(rescale(middle)) > goal:": (
                    "halves to the wrong side",
                    "a middle that is under the goal becomes low",
                )
            },
        ),
        *instead_of(
            "while measure(rescale(high)) < goal:",
            {
                "while False:": (
                    "never doubles high",
                    "the goal must lie inside the interval: double high until it does",
                ),
                "for _ in range(measure(rescale(high)) < goal):": (
                    "doubles high once at most",
                    "it's doubled until the measure there is at least the goal: while, not if",
                ),
            },
        ),
        *instead_of(
            "range(HALVINGS)",
            {
                f"range({n})": ("stops halving too early", "twenty halvings find the scale to six digits")
                for n in (3, 5, 8, 10, 12)
            },
        ),
        *instead_of(
            'rescale_hidden(params, torch.full_like(params["b_in"], scale))',
            {
                'params | {"W_in": scale * params["W_in"], "b_in": scale * params["b_in"]}': (
                    "raises what comes in alone",
                    "the function must stay: W_out shrinks by the same factor",
                ),
            },
        ),
        Mistake(
            "returns the lower end",
            "return rescale(high)",
            "return rescale(low)",
            why="the result is for high: at low the measure is still under the goal",
        ),
        Mistake(
            "rescales what is rescaled already",
            function=raised_again_and_again,
            why="each scale is tried on params as they were handed in, not on the result of the trial before",
        ),
        Mistake(
            "makes all parameters larger", function=raised_by_growing, why="the function must stay: use rescale_hidden"
        ),
    ],
)


def free_cases(generator: torch.Generator) -> list[Case]:
    """Points with parameters of both signs."""
    return [
        Case(label=label, args=(loss, 1.5 * draw(generator, n), draw(generator, n)), call="loss_fn, theta, v")
        for label, (loss, n) in LOSSES.items()
    ]


def free_by_substitution(loss_fn: Loss, theta: Tensor, v: Tensor) -> Tensor:
    """The Hessian with respect to shares s, where the parameters are theta + |theta| * s."""
    sizes = theta.detach().abs()

    def shares_to_loss(shares: Tensor) -> Tensor:
        return loss_fn(theta.detach() + sizes * shares)

    return torch.autograd.functional.hvp(shares_to_loss, torch.zeros_like(sizes), v.detach())[1]


FREE = "sizes * hessian_vector_product(loss_fn, theta, sizes * v)"
test_scale_free_product = exercise(
    reference=measuring_flatness.scale_free_product,
    cases=free_cases,
    observe=measured,
    accepts=[free_by_substitution],
    mistakes=[
        *instead_of(
            FREE,
            {
                "sizes * hessian_vector_product(loss_fn, theta, v)": (
                    "multiplies on one side alone",
                    "D H D has D on both sides",
                ),
                "hessian_vector_product(loss_fn, theta, sizes * v)": (
                    "multiplies before and not after",
                    "D H D has D on both sides",
                ),
                "sizes**2 * hessian_vector_product(loss_fn, theta, v)": (
                    "multiplies twice on the left",
                    "one D stands before the Hessian, one after: entries of v are multiplied too",
                ),
                "hessian_vector_product(loss_fn, theta, v) / sizes": (
                    "divides by the sizes",
                    "where a parameter is large, H is small: multiply",
                ),
                "theta.norm() ** 2 * hessian_vector_product(loss_fn, theta, v)": (
                    "multiplies by the length of all",
                    "each parameter has a size of its own",
                ),
                "hessian_vector_product(loss_fn, sizes * theta, v)": (
                    "moves the point",
                    "the Hessian is that at theta",
                ),
            },
        ),
        *instead_of(
            "theta.detach().abs()", {"theta.detach()": ("keeps the signs", "a size is an absolute value: |theta|")}
        ),
    ],
)
