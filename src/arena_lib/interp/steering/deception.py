"""Steering with a forward hook: push what leaves some blocks along a direction while a model runs.

Shapes:  a block's output "batch seq d_model" -> the same, moved along a direction "d_model"
Raises:  ConfigError for no layers or a direction of length zero; ShapeError for a direction of another size;
         UnknownNameError for a layer that there isn't.
Source:  Zou et al. 2023, arXiv:2310.01405, section 3.2 (control by adding a reading vector).
Differs: the direction is normalised first, so that the coefficient is the length that is added.
"""

from collections.abc import Sequence
from types import TracebackType
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils.hooks import RemovableHandle

from arena_lib.errors import ConfigError
from arena_lib.interp.probes.extraction import block_output, check_layer, find_blocks
from arena_lib.interp.probes.intervention import check_direction


class DeceptionSteeringHook:
    """Adds `coefficient * direction`, the direction scaled to length 1, to what leaves each of `layers`.

        with DeceptionSteeringHook(model, direction, layers=[3, 4], coefficient=6.0):
            model(input_ids)                     # or model.generate(...)

    It acts at every token, between `with` and the end of its block and at no other time; the same object may serve
    for several blocks, one after the other. The attributes that
    __init__ sets: `blocks`, the modules to be steered; `direction`, of length 1; `coefficient`, which may be
    changed at any time, negative for the other way; `handles`, an empty list for the handles of the hooks.
    """

    def __init__(
        self, model: Any, direction: Float[Tensor, " d_model"], layers: Sequence[int], coefficient: float = 1.0
    ) -> None:
        blocks = find_blocks(model)
        check_steering(model, direction, layers, len(blocks))
        self.blocks = [blocks[layer] for layer in layers]
        self.direction = direction / direction.norm()
        self.coefficient = coefficient
        self.handles: list[RemovableHandle] = []

    def _hook_fn(self, module: Any, input: Any, output: Any) -> Any:  # noqa: A002
        """A forward hook of PyTorch: what it returns takes the place of the block's output.

        `output` is a tensor "batch seq d_model", or in some libraries a tuple that begins with it: return the
        same kind, with everything after the first entry as it was. The direction is brought to the dtype and
        the device of the output, which stay as they are.
        """
        resid = block_output(output)
        steered = resid + (self.coefficient * self.direction).to(resid)
        return steered if isinstance(output, Tensor) else (steered, *output[1:])

    def __enter__(self) -> "DeceptionSteeringHook":
        """Register `_hook_fn` on every block, keep the handles, and return the hook itself."""
        self.handles = [block.register_forward_hook(self._hook_fn) for block in self.blocks]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Remove every hook, also after an error; the error itself is raised as usual."""
        for handle in self.handles:
            handle.remove()
        self.handles = []


def check_steering(model: Any, direction: Tensor, layers: Sequence[int], n_layers: int) -> None:
    """The layers must exist, and the direction must be one vector of the residual stream."""
    if not layers:
        raise ConfigError(f"steering needs a layer: got none. Name some from 0 to {n_layers - 1}.")
    for layer in layers:
        check_layer(layer, n_layers)
    check_direction(model, direction)
    if not torch.isfinite(direction).all() or direction.norm() == 0:
        raise ConfigError(
            "the direction must have a length: got a vector of zeros, or one that is not finite. "
            "Take the direction of a fitted probe."
        )
