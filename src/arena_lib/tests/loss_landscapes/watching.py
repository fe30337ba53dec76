"""What judges of this section look at: values, and every trace that a measurement may leave behind."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from arena_lib.checking import Case
from arena_lib.checking.cases import map_case, tensors_in
from arena_lib.checking.observing import CHANGED, Observations, outputs

__test__ = False


def draw(generator: torch.Generator, *shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """Random numbers in double precision."""
    return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)


def draw_symmetric(generator: torch.Generator, size: int) -> Tensor:
    """A symmetric matrix with eigenvalues of both signs."""
    square = draw(generator, size, size)
    return square + square.T


def measured(function: Callable[..., Any], case: Case) -> Observations:
    """The result, what it changed, and whether it left a history, or gradients on arguments that could take them."""
    plain = case.fresh()
    output = function(*plain.args, **plain.kwargs)
    wanting = map_case(lambda t: t.requires_grad_(True) if t.is_floating_point() else t, case.fresh())
    again = function(*wanting.args, **wanting.kwargs)
    before = dict(case.named_tensors(case.args, case.kwargs))
    handed_in = case.named_tensors(plain.args, plain.kwargs)
    could_take = case.named_tensors(wanting.args, wanting.kwargs)
    return {
        "output": map_tensors(output),
        CHANGED: [name for name, tensor in (*handed_in, *could_take) if not torch.equal(tensor, before[name])],
        "arguments that require a gradient afterwards": [name for name, tensor in handed_in if tensor.requires_grad],
        "output where the arguments require gradients": map_tensors(again),
        "arguments that got a grad": [name for name, tensor in could_take if tensor.grad is not None],
        "the result has a history": any(tensor.requires_grad for tensor in tensors_in(again)),
    }


def map_tensors(value: Any) -> Any:
    """Tensors without their history, in tuples and dictionaries too."""
    if isinstance(value, Tensor):
        return value.detach()
    if isinstance(value, tuple | list):
        return tuple(map(map_tensors, value))
    if isinstance(value, dict):
        return {name: map_tensors(part) for name, part in value.items()}
    return value


def keeps_a_history(seen: Sequence[Observations]) -> bool:
    """For `Mistake(shows=...)`: whether a result remembers how it was made."""
    return any(shown.get("the result has a history") for shown in seen)


def makes_arguments_want_gradients(seen: Sequence[Observations]) -> bool:
    """For `Mistake(shows=...)`: whether an argument requires a gradient afterwards that didn't before."""
    return any(shown.get("arguments that require a gradient afterwards") for shown in seen)


def pure(function: Callable[..., Any], case: Case) -> Observations:
    """The result, and what it changed; a number counts as a float."""
    seen = outputs(function, case)
    return {"output": map_tensors(seen["output"]), CHANGED: seen[CHANGED]}


def fill(model: nn.Module, seed: int = 0) -> nn.Module:
    """Random parameters, from a seed of their own."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return model


def describe_model(model: nn.Module) -> Observations:
    """Its parameters and buffers, and which have a gradient."""
    return {
        "the model's values afterwards": {name: value.clone() for name, value in model.state_dict().items()},
        "parameters of the model with a grad": [name for name, p in model.named_parameters() if p.grad is not None],
    }
