"""What the judges of this section look at: a module's names, and what it gives and moves once its state is known."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from arena_lib.checking.modules import Unfit
from arena_lib.checking.observing import Observations

__test__ = False


def require_module(cls: Any, name: str) -> None:
    """Unfit unless a class of modules is handed in."""
    if not (isinstance(cls, type) and issubclass(cls, nn.Module)):
        what = f"an instance of {type(cls).__name__}" if isinstance(cls, nn.Module) else f"{cls!r:.80}"
        raise Unfit(
            f"This test takes the class {name} itself, a subclass of nn.Module: got {what}. Leave out the brackets."
        )


def shapes_of(module: nn.Module) -> dict[str, dict[str, tuple[int, ...]]]:
    """The names and shapes of parameters and of buffers."""
    return {
        "parameters": {name: tuple(parameter.shape) for name, parameter in sorted(module.named_parameters())},
        "buffers": {name: tuple(buffer.shape) for name, buffer in sorted(module.named_buffers())},
    }


def fill(module: nn.Module, seed: int = 5) -> None:
    """Give each parameter and running statistic numbers of its own, by its name: gains around 1, variances above 0."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in sorted(module.state_dict().items()):
            if not tensor.is_floating_point():
                continue
            drawn = torch.randn(tensor.shape, generator=generator)
            if name.endswith("running_var"):
                tensor.copy_(0.4 + drawn.abs())
            elif tensor.ndim == 1:
                tensor.copy_(0.4 * drawn + (1.0 if name.endswith("weight") else 0.0))
            else:
                tensor.copy_(drawn / (tensor[0].numel() ** 0.5))


def call_with_gradients(module: Callable[..., Any], x: Tensor, name: str) -> Observations:
    """The output, and the gradients of a fixed random projection of it."""
    leaf = x.clone().requires_grad_(True)
    passed = leaf.clone()
    output = module(passed)
    seen: Observations = {f"output {name}": output}
    seen[f"input unchanged {name}"] = torch.equal(passed.detach(), x)
    if not (isinstance(output, Tensor) and output.requires_grad):
        return seen | {f"gradients {name}": "none: the output requires no gradient"}
    generator = torch.Generator().manual_seed(11)
    projection = (output * torch.randn(output.shape, generator=generator)).sum()
    parameters = dict(module.named_parameters()) if isinstance(module, nn.Module) else {}
    names = ["x", *(key for key, parameter in parameters.items() if parameter.requires_grad)]
    leaves = [leaf, *(parameter for parameter in parameters.values() if parameter.requires_grad)]
    computed = torch.autograd.grad(projection, leaves, allow_unused=True)
    for key, at, gradient in zip(names, leaves, computed, strict=True):
        seen[f"gradient of {key} {name}"] = torch.zeros_like(at) if gradient is None else gradient
    return seen


def buffers_of(module: nn.Module) -> dict[str, Tensor]:
    """A copy of each buffer."""
    return {name: buffer.detach().clone() for name, buffer in sorted(module.named_buffers())}


def in_both_modes(module: nn.Module, x: Tensor) -> Observations:
    """A known state; then one call in training mode, with what it moves, and one in evaluation mode."""
    fill(module)
    module.train()
    seen = call_with_gradients(module, x, "in training")
    seen["buffers after training"] = buffers_of(module)
    fill(module, seed=6)
    before = buffers_of(module)
    module.eval()
    seen |= call_with_gradients(module, x, "in evaluation")
    after = buffers_of(module)
    seen["buffers stay in evaluation"] = all(torch.equal(before[name], after[name]) for name in before)
    return seen


def spread_of(draw: Callable[[], Tensor], bound: float, n_least: int = 900) -> Observations:
    """Whether fresh parameters are uniform between -bound and bound, from as many as make chance no matter."""
    first = draw().detach().flatten()
    several = [first, *(draw().detach().flatten() for _ in range(n_least // max(first.numel(), 1)))]
    numbers = torch.cat(several)
    deviation = float(numbers.std() * 3**0.5 / bound)
    return {
        "lie within the bound": bool((numbers.abs() <= bound * (1 + 1e-5)).all()),
        "reach beyond 0.9 of the bound on both sides": bool(
            numbers.max() > 0.9 * bound and numbers.min() < -0.9 * bound
        ),
        "deviation, as a multiple of what it should be": min(deviation, 4.0),
        "two are equal": torch.equal(several[0], several[1]),
    }
