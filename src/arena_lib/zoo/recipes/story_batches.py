"""Batches of Storyworld rows in stages, made as they are needed and never twice.

Shapes:  tokens "batch seq", mask "batch seq"
Raises:  ConfigError for stages that do not end with an endless one.
Differs: rows come from the recipe's seed and their place in the run, not from the
         trainer's generator, so that a run goes on after a stop with the same rows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from arena_lib.core.batches import Batch
from arena_lib.errors import ConfigError
from arena_lib.storyworld import make_marked_rows
from arena_lib.storyworld.tasks import LONGEST_STRING

SHARD = 64
"""Batches whose rows are made at once."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A part of a run with its own mixture of documents and its own length of rows."""

    mixture: Mapping[str, float]
    """Share of the tokens by kind of document."""
    seq: int
    """Tokens a row has."""
    n_shards: int | None = None
    """How many shards of 64 batches it lasts; None for the last stage, which has no end."""
    longest: int = LONGEST_STRING
    """Words of the longest string that is repeated."""
    answers_every: int | None = None
    """In every so many-th batch only answers about people count, one token in forty, if it has any; None counts all."""


class StoryBatches:
    """Makes batch after batch of about `batch_tokens` tokens, with its place in the run as its only state.

    >>> batches = StoryBatches(batch_tokens=40, seed=0, stages=[Stage(mixture={"story": 1.0}, seq=16)])
    >>> batches(torch.Generator()).tokens.shape
    torch.Size([2, 16])
    """

    def __init__(self, *, batch_tokens: int, seed: int, stages: Sequence[Stage]) -> None:
        if not stages or stages[-1].n_shards is not None or any(stage.n_shards is None for stage in stages[:-1]):
            lasting = [stage.n_shards for stage in stages]
            raise ConfigError(
                f"the last stage, and no other, must have n_shards=None: got {lasting}. Leave its n_shards out."
            )
        if batch_tokens < max(stage.seq for stage in stages):
            longest = max(stage.seq for stage in stages)
            raise ConfigError(f"batch_tokens must hold a row of {longest} tokens: got {batch_tokens}. Raise it.")
        self.batch_tokens, self.seed, self.stages = batch_tokens, seed, stages
        self._position, self._shard_idx = 0, -1
        self._tokens, self._marks = torch.empty(0, 0, dtype=torch.int64), torch.empty(0, 0, dtype=torch.bool)

    def __call__(self, generator: torch.Generator) -> Batch:
        """The next batch; the generator is not drawn from."""
        shard_idx, batch_idx = divmod(self._position, SHARD)
        if shard_idx != self._shard_idx:
            (self._tokens, self._marks), self._shard_idx = self._make_shard(shard_idx), shard_idx
        self._position += 1
        batch = self.batch_tokens // self._tokens.shape[1]
        rows = slice(batch_idx * batch, (batch_idx + 1) * batch)
        every = self.find_stage(shard_idx).answers_every
        answers_only = every is not None and batch_idx % every == every - 1
        marks = self._marks[rows]
        return Batch(self._tokens[rows], marks if answers_only and marks[:, 1:].any() else None)

    def state_dict(self) -> dict[str, Any]:
        """The place in the run, as JSON-able data."""
        return {"position": self._position}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go to the place that `state_dict` returned."""
        self._position = state["position"]

    def find_stage(self, shard_idx: int) -> Stage:
        """The stage that a shard belongs to."""
        for stage in self.stages:
            if stage.n_shards is None or shard_idx < stage.n_shards:
                return stage
            shard_idx -= stage.n_shards
        raise AssertionError("the last stage has no end")

    def _make_shard(self, shard_idx: int) -> tuple[Int[Tensor, "n_rows seq"], Bool[Tensor, "n_rows seq"]]:
        """The tokens of a shard, and which of them are answers about people."""
        stage = self.find_stage(shard_idx)
        n_rows = SHARD * (self.batch_tokens // stage.seq)
        # Every seed has a thousand million shards of its own.
        seed = self.seed * 10**9 + shard_idx
        rows, marks = make_marked_rows(n_rows, stage.seq, seed=seed, mixture=stage.mixture, longest=stage.longest)
        return torch.from_numpy(rows), torch.from_numpy(marks)
