"""What judges of optimizers look at: several steps with known gradients, and what they leave behind.

A learner's class is built as PyTorch's are, with its settings by name. Gradients are set by hand, so that a step can be judged
by itself; one case trains a small network, where gradients come from autograd.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, Unfit, instead_of
from arena_lib.checking.observing import Observations

__test__ = False

SHAPES = ((2, 3), (4,), ())
MATRICES = ((2, 3), (5, 2), (3, 3))
N_STEPS = 4


def describe(settings: Mapping[str, Any]) -> str:
    """The call of a class, as a message writes it."""
    return ", ".join(["params", *(f"{name}={value!r}" for name, value in settings.items())])


def optimizer_cases(
    generator: torch.Generator,
    first: Mapping[str, Any],
    others: Mapping[str, Mapping[str, Any]],
    *,
    has_matrices: bool = False,
) -> list[Case]:
    """One number by hand, every setting in `others` by its label, parameters without gradients, a network and the rest.

    `first` are the settings of all cases that are about something else.
    """
    shapes = MATRICES if has_matrices else SHAPES

    def case(label: str, settings: Mapping[str, Any], shapes: Sequence[tuple[int, ...]], **given: Any) -> Case:
        dtype = given.get("dtype", torch.float32)
        start, *grads = (
            [torch.randn(shape, generator=generator).to(dtype) for shape in shapes] for _ in range(N_STEPS + 1)
        )
        given = {"settings": dict(settings), "start": start, "grads": grads, "missing": (), **given}
        return Case(label=label, given=given, call=describe(settings))

    one = (1, 1) if has_matrices else (1,)
    by_hand = {"start": [torch.full(one, 4.0)], "grads": [[torch.full(one, value)] for value in (1.0, 2.0, -1.0)]}
    alike = ((2, 2), (2, 2), (2, 2)) if has_matrices else ((3,), (3,), (3,))
    return [
        case("one number", first, [one], **by_hand),
        *(case(label, settings, shapes) for label, settings in others.items()),
        case("parameters of one shape, which are without a gradient at times", first, alike, missing=((0, 1), (2, 0))),
        case("a generator of parameters", first, shapes, as_generator=True),
        case("numbers of double precision", first, shapes, dtype=torch.float64),
        case("two optimizers of one class", first, alike, has_second=True),
        network_case(generator, first),
    ]


def network_case(generator: torch.Generator, settings: Mapping[str, Any]) -> Case:
    """Four batches for a network of two matrices."""
    weights = [torch.randn(shape, generator=generator) for shape in ((2, 5), (5, 3))]
    batches = [torch.randn(6, 2, generator=generator) for _ in range(N_STEPS)]
    return Case(
        label="a small network",
        given={"settings": dict(settings), "start": weights, "batches": batches},
        call=describe(settings),
    )


def life_of_an_optimizer(cls: Any, case: Case) -> Observations:
    """The parameters after each step, what steps leave behind, and what zero_grad does."""
    require_class(cls)
    if "batches" in case.given:
        return train_network(cls, case)
    params = make_params(case)
    views = [param.detach() for param in params]
    optimizer = cls(list_or_generator(params, case), **case.given["settings"])
    second = make_params(case)
    other = cls(second, **case.given["settings"]) if case.given.get("has_second") else None
    seen: Observations = {}
    held = []
    for n, grads in enumerate(case.given["grads"]):
        set_grads(params, grads, {i for step, i in case.given["missing"] if step == n})
        held.append([param.grad for param in params])
        if n == 0:
            seen["what step returns"] = optimizer.step()
        else:
            optimizer.step()
        seen[f"parameters after step {n + 1}"] = copies(params)
    if other is not None:
        set_grads(second, case.given["grads"][1], set())
        other.step()
        seen["parameters of the second optimizer after its first step"] = copies(second)
    seen |= gradients_of_each_step(held, case)
    return seen | what_is_left(optimizer, params, views)


def gradients_of_each_step(held: list[list[Tensor | None]], case: Case) -> Observations:
    """Whether the gradients that each step was given are as they were, also after the steps that came later."""
    return {
        f"gradients of step {n} are as they were": all(
            now is None or torch.equal(now, grad) for now, grad in zip(kept, grads, strict=True)
        )
        for n, (kept, grads) in enumerate(zip(held, case.given["grads"], strict=True), start=1)
    }


def what_is_left(optimizer: Any, params: list[Tensor], views: list[Tensor]) -> Observations:
    """Gradients, memory and leaves after the steps; gradients after zero_grad, and what a step without any does."""
    seen: Observations = {
        "gradients after the steps": [None if param.grad is None else param.grad.clone() for param in params],
        "what shares their memory has moved too": [
            torch.equal(a, b.detach()) for a, b in zip(views, params, strict=True)
        ],
        "leaves that require a gradient": [param.is_leaf and param.requires_grad for param in params],
    }
    optimizer.zero_grad()
    seen["gradients after zero_grad"] = [None if param.grad is None else param.grad.clone() for param in params]
    optimizer.step()
    seen["parameters after a step without gradients"] = copies(params)
    return seen


def train_network(cls: Any, case: Case) -> Observations:
    """The usual loop: zero_grad, backward, step."""
    params = make_params(case)
    optimizer = cls((param for param in params), **case.given["settings"])
    seen: Observations = {}
    for n, batch in enumerate(case.given["batches"]):
        optimizer.zero_grad()
        loss = (torch.tanh(batch @ params[0]) @ params[1] - batch[:, :1]).square().mean()
        loss.backward()
        optimizer.step()
        seen[f"loss {n + 1}"] = loss.item()
    return seen | {"weights after training": copies(params)}


def make_params(case: Case) -> list[Tensor]:
    """New parameters with the case's first values."""
    return [tensor.clone().requires_grad_() for tensor in case.given["start"]]


