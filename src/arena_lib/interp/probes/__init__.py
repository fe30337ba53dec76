"""Linear probes: what a model's activations say, and whether the model uses it."""

from arena_lib.interp.probes.extraction import (
    block_output,
    check_layer,
    extract_activations,
    find_blocks,
    read_residual,
    tokenize,
)

__all__ = ["block_output", "check_layer", "extract_activations", "find_blocks", "read_residual", "tokenize"]
