"""Judges of section 1.1, Transformer from scratch."""

from arena_lib.tests.transformer_from_scratch.architecture import (
    test_demo_transformer,
    test_embed,
    test_layer_norm,
    test_layer_norm_epsilon,
    test_mlp,
    test_pos_embed,
    test_transformer_block,
    test_unembed,
)
from arena_lib.tests.transformer_from_scratch.attention import test_attention, test_causal_mask

__test__ = False

__all__ = [
    "test_attention",
    "test_causal_mask",
    "test_demo_transformer",
    "test_embed",
    "test_layer_norm",
    "test_layer_norm_epsilon",
    "test_mlp",
    "test_pos_embed",
    "test_transformer_block",
    "test_unembed",
]
