"""Adam on all weights as one vector: for networks so small that the calls of an update take longer than its arithmetic.

An optimizer goes through a network's tensors one by one: it clears each gradient, measures it, scales it, and takes a
step with it. Here the tensors are parts of one long vector, and their gradients of another, so each of these is one
operation on a vector. The numbers are the same, to rounding.

Shapes:  parameters of any shape
Raises:  ConfigError for parameters of several dtypes or devices, or for none.
Source:  Kingma and Ba 2015, arXiv:1412.6980, algorithm 1 (torch's implementation of it); own derivation (the joining)
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from arena_lib.errors import ConfigError

CLIP_EPS = 1e-6
"""What torch's clip_grad_norm_ adds to the norm before it divides by it."""


class JoinedAdam(torch.optim.Adam):
    """torch's Adam for all of `parameters` joined to one vector; their data move into it, and they stay what they are.

    `joined` is the vector; `self.state[joined]` has Adam's moments. Use it as any optimizer. Clip the gradient with
    `clip_gradient(max_norm)`, which is what `nn.utils.clip_grad_norm_(parameters, max_norm)` does, in fewer operations.

    >>> network = nn.Linear(3, 2)
    >>> optimizer = JoinedAdam(network.parameters(), lr=0.1)
    >>> optimizer.joined.shape
    torch.Size([8])
    """

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float, eps: float = 1e-8) -> None:
        self.parts = list(parameters)
        if len(kinds := {(str(part.dtype), str(part.device)) for part in self.parts}) != 1:
            raise ConfigError(
                "JoinedAdam takes parameters of one dtype on one device, so that they fit into one vector: "
                f"got {sorted(kinds)}. Use torch.optim.Adam for these."
            )
        self.joined = nn.Parameter(parameters_to_vector(self.parts).detach().clone())
        self.joined.grad = torch.zeros_like(self.joined)
        vector_to_parameters(self.joined.data, self.parts)  # from here on they share its memory
        pieces = self.joined.grad.split([part.numel() for part in self.parts])
        self._grads = [piece.view_as(part) for piece, part in zip(pieces, self.parts, strict=True)]
        super().__init__([self.joined], lr=lr, eps=eps, fused=True)
        self.register_step_pre_hook(self._collect_gradients)
        self.zero_grad()

    @property
    def grad(self) -> Tensor:
        """The gradient of all parameters, as one vector."""
        assert self.joined.grad is not None
        return self.joined.grad

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Clear all gradients; they become zeros, whatever `set_to_none` says, and backward() adds to these."""
        self.grad.zero_()
        for part, grad in zip(self.parts, self._grads, strict=True):
            part.grad = grad

    @torch.no_grad()
    def clip_gradient(self, max_norm: float) -> None:
        """Scale the gradient down to the norm `max_norm`, over all parameters together, if it's longer."""
        self._collect_gradients()
        share = max_norm / (self.grad.norm().item() + CLIP_EPS)
        if share < 1:
            self.grad.mul_(share)

    @torch.no_grad()
    def _collect_gradients(self, *_: Any) -> None:
        """Copy gradients that came from elsewhere, as after `network.zero_grad()`, which takes ours away."""
        for part, grad in zip(self.parts, self._grads, strict=True):
            if part.grad is not grad:
                grad.copy_(torch.zeros_like(grad) if part.grad is None else part.grad)
                part.grad = grad
