"""What a cached pass keeps: every tensor as it is, or some positions of it, on another device, with its gradient.

Shapes:  positions are the last axis but one; of q, k, v, z, results and inputs by head the last but two;
         of scores and patterns the queries'
Raises:  ConfigError for gradients of what isn't one number, or where none are recorded.
Source:  the interface of TransformerLens, github.com/TransformerLensOrg/TransformerLens (pos_slice, incl_bwd).
Differs: gradients are taken with respect to the kept tensors alone, so the weights' `grad` stays as it was.
"""

from typing import Any

import torch
from torch import Tensor

from arena_lib.errors import ConfigError
from arena_lib.transformer.activations.derived import refuse_gradient
from arena_lib.transformer.activations.slices import PosSlice, take

BY_HEAD = ("hook_q", "hook_k", "hook_v", "hook_rot_q", "hook_rot_k", "hook_z", "hook_result")
BY_HEAD_INPUT = ("hook_q_input", "hook_k_input", "hook_v_input")


class Recorder(dict[str, Tensor]):
    """A dict that keeps of each tensor put into it what was asked for; `whole` has all of them, if gradients will be."""

    def __init__(self, pos_slice: PosSlice, device: str | torch.device | None, has_gradients: bool) -> None:
        super().__init__()
        self.pos_slice, self.device, self.has_gradients = pos_slice, device, has_gradients
        self.whole: dict[str, Tensor] = {}

    def __setitem__(self, name: str, tensor: Tensor) -> None:
        """Keep what was asked for of the tensor that passed a hook point."""
        if self.has_gradients:
            self.whole[name] = tensor
        super().__setitem__(name, self._kept(name, tensor))

    def _kept(self, name: str, tensor: Tensor) -> Tensor:
        axis = -3 if name.rsplit(".", 1)[-1] in BY_HEAD + BY_HEAD_INPUT else -2
        kept = take(tensor, self.pos_slice, axis)
        kept = kept if self.device is None else kept.to(self.device)
        advice = "Pass incl_bwd=True, or leave out pos_slice and device."
        return kept if kept is tensor else refuse_gradient(kept, advice)

    def add_gradients(self, output: Any) -> list[str]:
        """The loss's gradient with respect to each tensor under its name and "_grad"; returns these names."""
        loss = output[1] if isinstance(output, tuple) else output
        if not isinstance(loss, Tensor) or loss.numel() != 1:
            got = f"shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else type(loss).__name__
            raise ConfigError(
                f"incl_bwd takes gradients of one number: got an output of {got}. Pass return_type='loss' or 'both', "
                "without loss_per_token or stop_at_layer."
            )
        wanted = {name: tensor for name, tensor in self.whole.items() if tensor.requires_grad}
        if not (loss.requires_grad and wanted):
            raise ConfigError(
                "incl_bwd needs recorded gradients: got a pass without any. Call it outside torch.no_grad, with weights that "
                "require gradients."
            )
        gradients = torch.autograd.grad(loss, list(wanted.values()), allow_unused=True)
        by_name = {name: grad for name, grad in zip(wanted, gradients, strict=True) if grad is not None}
        for name, grad in by_name.items():
            super().__setitem__(f"{name}_grad", self._kept(name, grad))
        return [f"{name}_grad" for name in by_name]
