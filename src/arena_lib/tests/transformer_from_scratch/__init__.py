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
from arena_lib.tests.transformer_from_scratch.sampling import (
    test_apply_frequency_penalty,
    test_apply_temperature,
    test_greedy_search,
    test_sample,
    test_sample_basic,
    test_sample_next_token,
    test_sample_top_k,
    test_sample_top_p,
)

__test__ = False

__all__ = [
    "test_apply_frequency_penalty",
    "test_apply_temperature",
    "test_attention",
    "test_causal_mask",
    "test_demo_transformer",
    "test_embed",
    "test_greedy_search",
    "test_layer_norm",
    "test_layer_norm_epsilon",
    "test_mlp",
    "test_pos_embed",
    "test_sample",
    "test_sample_basic",
    "test_sample_next_token",
    "test_sample_top_k",
    "test_sample_top_p",
    "test_transformer_block",
    "test_unembed",
]
