"""Judges of the functions that bend numbers."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.checking.mistakes import changes_an_argument
from arena_lib.checking.observing import Observations
from arena_lib.fundamentals.generative import activations
from arena_lib.tests.vaes_and_gans.watching import built_outputs_and_gradients, draw

__test__ = False


def entry_cases(generator: torch.Generator, name: str, **given: Any) -> list[Case]:
    """Rows, a batch of pictures, one number, float64, and numbers of which exp is inf."""

    def case(label: str, x: Tensor, **more: Any) -> Case:
        return Case(label=label, args=(x,), given={"name": name, **given, **more}, call=f"{name}()(x)")

    large = torch.tensor([-1000.0, -100.0, 100.0, 1000.0])
    return [
        case("a row", 2 * draw(generator, 7)),
        case("pictures", 3 * draw(generator, 2, 1, 4, 3)),
        case("a single number, 0", torch.tensor(0.0)),
        case("float64", draw(generator, 3, 5, dtype=torch.float64)),
        case("numbers of which exp is inf", large, **{"values only": True}),
    ]


def gives_nan(seen: Sequence[Observations]) -> bool:
    """Whether a result holds a nan."""
    return any(bool(shown["output"].isnan().any()) for shown in seen)


class TanhBySigmoid(nn.Module):
    """tanh(x) = 2 sigmoid(2x) - 1."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 / (1 + torch.exp(-2 * x)) - 1


class TanhOfTorch(nn.Module):
    """PyTorch's."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(x)


class TanhOfClamped(nn.Module):
    """Of exp(-x) alone, where its square can't be inf."""

    def forward(self, x: Tensor) -> Tensor:
        square = torch.exp(-torch.clamp(x, min=-20)) ** 2
        return (1 - square) / (1 + square)


class TanhOfNegativePower(nn.Module):
    """Of exp(-2x) alone, in the form that has inf / inf far below 0."""

    def forward(self, x: Tensor) -> Tensor:
        square = torch.exp(-2 * x)
        return (1 - square) / (1 + square)


class TanhOfPositivePower(nn.Module):
    """Of exp(2x) alone, in the form that has inf / inf far above 0."""

    def forward(self, x: Tensor) -> Tensor:
        square = torch.exp(2 * x)
        return (square - 1) / (square + 1)


class TanhPlain(nn.Module):
    """The formula as it stands, with a number in place of nan."""

    instead_of_nan = 1.0

    def forward(self, x: Tensor) -> Tensor:
        up, down = torch.exp(x), torch.exp(-x)
        return torch.nan_to_num((up - down) / (up + down), nan=self.instead_of_nan)


class TanhPlainOrZero(TanhPlain):
    """With 0, which is what nan_to_num takes by itself."""

    instead_of_nan = 0.0


class TanhInPlace(nn.Module):
    """Clamps its input itself."""

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            x.clamp_(-20, 20)
        return torch.tanh(x)


NAN_ADVICE = "exp(100) is inf, and inf / inf is nan: clamp x first, or write it as 2 / (1 + exp(-2 * x)) - 1"

test_tanh = exercise(
    reference=activations.Tanh,
    cases=lambda generator: entry_cases(generator, "Tanh"),
    observe=built_outputs_and_gradients,
    accepts=[TanhBySigmoid, TanhOfTorch, TanhOfClamped],
    mistakes=[
        Mistake(
            "gives nan for large numbers",
            "x = x.clamp(-TANH_IS_ONE, TANH_IS_ONE)",
            "pass",
            within="Tanh.forward",
            why=NAN_ADVICE,
            shows=gives_nan,
        ),
        Mistake("gives nan for large numbers", function=TanhOfNegativePower, why=NAN_ADVICE),
        Mistake("gives nan for large numbers", function=TanhOfPositivePower, why=NAN_ADVICE),
        Mistake("gives 1 far below 0", function=TanhPlain, why="tanh of a number far below 0 is -1"),
        Mistake("gives 0 for large numbers", function=TanhPlainOrZero, why="tanh of a large number is 1 or -1"),
        Mistake(
            "writes into its input",
            function=TanhInPlace,
            why="x stays unchanged: others may need it still",
            shows=changes_an_argument,
        ),
        Mistake(
            "is half as steep",
            "torch.exp(x), torch.exp(-x)",
            "torch.exp(x / 2), torch.exp(-x / 2)",
            within="Tanh.forward",
            why="that is 2 sigmoid(x) - 1; tanh(x) is 2 sigmoid(2x) - 1, with a 2 in the exponent",
        ),
        *instead_of(
            "(up - down) / (up + down)",
            {
                "(up + down) / (up - down)": ("swaps numerator and denominator", "the difference is on top"),
                "(down - up) / (up + down)": ("has the sign wrong", "tanh of a positive number is positive"),
                "up / (up + down)": (
                    "gives numbers from 0 to 1",
                    "that is sigmoid(2x); the numerator of tanh is exp(x) - exp(-x)",
                ),
                "(up - down) / 2": ("gives sinh", "the denominator is exp(x) + exp(-x)"),
                "((up - down) / (up + down)).detach()": (
                    "lets no gradient through",
                    "a network learns by gradients: no detach",
                ),
            },
            within="Tanh.forward",
        ),
    ],
)


class SigmoidByTanh(nn.Module):
    """sigmoid(x) = (tanh(x / 2) + 1) / 2."""

    def forward(self, x: Tensor) -> Tensor:
        return (torch.tanh(x / 2) + 1) / 2


class SigmoidPlain(nn.Module):
    """1 / inf is 0, as it should be."""

    def forward(self, x: Tensor) -> Tensor:
        return (1 + (-x).exp()) ** -1