def list_or_generator(params: list[Tensor], case: Case) -> Iterable[Tensor] | Iterator[Tensor]:
    """The parameters as the case hands them in."""
    return (param for param in params) if case.given.get("as_generator") else params


def set_grads(params: list[Tensor], grads: Sequence[Tensor], missing: set[int]) -> None:
    """Give each parameter a copy of its gradient, or None."""
    for i, (param, grad) in enumerate(zip(params, grads, strict=True)):
        param.grad = None if i in missing else grad.clone()


def copies(params: Iterable[Tensor]) -> list[Tensor]:
    """The values as they are now."""
    return [param.detach().clone() for param in params]


def require_class(cls: Any) -> None:
    """Unfit unless a class was handed in."""
    if not isinstance(cls, type):
        raise Unfit(f"This test takes the class itself: got an object of type {type(cls).__name__}. Pass the class.")


def mistakes_in_zero_grad(name: str) -> tuple[Mistake, ...]:
    """Those that every optimizer's zero_grad may have."""
    return instead_of(
        "param.grad = None",
        {
            "param.grad = torch.zeros_like(param)": (
                "leaves zeros in place of gradients",
                "zero_grad sets every grad to None: a parameter with a gradient of zeros would still be moved by its momentum",
            ),
            "pass": ("does nothing in zero_grad", "zero_grad sets every grad to None"),
        },
        within=f"{name}.zero_grad",
    )


def mistakes_around_the_update(name: str) -> tuple[Mistake, ...]:
    """Those that every optimizer's step may have, whatever its formula."""
    return (
        Mistake(
            "lets PyTorch record the step",
            "@torch.no_grad()",
            "@torch.enable_grad()",
            why="a leaf that requires a gradient may change in place only inside torch.no_grad()",
            within=f"{name}.step",
            raises="RuntimeError",
        ),
        Mistake(
            "moves the first parameter alone",
            "if param.grad is not None:",
            "if param.grad is not None and param is self.params[0]:",
            why="every parameter that has a gradient takes a step",
            within=f"{name}.step",
        ),
        Mistake(
            "stops at the first parameter without a gradient",
            "if param.grad is not None:",
            "if param.grad is None:\n                return\n            else:",
            why="a parameter without a gradient is passed over, and those after it still take their step: `continue`",
            within=f"{name}.step",
        ),
    )


def mistakes_with_a_state(cls: Any) -> tuple[Mistake, ...]:
    """Those of an optimizer that keeps velocities or averages, whatever its formula."""

    class MovesWithoutGradient(cls):
        def step(self) -> None:
            without = [param for param in self.params if param.grad is None]
            for param in without:
                param.grad = torch.zeros_like(param)
            super().step()
            for param in without:
                param.grad = None

    class MovesACopy(cls):
        def step(self) -> None:
            before = copies(self.params)
            super().step()
            for param, value in zip(self.params, before, strict=True):
                param.data.copy_(value)

    return (
        Mistake(
            "takes a missing gradient for zeros",
            function=MovesWithoutGradient,
            why="a parameter whose grad is None takes no step at all: its velocity would move it",
        ),
        Mistake(
            "gives the name to a new tensor",
            function=MovesACopy,
            why="`p = p - ...` changes nothing outside of step: change the parameter in place, `p -= ...`",
        ),
    )


def decay_in_place(name: str, old: str = "grad = param.grad + self.weight_decay * param") -> Mistake:
    """Weight decay that is added to the gradient itself."""
    return Mistake(
        "changes the gradients",
        old,
        "grad = param.grad.add_(self.weight_decay * param)",
        why="gradients stay as they are: others may read them, and add to them",
        within=f"{name}.step",
    )


Solution = Callable[..., Any]
