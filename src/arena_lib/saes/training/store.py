"""Activations that stream from a model through a shuffled buffer: a data set of them is never in memory.

    store = ActivationStore(model, "blocks.2.hook_resid_post", source)
    batch = store(generator)                     # batch.acts "batch d_in", float32

Neighbouring tokens have similar activations, so a batch should come from many texts. The buffer is allocated once, for
three halves of a chunk. A chunk is read from the model at once and split by chance into two halves: one is served now,
mixed with the second half of the chunk before, the other with the first half of the next. What was served is written
over by the next chunk. So each row is written once and read once, and a batch mixes the texts of two chunks.

Nothing older than two chunks is left in the buffer. That is why a checkpoint needs no activations: a store that goes on
from `state_dict` reads those two chunks again, and gives the same batches bit for bit.

Shapes:  source -> tokens "batch seq" (and a mask) -> acts "batch d_in", target "batch d_out"
Raises:  ConfigError for a source that ends or gives only padding; TrainingError for activations that aren't finite;
         CheckpointError for a state of another configuration; what `reading.py` raises for hooks and tokens.
Source:  Bricken et al. 2023, "Towards monosemanticity" (a buffer of shuffled activations); Conerly et al. 2024,
         "Circuits updates, April", Training SAEs (activations scaled to a mean norm of sqrt(d_in)).
Differs: two thirds of the buffer are refilled at a time, not half of it: rows never stay longer than two chunks.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from arena_lib.core.configs import check_sizes
from arena_lib.core.seeds import make_generator
from arena_lib.errors import CheckpointError, ConfigError, ShapeError, TrainingError
from arena_lib.saes.training.distributed import average
from arena_lib.saes.training.reading import ActivationReader, TokenSource, read_batch
from arena_lib.transformer.fast.padding import Mask

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
MOST_EMPTY = 100
"""So many batches of nothing but padding one after the other mean that nothing will come."""


@dataclass(frozen=True, kw_only=True)
class StoreConfig:
    """How activations are batched and mixed."""

    batch_size: int = 1024
    """Activations in a batch."""
    chunk_batches: int = 16
    """Batches for which the model is read at once; an even number. The buffer holds one and a half times as many."""
    skip_first: bool = False
    """Whether to leave out each row's first token, whose activation is of unusual size in many models."""
    skip_tokens: tuple[int, ...] = ()
    """Ids of tokens whose activations are left out, such as the one that begins a text."""
    is_scaled: bool = True
    """Whether activations are multiplied by one number that makes their mean norm sqrt(d_in), a transcoder's targets by
    another; settings then suit every model. `SAE.fold_scale` puts it into the weights at the end."""
    dtype: Literal["float32", "bfloat16"] = "bfloat16"
    """What the buffer holds; batches are float32."""

    def __post_init__(self) -> None:
        check_sizes(self, "batch_size", "chunk_batches")
        if self.chunk_batches % 2:
            raise ConfigError(
                f"StoreConfig.chunk_batches must be even, as a chunk is served in two halves: got {self.chunk_batches}. "
                f"Pass {self.chunk_batches + 1}."
            )
        if self.dtype not in DTYPES:
            raise ConfigError(
                f"StoreConfig.dtype must be 'float32' or 'bfloat16': got {self.dtype!r}. Pass one of them."
            )


@dataclass(frozen=True)
class Activations:
    """A batch of activations."""

    acts: Float[Tensor, "batch d_in"]
    """What an autoencoder reads."""
    target: Float[Tensor, "batch d_out"] | None = None
    """What a transcoder reconstructs; None for an autoencoder."""

    def to(self, device: torch.device) -> "Activations":
        """The batch on `device`."""
        target = None if self.target is None else self.target.to(device, non_blocking=True)
        return Activations(self.acts.to(device, non_blocking=True), target)


