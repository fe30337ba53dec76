"""Building a learner's module class for a case, with given weights copied in by name.

Raises:  Unfit if the object isn't such a class or its parameters don't fit, with what must hold; AuthoringError for a
         case without a config or weights.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from arena_lib.checking.cases import Case
from arena_lib.errors import AuthoringError


class Unfit(Exception):
    """The object isn't of the kind that the exercise asks for; the message is for the learner."""


def module_case(
    label: str,
    reference: Callable[..., nn.Module],
    cfg: Any,
    args: tuple[Any, ...],
    axes: str,
    generator: torch.Generator,
) -> Case:
    """A case for a module class: built from `cfg`, with random weights, called with `args`."""
    return Case(
        label=label,
        args=args,
        axes={"output": axes},
        given={"cfg": cfg, "weights": random_weights(reference(cfg), generator)},
    )


def build_module(cls: Any, case: Case) -> nn.Module:
    """An instance of a learner's class for `case.given["cfg"]`, with the weights copied in by name."""
    missing = [key for key in ("cfg", "weights") if key not in case.given]
    if missing:
        raise AuthoringError(
            f"the case {case.label!r} must have given={{'cfg': ..., 'weights': ...}} for a module class, which is built from "
            f"cfg: got no {' and no '.join(missing)}. Make the case with module_case(...)."
        )
    if not (isinstance(cls, type) and issubclass(cls, nn.Module)):
        what = f"an instance of {type(cls).__name__}" if isinstance(cls, nn.Module) else f"{cls!r:.80}"
        raise Unfit(
            f"This test takes the class itself, a subclass of nn.Module: got {what}. Pass the class, without calling it."
        )
    module: nn.Module = cls(case.given["cfg"])
    load_by_name(module, case.given["weights"])
    return module


def load_by_name(module: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Copies `weights` into the parameters of these names; says which are missing, unexpected or of another shape."""
    own = dict(module.named_parameters())
    missing, extra = sorted(weights.keys() - own.keys()), sorted(own.keys() - weights.keys())
    if missing or extra:
        parts = [f"missing: {', '.join(missing)}"] * bool(missing) + [f"not expected: {', '.join(extra)}"] * bool(extra)
        raise Unfit(
            f"{type(module).__name__} must have exactly the parameters {', '.join(sorted(weights))}: {'; '.join(parts)}. "
            "Keep the names that __init__ of the exercise gives."
        )
    for name, value in weights.items():
        if own[name].shape != value.shape:
            raise Unfit(
                f"{type(module).__name__}.{name} must have the shape {tuple(value.shape)}: got {tuple(own[name].shape)}. "
                "The axes of every parameter are in the docstring."
            )
    with torch.no_grad():
        for name, value in weights.items():
            own[name].copy_(value)
    if weights:
        module.to(next(iter(weights.values())).device)


def random_weights(module: nn.Module, generator: torch.Generator, scale: float = 0.5) -> dict[str, Tensor]:
    """Weights for every parameter of `module`: no gain is one and no bias zero, so that none can be left out."""
    return {
        name: parameter.detach() * 0.5
        + scale * torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
        for name, parameter in module.named_parameters()
    }
