"""What judges of this section share: modules that are built from a case, with weights that are copied in by order."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from arena_lib.checking import Case
from arena_lib.checking.modules import Unfit
from arena_lib.checking.observing import Observations, outputs, outputs_and_gradients

__test__ = False


def require_module_class(cls: Any, name: str) -> None:
    """Learners hand in the class, not an instance."""
    if not (isinstance(cls, type) and issubclass(cls, nn.Module)):
        what = f"an instance of {type(cls).__name__}" if isinstance(cls, nn.Module) else f"{cls!r:.80}"
        raise Unfit(f"This test takes the class {name} itself, a subclass of nn.Module: got {what}.")


def require_module(module: Any, name: str) -> nn.Module:
    """What should be a network is one."""
    if not isinstance(module, nn.Module):
        raise Unfit(f"{name} must be an nn.Module, such as nn.Sequential(...): got {type(module).__name__}.")
    return module


def fill_in_order(module: nn.Module, scale: float = 0.3, seed: int = 11) -> list[Tensor]:
    """Puts known numbers into all parameters, one after another; no gain is one and no bias zero."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            drawn = torch.randn(parameter.shape, generator=generator)
            fan_in = max(1, parameter[0].numel()) if parameter.ndim > 1 else 4
            parameter.copy_((drawn * scale * 2 / fan_in**0.5) + (0.5 if parameter.ndim == 1 else 0.0))
    return list(module.parameters())


def shapes_of(module: nn.Module) -> list[tuple[int, ...]]:
    """The shape of each parameter, in order."""
    return [tuple(parameter.shape) for parameter in module.parameters()]


def built_outputs_and_gradients(cls: Any, case: Case) -> Observations:
    """What an instance, made with `case.given["init"]`, gives for the case's arguments; no gradients if it says so."""
    require_module_class(cls, case.given.get("name", "of this exercise"))
    module = cls(*case.given.get("init", ()), **case.given.get("init_kwargs", {}))
    observe: Callable[..., Observations] = outputs if case.given.get("values only") else outputs_and_gradients
    seen = observe(module, case)
    if "negative_slope" in case.given.get("attributes", ()):
        seen["negative_slope"] = float(module.negative_slope)
        seen["extra_repr()"] = module.extra_repr()
    return seen


class CountedSGD(torch.optim.SGD):
    """Plain descent that counts its steps."""

    n_steps = 0

    def step(self, closure: Any = None) -> Any:
        self.n_steps += 1
        return super().step(closure)


def draw(generator: torch.Generator, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Normal numbers."""
    return torch.randn(shape, generator=generator, dtype=dtype)
