"""Judges of section 1.3.3, Interpretability with SAEs."""

from arena_lib.tests.interpretability_with_saes.topk import (
    test_compute_aux_error,
    test_decode_latents,
    test_keep_top_k,
    test_remove_radial_gradient,
)

__test__ = False

__all__ = [
    "test_compute_aux_error",
    "test_decode_latents",
    "test_keep_top_k",
    "test_remove_radial_gradient",
]