class SigmoidInPlace(nn.Module):
    """Clamps its input itself."""

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            x.clamp_(-80, 80)
        return torch.sigmoid(x)


test_sigmoid = exercise(
    reference=activations.Sigmoid,
    cases=lambda generator: entry_cases(generator, "Sigmoid"),
    observe=built_outputs_and_gradients,
    accepts=[SigmoidByTanh, SigmoidPlain],
    mistakes=[
        Mistake(
            "writes into its input",
            function=SigmoidInPlace,
            why="x stays unchanged: others may need it still",
            shows=changes_an_argument,
        ),
        Mistake(
            "gives nan for large numbers",
            "1 / (1 + torch.exp(-x.clamp(min=SIGMOID_IS_ZERO)))",
            "torch.exp(x) / (1 + torch.exp(x))",
            within="Sigmoid.forward",
            why="exp(100) is inf, and inf / inf is nan: 1 / (1 + exp(-x)) has no such trouble",
            shows=gives_nan,
        ),
        *instead_of(
            "1 / (1 + torch.exp(-x.clamp(min=SIGMOID_IS_ZERO)))",
            {
                "1 / (1 + torch.exp(x.clamp(max=-SIGMOID_IS_ZERO)))": (
                    "has the sign of x wrong",
                    "a large x gives a probability near 1",
                ),
                "1 / torch.exp(-x.clamp(min=SIGMOID_IS_ZERO)).add(1).square()": (
                    "squares the denominator",
                    "sigmoid(x) = 1 / (1 + exp(-x))",
                ),
                "1 / (1 + torch.exp(-2 * x.clamp(min=SIGMOID_IS_ZERO / 2)))": (
                    "is twice as steep",
                    "that is the one inside tanh; sigmoid has exp(-x)",
                ),
                "(1 / (1 + torch.exp(-x.clamp(min=SIGMOID_IS_ZERO)))).detach()": (
                    "lets no gradient through",
                    "a network learns by gradients: no detach",
                ),
            },
            within="Sigmoid.forward",
        ),
    ],
)


def leaky_cases(generator: torch.Generator) -> list[Case]:
    """The default slope and others; both signs; 0 as a value."""

    def case(label: str, x: Tensor, *init: float, **more: Any) -> Case:
        given = {"name": "LeakyReLU", "init": init, "attributes": ("negative_slope",), **more}
        return Case(label=label, args=(x,), given=given, call=f"LeakyReLU({', '.join(map(str, init))})(x)")

    return [
        case("the default slope", 50 * draw(generator, 9)),
        case("the slope of a discriminator", draw(generator, 2, 3, 4), 0.2),
        case("no leak at all", draw(generator, 5, 2), 0.0),
        case("float64", draw(generator, 3, 4, dtype=torch.float64), 0.35),
        case("zeros among the numbers", torch.tensor([-2.0, 0.0, 1.0, -0.5]), 0.1, **{"values only": True}),
    ]


class LeakyByMaximum(nn.Module):
    """For slopes up to 1, the larger of the two."""

    def __init__(self, negative_slope: float = 0.01) -> None:
        super().__init__()
        self.negative_slope = negative_slope

    def forward(self, x: Tensor) -> Tensor:
        return torch.maximum(x, self.negative_slope * x)

    def extra_repr(self) -> str:
        return "negative_slope=" + str(self.negative_slope)


class LeakyByParts(LeakyByMaximum):
    """The part above 0 and the part below."""

    def forward(self, x: Tensor) -> Tensor:
        return x.clamp(min=0) + self.negative_slope * x.clamp(max=0)


class LeakyInPlace(LeakyByMaximum):
    """Writes into its input."""

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            x.copy_(torch.where(x > 0, x, self.negative_slope * x))
        return x


test_leaky_relu = exercise(
    reference=activations.LeakyReLU,
    cases=leaky_cases,
    observe=built_outputs_and_gradients,
    accepts=[LeakyByMaximum, LeakyByParts],
    mistakes=[
        *instead_of(
            "self.negative_slope * x",
            {
                "0.0 * x": ("doesn't leak", "below 0 the result is negative_slope * x"),
                "0.01 * x": ("ignores negative_slope", "the slope is the argument of __init__, not always 0.01"),
                "self.negative_slope + 0.0 * x": (
                    "gives the slope itself below 0",
                    "below 0 the result is negative_slope times x",
                ),
                "-self.negative_slope * x": ("has the sign wrong below 0", "a negative number stays negative"),
            },
            within="LeakyReLU.forward",
        ),
        *instead_of(
            "negative_slope: float = 0.01",
            {
                "negative_slope: float = 0.1": ("has 0.1 for a default", "the default is 0.01, as PyTorch's"),
                "negative_slope: float = 0.2": (
                    "has 0.2 for a default",
                    "the default is 0.01; a discriminator passes 0.2 itself",
                ),
            },
            within="LeakyReLU.__init__",
        ),
        *instead_of(
            'f"negative_slope={self.negative_slope}"',
            {
                '""': ("prints nothing of itself", "extra_repr gives negative_slope= and its value"),
                "str(self.negative_slope)": (
                    "prints the value without its name",
                    "extra_repr gives negative_slope= and its value",
                ),
            },
            within="LeakyReLU.extra_repr",
        ),
        Mistake(
            "writes into its input",
            function=LeakyInPlace,
            why="x stays unchanged: others may need it still",
            shows=changes_an_argument,
        ),
    ],
    equivalent={
        "return torch.where(x > 0, x, self.negative_slope * x) -> return torch.where(x >= 0, x, self.negative_slope * x)": "at 0 both give 0, and which slope counts there is free"
    },
    name="leaky_relu",
)
