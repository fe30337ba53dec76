"""What can be seen of an object when a test calls it.

An observer takes the object and a case and returns a dictionary of named
observations: outputs, gradients, arguments that were changed in place. The
verdict, the properties and the diagnosis read nothing else. So a missing
`detach` or a factor in a gradient is seen as surely as a wrong value.

Raises:  Unfit if a module class cannot be observed at all, with what must hold.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking.cases import Case, map_case, tensors_in
from arena_lib.checking.comparison.comparing import Raised
from arena_lib.checking.modules import build_module

Observations = dict[str, Any]
Observer = Callable[[Any, Case], Observations]

CHANGED = "arguments changed in place"
_GRADIENT_SEED = 7


def hooks_in_words(n_hooks: int) -> str:
    """How many hooks there are, as a learner reads it, for observers of what a call leaves on a model.

    >>> hooks_in_words(0), hooks_in_words(1), hooks_in_words(2)
    ('none', '1 hook', '2 hooks')
    """
    return f"{n_hooks} hook{'s' if n_hooks != 1 else ''}" if n_hooks else "none"


def n_positional(function: Callable[..., Any]) -> int | float:
    """How many arguments a function takes by position, for observers that leave out what an older form doesn't know.

    >>> n_positional(lambda model, seq_len, *, seed: 0), n_positional(lambda *args: 0)
    (2, inf)
    """
    kinds = [parameter.kind for parameter in inspect.signature(function).parameters.values()]
    if inspect.Parameter.VAR_POSITIONAL in kinds:
        return float("inf")
    return sum(kind in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD) for kind in kinds)


def count_hooks(model: Any) -> int:
    """How many hooks are attached to a model's named places (`model.hook_dict`)."""
    return sum(len(place.fwd) + len(place.bwd) for place in model.hook_dict.values())


def outputs(function: Callable[..., Any], case: Case) -> Observations:
    """What the call returns, and which arguments it changed."""
    return _call(function, case, with_gradients=False)[0]


def outputs_and_gradients(function: Callable[..., Any], case: Case) -> Observations:
    """What the call returns, and the gradient of a fixed random projection of it for each float argument."""
    observations, leaves = _call(function, case, with_gradients=True)
    return observations | _gradients(observations["output"], leaves)


def module_outputs(cls: Any, case: Case) -> Observations:
    """As `outputs`, for a module class built from `case.given["cfg"]` with `case.given["weights"]`."""
    return outputs(build_module(cls, case), case)


def module_outputs_and_gradients(cls: Any, case: Case) -> Observations:
    """As `outputs_and_gradients`, for a module class; gradients of its parameters too."""
    module = build_module(cls, case)
    observations, leaves = _call(module, case, with_gradients=True)
    parameters = {name: module.get_parameter(name) for name in case.given["weights"]}
    return observations | _gradients(observations["output"], leaves | parameters)


def _call(function: Callable[..., Any], case: Case, *, with_gradients: bool) -> tuple[Observations, dict[str, Tensor]]:
    """Calls with fresh arguments; with gradients each float tensor is a non-leaf copy of a leaf that collects one."""
    leaves = case.fresh()
    if with_gradients:
        leaves = map_case(lambda t: t.requires_grad_(True) if t.is_floating_point() else t, leaves)
        passed = map_case(lambda t: t.clone() if t.is_floating_point() else t, leaves)
    else:
        passed = leaves
    output = function(*passed.args, **passed.kwargs)
    changed = _changed(case.named_tensors(passed.args, passed.kwargs), case.named_tensors(case.args, case.kwargs))
    tracked = case.named_tensors(leaves.args, leaves.kwargs) if with_gradients else []
    return {"output": output, CHANGED: changed}, {name: leaf for name, leaf in tracked if leaf.requires_grad}


def _changed(now: list[tuple[str, Tensor]], before: list[tuple[str, Tensor]]) -> list[str]:
    """Names of the arguments, tensors and arrays, whose values differ from what was handed in."""
    return [name for (name, a), (_, b) in zip(now, before, strict=True) if not _same(a, b)]


def _same(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and torch.equal(torch.nan_to_num(a.detach()), torch.nan_to_num(b.detach()))


def _gradients(output: Any, leaves: Mapping[str, Tensor]) -> Observations:
    """The gradient of a fixed random projection of `output` for each leaf; zeros where none flows."""
    floats = [t for t in tensors_in(output) if t.is_floating_point() and t.requires_grad]
    try:
        computed = torch.autograd.grad(_projection(floats), list(leaves.values()), allow_unused=True) if floats else ()
    except RuntimeError as error:
        return {f"gradient of {name}": Raised(type(error).__name__, str(error)) for name in leaves}
    gradients = computed or (None,) * len(leaves)
    return {
        f"gradient of {name}": torch.zeros_like(leaf) if gradient is None else gradient.detach()
        for (name, leaf), gradient in zip(leaves.items(), gradients, strict=True)
    }


def _projection(tensors: list[Tensor]) -> Tensor:
    generator = torch.Generator().manual_seed(_GRADIENT_SEED)
    total = tensors[0].new_zeros(())
    for tensor in tensors:
        weights = torch.randn(tensor.shape, generator=generator, dtype=torch.float32).to(tensor)
        total = total + (tensor * weights).sum()
    return total
