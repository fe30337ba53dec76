"""Judges of section 1.3.3, Interpretability with SAEs."""

from arena_lib.tests.interpretability_with_saes.metrics import (
    test_compute_frequencies,
    test_compute_fvu,
    test_compute_l0,
    test_compute_loss_recovered,
    test_replace_positions,
)
from arena_lib.tests.interpretability_with_saes.stream import (
    test_compute_scale,
    test_mix_halves,
    test_pick_positions,
)
from arena_lib.tests.interpretability_with_saes.topk import (
    test_compute_aux_error,
    test_decode_latents,
    test_keep_top_k,
    test_remove_radial_gradient,
)

__test__ = False

__all__ = [
    "test_compute_aux_error",
    "test_compute_frequencies",
    "test_compute_fvu",
    "test_compute_l0",
    "test_compute_loss_recovered",
    "test_compute_scale",
    "test_decode_latents",
    "test_keep_top_k",
    "test_mix_halves",
    "test_pick_positions",
    "test_remove_radial_gradient",
    "test_replace_positions",
]
