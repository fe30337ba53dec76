"""What a path patching experiment compares, what effects may pass, and where its metric reads.

Shapes:  tokens "batch seq".
Raises:  ShapeError for prompts that differ in shape; ConfigError for another kind of path.
Source:  own derivation.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from jaxtyping import Int
from torch import Tensor

from arena_lib.errors import ConfigError
from arena_lib.interp.models import HookedLM, check_aligned
from arena_lib.interp.patching.activation import Cache
from arena_lib.interp.patching.readout import ReadAt

Through = Literal["direct", "mlps"]
"""What an effect may pass on its way: nothing, or MLPs between sender and receiver."""


@dataclass(frozen=True, eq=False)
class PathExperiment:
    """Two sets of prompts, which align position by position, and what is asked about them."""

    orig_tokens: Int[Tensor, "batch seq"]
    """The prompts that are run."""
    new_tokens: Int[Tensor, "new_batch new_seq"]  # axes of their own: `check_aligned` says what to do
    """The prompts that senders get their values from."""
    through: Through = "mlps"
    """What an effect may pass on its way."""
    read_at: ReadAt = None
    """Where the metric reads; it gets the logits of that position alone."""
    orig_cache: Cache = None
    """The original prompts' activations (all, or those that the function names); None if they must be made."""
    new_cache: Cache = None
    """The same of the new prompts."""

    def __post_init__(self) -> None:
        check_aligned(self.new_tokens, self.orig_tokens)
        if self.through not in ("direct", "mlps"):
            raise ConfigError(
                f"through must be 'direct' or 'mlps': got {self.through!r}. Choose what effects may pass."
            )

    def with_caches(self, lm: HookedLM, names: Sequence[str]) -> "PathExperiment":
        """Return the same experiment with both caches; a missing one is made, of these hook names."""
        runs = ((self.orig_tokens, self.orig_cache), (self.new_tokens, self.new_cache))
        orig, new = (lm.run_with_cache(tokens, names)[1] if cache is None else cache for tokens, cache in runs)
        return replace(self, orig_cache=orig, new_cache=new)
