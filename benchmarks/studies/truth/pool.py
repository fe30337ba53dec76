"""Activations that are read once, for many autoencoders to learn from.

Shapes:  tokens "n_rows seq" -> batches of acts "batch d_in", target "batch d_out"
Differs: training elsewhere streams new activations without end; here all autoencoders of a hook see the same ones, each in
         an order of its own, and see them again where a run is long.
"""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from arena_lib.saes.training.reading import ActivationReader
from arena_lib.saes.training.store import Activations, compute_scale

ROWS_AT_ONCE = 64


class Pool:
    """Activations of some hooks at all tokens of some rows, in bfloat16."""

    def __init__(self, model: Any, hooks: list[str], tokens: Int[Tensor, "n_rows seq"]) -> None:
        self.model, self.tokens = model, tokens
        self.acts: dict[str, Tensor] = {}
        self.read(hooks)

    def read(self, hooks: list[str]) -> None:
        """Read the hooks that were not read yet."""
        missing = [hook for hook in dict.fromkeys(hooks) if hook and hook not in self.acts]
        if not missing:
            return
        reader = ActivationReader(self.model, *missing)
        parts = [
            [acts.flatten(0, 1).bfloat16() for acts in reader.read(rows)] for rows in self.tokens.split(ROWS_AT_ONCE)
        ]
        self.acts |= {
            hook: torch.cat(read).clone() for hook, read in zip(missing, zip(*parts, strict=True), strict=True)
        }


class PoolBatches:
    """Batches of a pool for `SAETrainer`, shuffled anew in each epoch: what an `ActivationStore` is elsewhere."""

    def __init__(self, pool: Pool, hook: str, hook_out: str, batch_size: int) -> None:
        pool.read([hook, hook_out])
        self.hook_name, self.hook_name_out, self.batch_size = hook, hook_out, batch_size
        self._acts = pool.acts[hook]
        self._target = pool.acts[hook_out] if hook_out else None
        self.d_in = self._acts.shape[1]
        self.d_out = None if self._target is None else self._target.shape[1]
        self.scale = compute_scale(self._acts[:16_384])
        self.scale_out = self.scale if self._target is None else compute_scale(self._target[:16_384])
        self._order = torch.empty(0, dtype=torch.int64)

    def __call__(self, generator: torch.Generator) -> Activations:
        """The next batch."""
        if len(self._order) < self.batch_size:
            self._order = torch.randperm(len(self._acts), generator=generator)
        batch, self._order = self._order[: self.batch_size], self._order[self.batch_size :]
        target = None if self._target is None else self._target[batch].float() * self.scale_out
        return Activations(self._scaled(batch), target)

    def check_finite(self) -> None:
        """They are looked at when the loss is."""

    def _scaled(self, batch: Int[Tensor, " batch"]) -> Float[Tensor, "batch d_in"]:
        return self._acts[batch].float() * self.scale