@runtime_checkable
class ActivationSource(Protocol):
    """What a trainer asks of a store: batches, where they are from, and how they were scaled."""

    @property
    def hook_name(self) -> str: ...  # noqa: D102

    @property
    def hook_name_out(self) -> str: ...  # noqa: D102

    @property
    def d_in(self) -> int: ...  # noqa: D102

    @property
    def d_out(self) -> int | None: ...  # noqa: D102

    @property
    def scale(self) -> Float[Tensor, ""]: ...  # noqa: D102

    @property
    def scale_out(self) -> Float[Tensor, ""]: ...  # noqa: D102

    def __call__(self, generator: torch.Generator) -> Activations: ...  # noqa: D102

    def check_finite(self) -> None: ...  # noqa: D102


def pick_positions(
    tokens: Int[Tensor, "batch seq"], attention_mask: Mask | None, *, skip_first: bool, skip_tokens: tuple[int, ...]
) -> Bool[Tensor, "batch seq"]:
    """Which positions an autoencoder is trained on: real ones, without those that are to be left out.

    The mask is True (or 1) at real tokens and False (or 0) at padding; None means that all are real. `skip_first` leaves out
    each row's first real token, `skip_tokens` every token with one of these ids.

    >>> pick_positions(torch.tensor([[7, 0, 5]]), torch.tensor([[False, True, True]]), skip_first=True, skip_tokens=())
    tensor([[False, False,  True]])
    """
    is_picked = torch.ones_like(tokens, dtype=torch.bool) if attention_mask is None else attention_mask.bool().clone()
    if skip_first:
        is_picked &= is_picked.cumsum(dim=1) != 1
    for token in skip_tokens:
        is_picked &= tokens != token
    return is_picked


def compute_scale(acts: Float[Tensor, "batch d_in"]) -> Float[Tensor, ""]:
    """What activations are multiplied by for a mean norm of sqrt(d_in).

    Gradients flow through it.
    """
    return acts.shape[-1] ** 0.5 / acts.float().norm(dim=-1).mean()


def mix_halves(
    held: Shaped[Tensor, "n_half ..."],
    chunk: Shaped[Tensor, "n_chunk ..."],
    split: Int[Tensor, " n_chunk"],
    order: Int[Tensor, " n_chunk"],
) -> tuple[Shaped[Tensor, "n_chunk ..."], Shaped[Tensor, "n_half ..."]]:
    """What is served next, and what is held back for later, once a new chunk was read.

    `split` is the order in which the chunk is taken: the first half of it goes now, the second half is held back. What was
    held back of the chunk before comes first, the new half follows, and `order` is the order in which both are served.
    `split` and `order` each have every number from 0 to n_chunk - 1 once.

    >>> new = torch.tensor([10, 20, 30, 40])
    >>> mix_halves(torch.tensor([1, 2]), new, torch.tensor([3, 0, 1, 2]), torch.tensor([2, 0, 3, 1]))
    (tensor([40,  1, 10,  2]), tensor([20, 30]))
    """
    now, later = chunk[split].chunk(2)
    return torch.cat([held, now])[order], later


