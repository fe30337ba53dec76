"""Judges of section 1.1, Transformer from scratch."""

from arena_lib.tests.transformer_from_scratch.attention import test_causal_mask

__test__ = False

__all__ = ["test_causal_mask"]
