"""What patched runs end in: the metric of each, computed no further than where the metric reads.

Many patched runs of the same prompts go through the model as one batch, "(patch prompt)" with prompts
fastest. A metric that reads one position of each prompt says so (`read_at`): then the last MLP, the
final norm and the unembedding see that position alone, and the metric gets logits with one position,
so that `logits[:, -1]` means the same as before.

Shapes:  rows of residual streams "rows seq d_model", with rows = patches * batch, -> metrics "patches".
Raises:  ShapeError for positions that don't fit the prompts; what `check_metric` raises.
Source:  own derivation: positions meet in attention alone, so what follows the last one is free to skip them.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from arena_lib.errors import ShapeError
from arena_lib.interp.models import HookedLM, check_metric
from arena_lib.interp.patching.metrics import Metric
from arena_lib.transformer.activations.hooks import HookSpec

ReadAt = int | Tensor | None
"""Where a metric reads: one position, one for each prompt ("batch"), or None for all."""

MAX_TOKENS = 2048
"""Tokens that run as one batch: enough to keep two cores busy, few enough for their caches."""

MAX_TOKENS_CUDA = 65536
"""The same for a GPU, whose launches cost as much as a thousand tokens."""

Item = TypeVar("Item")


def chunks(items: Sequence[Item], tokens: Int[Tensor, "batch seq_out"], max_tokens: int | None) -> Iterator[list[Item]]:
    """The patches in parts of which each has at most `max_tokens` tokens when every patch is one run of `tokens`."""
    if max_tokens is None:
        max_tokens = MAX_TOKENS_CUDA if tokens.is_cuda else MAX_TOKENS
    size = max(1, max_tokens // max(1, tokens.numel()))
    for start in range(0, len(items), size):
        yield list(items[start : start + size])


def difference(source: Any, own: Any, name: str) -> Tensor:
    """What an activation changes by when it is replaced: another run's less this run's."""
    there, here = source[name], own[name]
    if there.shape != here.shape:
        raise ShapeError(
            f"both runs must have the same prompts by number and length: got {name} of shape {tuple(there.shape)} "
            f"to patch into one of shape {tuple(here.shape)}. Cache the other prompts, as many and as long."
        )
    return there - here


def find_positions(lm: HookedLM, shape: Sequence[int], read_at: ReadAt) -> Int[Tensor, " batch"] | None:
    """The column that is read of each prompt, counted from the start; None where all are read."""
    if read_at is None:
        return None
    if isinstance(read_at, Tensor) and read_at.shape != shape[:1]:
        raise ShapeError(
            f"read_at must be one position, or one for each of {shape[0]} prompts: got shape {tuple(read_at.shape)}. "
            "Leave it out for a metric that reads several."
        )
    return lm.find_columns(shape, read_at)


def keep_positions(
    rows: Shaped[Tensor, "rows seq *any"], positions: Int[Tensor, " batch"] | None
) -> Shaped[Tensor, "rows seq_out *any"]:
    """The positions that are read; rows are the prompts, or several runs of them with prompts fastest."""
    if positions is None:
        return rows
    n_rows = rows.shape[0]
    places = positions.to(rows.device).repeat(n_rows // len(positions))
    return rows[torch.arange(n_rows, device=rows.device), places][:, None]


@dataclass(frozen=True, eq=False)
class Readout:
    """A metric, and how to get from a residual stream to it."""

    lm: HookedLM
    metric: Metric
    batch: int
    positions: Int[Tensor, " batch"] | None
    """The position that the metric reads of each prompt; None if it reads all."""

    def keep(self, resid: Float[Tensor, "rows seq d_model"]) -> Float[Tensor, "rows seq_out d_model"]:
        """The positions that the metric reads."""
        return keep_positions(resid, self.positions)

    def of_logits(self, logits: Float[Tensor, "rows seq_out d_vocab"]) -> Float[Tensor, " patches"]:
        """The metric of each patch."""
        return torch.stack([check_metric(self.metric(part)) for part in logits.split(self.batch)])

    def of_final(self, resid: Float[Tensor, "rows seq_out d_model"]) -> Float[Tensor, " patches"]:
        """The same from what leaves the last block, at the positions that are read."""
        return self.of_logits(self.lm.unembed(resid))

    def of_pre(
        self, resid: Float[Tensor, "rows seq d_model"], layer: int, fwd_hooks: Iterable[HookSpec] = ()
    ) -> Float[Tensor, " patches"]:
        """The same from what enters a layer; that of layer n_layers leaves the last block."""
        if layer == self.lm.n_layers:
            return self.of_final(self.keep(resid))
        hooks = list(fwd_hooks)
        if self.positions is not None:
            hooks.append((self.lm.last_meeting, lambda resid, hook: self.keep(resid)))
        return self.of_logits(self.lm.run(resid, hooks, start_at_layer=layer))

    def of_mid(self, resid: Float[Tensor, "rows seq d_model"], layer: int) -> Float[Tensor, " patches"]:
        """The same from what stands between a layer's attention and its MLP."""
        is_last = layer == self.lm.n_layers - 1
        if is_last:
            resid = self.keep(resid)
        if self.lm.has_mlp:
            resid = resid + self.lm.mlp_out(layer, resid)
        return self.of_final(resid) if is_last else self.of_pre(resid, layer + 1)


def make_readout(lm: HookedLM, tokens: Int[Tensor, "batch seq"], metric: Metric, read_at: ReadAt) -> Readout:
    """The readout of patched runs of `tokens`."""
    return Readout(lm, metric, tokens.shape[0], find_positions(lm, tokens.shape, read_at))