class ActivationStore:
    """Batches of activations at a hook, for `Trainer`: a function of a generator, with its place in the stream as state.

    `hook_name_out` is where a transcoder's target comes from. The store's tensors are on the model's device.
    """

    def __init__(
        self,
        model: Any,
        hook_name: str,
        source: TokenSource,
        cfg: StoreConfig | None = None,
        *,
        hook_name_out: str = "",
    ) -> None:
        if not callable(source):
            raise ConfigError(
                f"the source of tokens must be a function from a generator to the next batch: got {type(source).__name__}."
                " Use ShuffledBatches(tokens, batch_size), random_windows, or TextBatches for a list of texts."
            )
        self.cfg, self.source = cfg or StoreConfig(), source
        self.reader = ActivationReader(model, *(name for name in (hook_name, hook_name_out) if name))
        self.hook_name, self.hook_name_out = hook_name, hook_name_out
        self.d_in, self.d_out = self.reader.widths[0], (self.reader.widths[1:] or (None,))[0]
        device = self.reader.lm.device
        half = self.cfg.batch_size * self.cfg.chunk_batches // 2
        self._buffer = torch.empty(3 * half, sum(self.reader.widths), dtype=DTYPES[self.cfg.dtype], device=device)
        self._free = torch.arange(2 * half, device=device)
        self._held = torch.arange(2 * half, 3 * half, device=device)
        self._rows = self._buffer[:0]  # read and not yet in the buffer
        self._n_served = self.cfg.chunk_batches  # nothing is left to serve
        self._chunks: list[dict[str, Any]] = []  # where the two chunks in the buffer began
        self._scales: Tensor | None = None
        self._first_bad = torch.full((), -1, dtype=torch.int64, device=device)
        self._n_batches = 0

    def __call__(self, generator: torch.Generator) -> Activations:
        """The next batch; the generator gives the seed of each chunk."""
        if self._n_served == self.cfg.chunk_batches:
            if not self._chunks:
                self._read_chunk(_draw_seed(generator))  # its second half is what the first batches are mixed with
            self._read_chunk(_draw_seed(generator))
        start = self._n_served * self.cfg.batch_size
        rows = self._buffer.index_select(0, self._free[start : start + self.cfg.batch_size]).float()
        self._n_served += 1
        self._n_batches += 1
        acts, target = rows[:, : self.d_in], None if self.d_out is None else rows[:, self.d_in :]
        if not self.cfg.is_scaled:
            return Activations(acts, target)
        return Activations(acts * self.scale, None if target is None else target * self.scale_out)

    def batches(self, n_batches: int, seed: int = 0) -> Iterator[Activations]:
        """So many batches, to look at activations outside of a training run."""
        generator = make_generator(seed)
        for _ in range(n_batches):
            yield self(generator)

    # -- scale and health ---------------------------------------------------------------------

    @property
    def scale(self) -> Float[Tensor, ""]:
        """What activations are multiplied by; estimated on the first chunk, and 1 before."""
        return torch.ones(()) if self._scales is None else self._scales[0]

    @property
    def scale_out(self) -> Float[Tensor, ""]:
        """What targets are multiplied by: an autoencoder's are its activations."""
        return torch.ones(()) if self._scales is None else self._scales[-1]

    def check_finite(self) -> None:
        """Raise TrainingError if an activation that was read is NaN or infinite, naming the hook and the batch.

        Looking waits for the device, so the store doesn't do it by itself.
        """
        first_bad = int(self._first_bad)
        if first_bad >= 0:
            raise TrainingError(
                f"activations at {' and '.join(self.reader.hook_names)} must be finite: got NaN or infinite ones, read "
                f"before step {first_bad + 1}. Look at the model and its dtype on the texts of that step; the latest "
                "checkpoint is from before."
            )

    # -- going on -----------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """The place in the stream: where the two chunks in the buffer began, and how many batches were served."""
        if not self._chunks:
            return {"chunks": []}
        chunks = [{"seed": chunk["seed"], "source": chunk["source"]} for chunk in self._chunks]
        state = {"chunks": chunks, "n_served": self._n_served, "n_batches": self._n_batches, "config": self._describe()}
        assert self._scales is not None
        return {**state, "rows": self._chunks[0]["rows"].clone(), "scales": self._scales.clone()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go to the place that `state_dict` returned, by reading its two chunks again."""
        if not state["chunks"]:
            return
        if state["config"] != self._describe():
            raise CheckpointError(
                f"a store must go on with the hooks and the configuration of its checkpoint, {state['config']}: got "
                f"{self._describe()}. Use those, or start over with resume=False."
            )
        device = self._buffer.device
        self._rows, self._scales = state["rows"].to(device), state["scales"].to(device)
        self._n_batches = state["n_batches"]
        if hasattr(self.source, "load_state_dict"):
            self.source.load_state_dict(state["chunks"][0]["source"])
        for chunk in state["chunks"]:
            self._read_chunk(chunk["seed"])
        self._n_served = state["n_served"]

    def _describe(self) -> dict[str, Any]:
        cfg = asdict(self.cfg) | {"skip_tokens": list(self.cfg.skip_tokens)}
        return {"hooks": list(self.reader.hook_names), "widths": list(self.reader.widths), **cfg}

    # -- filling the buffer -------------------------------------------------------------------

    def _read_chunk(self, seed: int) -> None:
        """Write a chunk over what was served, and shuffle half of it with what was held back of the chunk before."""
        source_state = self.source.state_dict() if hasattr(self.source, "state_dict") else None
        self._chunks = [*self._chunks[-1:], {"seed": seed, "source": source_state, "rows": self._rows}]
        generator = make_generator(seed)
        n_chunk, device = len(self._free), self._buffer.device
        split = torch.randperm(n_chunk, generator=generator).to(device, non_blocking=True)
        order = torch.randperm(n_chunk, generator=generator).to(device, non_blocking=True)
        self._write(self._free, generator)
        if self._scales is None:
            parts = self._buffer[self._free].split(self.reader.widths, dim=-1)
            self._scales = average(torch.stack([compute_scale(part) for part in parts]))
        self._free, self._held = mix_halves(self._held, self._free, split, order)
        self._n_served = 0

    @torch.inference_mode()
    def _write(self, slots: Int[Tensor, " n"], generator: torch.Generator) -> None:
        n_written = n_empty = 0
        while n_written < len(slots):
            if len(self._rows) == 0:
                self._rows = self._read_rows(generator)
                n_empty = n_empty + 1 if len(self._rows) == 0 else 0
                if n_empty == MOST_EMPTY:
                    raise ConfigError(
                        f"the source must give tokens to fill the buffer with: got {MOST_EMPTY} batches one after the "
                        "other in which every position is padding or left out. Look at its masks, and at skip_tokens."
                    )
            rows = self._rows[: len(slots) - n_written]
            self._buffer.index_copy_(0, slots[n_written : n_written + len(rows)], rows)
            self._rows = self._rows[len(rows) :]
            n_written += len(rows)

    def _read_rows(self, generator: torch.Generator) -> Float[Tensor, "rows width"]:
        """The activations of one batch of tokens, without padding and what is left out."""
        try:
            tokens, mask = read_batch(self.source(generator))
        except StopIteration as error:
            raise ConfigError(
                "the source must give tokens without end: got its end. Begin again there, as ShuffledBatches does."
            ) from error
        parts = [acts.flatten(0, 1) for acts in self.reader.read(tokens, mask)]
        if any(part.shape[1] != width for part, width in zip(parts, self.reader.widths, strict=True)):
            raise ShapeError(
                f"activations must keep their width, {self.reader.widths}: got {[part.shape[1] for part in parts]}. Use "
                "the model that the store was made with."
            )
        rows = parts[0] if len(parts) == 1 else torch.cat(parts, dim=-1)
        if mask is not None or self.cfg.skip_first or self.cfg.skip_tokens:
            # On the CPU, where tokens come from: counting on another device would wait for it.
            is_picked = pick_positions(
                tokens.cpu(),
                None if mask is None else mask.cpu(),
                skip_first=self.cfg.skip_first,
                skip_tokens=self.cfg.skip_tokens,
            )
            picked = is_picked.flatten().nonzero().squeeze(-1)
            rows = rows.index_select(0, picked.to(rows.device, non_blocking=True))
        is_bad = ~rows.sum(dtype=torch.float32).isfinite()
        self._first_bad = torch.where((self._first_bad < 0) & is_bad, self._n_batches, self._first_bad)
        return rows.to(self._buffer.dtype)


def _draw_seed(generator: torch.Generator) -> int:
    return int(torch.randint(2**32, (), generator=generator))
