"""Tensors that lie in memory in another way than in order, and what the judges of views and convolutions look at.

A solution that asks its tensors for their strides passes whatever the layout. One that takes a row to be as long as the
width, or memory to begin at 0, reads numbers from 1000 on, which belong to nobody.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, outputs_and_gradients
from arena_lib.checking.cases import tensors_in
from arena_lib.checking.observing import CHANGED, Observations

__test__ = False

PLAIN, TURNED, SLICED = "plain", "turned", "sliced"
IN_WORDS = {PLAIN: "", TURNED: "transposed in memory: ", SLICED: "cut out of a larger tensor: "}
SHARES = "shares the memory of its argument"
NOBODYS = 1000
"""The first of the numbers that lie between those of a sliced tensor; all others are far smaller."""

ASK_STRIDES = "a tensor may be transposed or a slice: ask for its stride(), don't work it out from the shape"
BEGINS = "a slice doesn't begin where its memory does: leave storage_offset out, or count from x.storage_offset()"
A_VIEW = "the result is a view: as_strided copies nothing"
FLOWS = "gradients flow back through as_strided: leave detach and .data out"


def lay(tensor: Tensor, layout: str) -> Tensor:
    """The same numbers, in memory as the layout says; what has one axis is a column where others are transposed."""
    if layout == TURNED and tensor.ndim == 1:
        columns = torch.arange(NOBODYS, NOBODYS + 3 * len(tensor)).to(tensor).reshape(-1, 3)
        columns[:, 0] = tensor
        return columns[:, 0]
    if layout == TURNED:
        axes = tuple(reversed(range(tensor.ndim)))
        return tensor.permute(axes).contiguous().permute(axes)
    if layout == SLICED:
        *others, last = tensor.shape
        n_numbers = torch.Size([n + 1 for n in others]).numel() * (2 * last + 1)
        memory = torch.arange(NOBODYS, NOBODYS + n_numbers).to(tensor)
        place = (*(slice(1, None) for _ in others), slice(1, None, 2))
        larger = memory.reshape(*(n + 1 for n in others), 2 * last + 1)
        larger[place] = tensor
        return larger[place]
    return tensor


def laid_out(label: str, *args: Any, layout: str = PLAIN) -> Case:
    """A case whose first tensor lies in memory as the layout says, and its label in words."""
    return Case(label=IN_WORDS[layout] + label, args=args, given={"layout": layout})


def in_all_layouts(label: str, *args: Any, of: Sequence[str] = (PLAIN, TURNED, SLICED)) -> list[Case]:
    """The same call once for each layout."""
    return [laid_out(label, *args, layout=layout) for layout in of]


def strided(function: Callable[..., Any], case: Case) -> Observations:
    """The result, gradients, and what was changed in place; every tensor is laid out as the case says."""
    return _strided(function, case)[0]


def views(function: Callable[..., Any], case: Case) -> Observations:
    """As `strided`, and whether the result shares the memory of an argument."""
    seen, laid = _strided(function, case)
    output = seen["output"]
    memories = [tensor.untyped_storage().data_ptr() for tensor in tensors_in(laid)]
    shares = isinstance(output, Tensor) and output.untyped_storage().data_ptr() in memories
    return {**seen, SHARES: shares}


def is_a_view(seen: Observations, case: Case) -> str | None:
    """The result is a view."""
    if seen[SHARES]:
        return None
    return "The result must share the memory of the argument: got a tensor with numbers of its own. Return what as_strided gives."


def _strided(function: Callable[..., Any], case: Case) -> tuple[Observations, tuple[Any, ...]]:
    laid: tuple[Any, ...] = ()

    def call(*args: Any, **kwargs: Any) -> Any:
        nonlocal laid
        layout = case.given.get("layout", PLAIN)
        laid = tuple(lay(arg, layout) if isinstance(arg, Tensor) else arg for arg in args)
        return function(*laid, **kwargs)

    seen = outputs_and_gradients(call, case)
    now, before = (case.named_tensors(args, {}) for args in (laid, case.args))
    changed = [name for (name, a), (_, b) in zip(now, before, strict=True) if not torch.equal(a.detach(), b)]
    return {**seen, CHANGED: changed}, laid


def draw(generator: torch.Generator, *shape: int) -> Tensor:
    """Numbers of both signs, none of them near 0."""
    signs = 2 * torch.randint(2, shape, generator=generator) - 1
    return signs * (0.5 + 1.5 * torch.rand(shape, generator=generator))


def whole(generator: torch.Generator, *shape: int) -> Tensor:
    """Whole numbers of both signs."""
    return torch.randint(-9, 10, shape, generator=generator)
