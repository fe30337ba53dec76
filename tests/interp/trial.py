"""A bridge with its runs on two sets of prompts, and by how much a value is off."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch

from arena_lib.interp.patching.activation import (
    get_act_patch_attn_head_all_pos_every,
    get_act_patch_block_every,
)
from arena_lib.interp.patching.experiment import PathExperiment


def metric(logits):
    return (logits[:, -1, 7] - logits[:, -1, 4]).mean()


def off(value: torch.Tensor, expected: torch.Tensor) -> float:
    return float((value - expected).abs().max() / expected.abs().max())


def off_direction(rows: torch.Tensor, expected: torch.Tensor) -> float:
    """How far rows are from positive multiples of the expected ones."""
    return off(torch.nn.functional.normalize(rows, dim=-1), torch.nn.functional.normalize(expected, dim=-1))


@dataclass
class Trial:
    """A bridge, and its runs on two sets of prompts."""

    bridge: Any
    tokens = torch.tensor([[3, 5, 9, 7], [6, 4, 4, 20], [11, 12, 30, 14]])
    others = torch.tensor([[3, 8, 9, 2], [10, 4, 5, 20], [11, 28, 30, 6]])

    @cached_property
    def own(self) -> Any:
        return self.bridge.run_with_cache(self.tokens)

    @cached_property
    def other(self) -> Any:
        return self.bridge.run_with_cache(self.others)

    @property
    def experiments(self) -> list[PathExperiment]:
        caches = {"orig_cache": self.own[1], "new_cache": self.other[1]}
        return [PathExperiment(self.tokens, self.others, through, **caches) for through in ("direct", "mlps")]

    @cached_property
    def block_loops(self) -> torch.Tensor:
        return get_act_patch_block_every(self.bridge, self.tokens, self.other[1], metric)

    @cached_property
    def head_loops(self) -> torch.Tensor:
        return get_act_patch_attn_head_all_pos_every(self.bridge, self.tokens, self.other[1], metric)

    def patch(self, values: dict[str, torch.Tensor], read: str | None = None) -> torch.Tensor:
        """Logits, or an activation, of a run of the prompts with these values put in."""
        kept = []
        hooks = [(name, lambda tensor, hook, value=value: value) for name, value in values.items()]
        if read is not None:
            hooks.append((read, lambda tensor, hook: kept.append(tensor)))
        logits = self.bridge.run_with_hooks(self.tokens, fwd_hooks=hooks)
        return logits if read is None else kept[0]

    def from_other(self, *kinds: str) -> dict[str, torch.Tensor]:
        """What the other prompts have at these hooks of both layers, and at the beginning."""
        names = ["blocks.0.hook_resid_pre", *(f"blocks.{layer}.{kind}" for layer in range(2) for kind in kinds)]
        return {name: self.other[1][name] for name in names}

    def put_rows(self, rows: torch.Tensor, name: str, read: str | None = None) -> torch.Tensor:
        """What a run has at `read` (or its logits), less the same for zeros, with these vectors at the first positions."""
        value = torch.zeros_like(self.own[1]["blocks.0.hook_resid_pre"])
        zeros = self.patch({name: value}, read)
        return self.patch({name: value.index_put((torch.arange(3), torch.tensor(0)), rows)}, read)[:, 0] - zeros[:, 0]
