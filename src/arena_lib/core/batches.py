"""Batches for a training run: what they hold, and two ways to make them.

A source of batches is a function of a generator. One that must remember something
else (`ShuffledBatches`: its place in the epoch) has `state_dict` and `load_state_dict`
with JSON-able data and tensors by name, and `Trainer` keeps that in its checkpoints.
A batch is a tensor of tokens, a `Batch`, or anything else that `to(device)` moves.

Shapes:  tokens "batch seq", mask "batch seq"
Raises:  ConfigError if there is too little data for one batch, if the data are no tensor, or if a mask counts nothing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from arena_lib.core.seeds import make_generator
from arena_lib.errors import ConfigError
from arena_lib.wording import counted


@dataclass(frozen=True)
class Batch:
    """Tokens to train on, and which of them count in the loss."""

    tokens: Int[Tensor, "batch seq"]
    mask: Bool[Tensor, "batch seq"] | None = None
    """True where predicting this token from those before it counts; None counts all but the first position."""

    def __post_init__(self) -> None:
        # On other devices looking would wait for the device.
        if self.mask is not None and self.mask.device.type == "cpu" and not self.mask[:, 1:].any():
            raise ConfigError(
                f"a mask must be True after the first position at least once: got one of shape {tuple(self.mask.shape)} "
                "that counts nothing, so there is no loss. Leave out examples in which no token counts."
            )

    def to(self, device: torch.device) -> "Batch":
        """Return the batch on `device`."""
        mask = None if self.mask is None else self.mask.to(device, non_blocking=True)
        return Batch(self.tokens.to(device, non_blocking=True), mask)


@runtime_checkable
class Movable(Protocol):
    """A batch of any kind."""

    def to(self, device: torch.device) -> Any:
        """Return the batch on `device`."""


Batches = Callable[[torch.Generator], Movable]
"""Makes the next batch, with randomness from the generator alone; see `random_windows` and `ShuffledBatches`."""


def as_batch(batch: Any) -> Movable:
    """Tokens as a `Batch` in which all count; floating-point tensors and batches of other kinds as they are."""
    if isinstance(batch, Tensor):
        return batch if batch.is_floating_point() else Batch(batch)
    if not hasattr(batch, "to"):
        check_tokens(batch)
    return batch


def split_state(batches: Batches) -> tuple[dict[str, Tensor], dict[str, Any] | None]:
    """What a source of batches must remember: its tensors, and the rest; nothing and None if it has no `state_dict`."""
    if not hasattr(batches, "state_dict"):
        return {}, None
    state = batches.state_dict()
    tensors = {name: value for name, value in state.items() if isinstance(value, Tensor)}
    return tensors, {name: value for name, value in state.items() if name not in tensors}


def check_tokens(tokens: Any) -> None:
    """Data must be a tensor: ConfigError says what to do with an array."""
    if not isinstance(tokens, Tensor):
        raise ConfigError(
            f"tokens must be a tensor: got {type(tokens).__name__}. Turn an array into one with "
            'torch.from_numpy(array.astype("int64")).'
        )


def random_windows(stream: Int[Tensor, " n_tokens"], batch_size: int, seq: int) -> Batches:
    """Batches of `seq` consecutive tokens of one long text, each starting anywhere."""
    check_tokens(stream)
    if len(stream) < seq:
        raise ConfigError(
            f"a text must have at least seq = {counted(seq, 'token')}: got {len(stream)}. Use a longer text or a smaller seq."
        )

    def next_batch(generator: torch.Generator) -> Tensor:
        starts = torch.randint(len(stream) - seq + 1, (batch_size, 1), generator=generator)
        return stream[starts + torch.arange(seq)]

    return next_batch


class ShuffledBatches:
    """Batches of whole examples in a new random order each epoch; a last, smaller batch is left out."""

    def __init__(
        self, tokens: Int[Tensor, "n_examples seq"], batch_size: int, mask: Bool[Tensor, "n_examples seq"] | None = None
    ) -> None:
        check_tokens(tokens)
        if not 1 <= batch_size <= len(tokens):
            raise ConfigError(
                f"batch_size must be from 1 to the number of examples, {len(tokens)}: got {batch_size}. Change it."
            )
        self.tokens, self.mask, self.batch_size = tokens, mask, batch_size
        self.load_state_dict({"seed": None, "position": 0})

    def __call__(self, generator: torch.Generator) -> Batch:
        """Return the next batch; at the start of an epoch the generator gives the seed of its order."""
        if self._seed is None or self._position + self.batch_size > len(self.tokens):
            seed = int(torch.randint(2**32, (), generator=generator))
            self.load_state_dict({"seed": seed, "position": 0})
        rows = self._order[self._position : self._position + self.batch_size]
        self._position += self.batch_size
        return Batch(self.tokens[rows], None if self.mask is None else self.mask[rows])

    def state_dict(self) -> dict[str, Any]:
        """Return the place in the current epoch as JSON-able data."""
        return {"seed": self._seed, "position": self._position}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go to the place that `state_dict` returned."""
        self._seed, self._position = state["seed"], state["position"]
        self._order = torch.randperm(len(self.tokens), generator=make_generator(self._seed or 0))
