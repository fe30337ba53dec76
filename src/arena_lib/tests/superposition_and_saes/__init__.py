"""Judges of section 1.5.4, Toy models of superposition and sparse autoencoders."""

from arena_lib.tests.superposition_and_saes.gated import (
    test_gated_toy_sae,
)
from arena_lib.tests.superposition_and_saes.gated_parts import (
    test_compute_auxiliary_loss,
    test_gate_latents,
    test_tie_magnitudes,
)
from arena_lib.tests.superposition_and_saes.geometry import (
    test_compute_dimensionality,
    test_compute_feature_norms,
    test_compute_interference,
)
from arena_lib.tests.superposition_and_saes.jumprelu import (
    test_jumprelu_toy_sae,
)
from arena_lib.tests.superposition_and_saes.neurons import (
    test_neuron_computation_model,
    test_neuron_model,
    test_with_random_signs,
)
from arena_lib.tests.superposition_and_saes.presence import (
    test_anticorrelated_presence,
    test_correlated_presence,
    test_independent_presence,
    test_sparse_features,
)
from arena_lib.tests.superposition_and_saes.replacing import (
    test_replace_latents,
)
from arena_lib.tests.superposition_and_saes.resampling_advanced import (
    test_resample_advanced,
)
from arena_lib.tests.superposition_and_saes.resampling_simple import (
    test_resample_simple,
)
from arena_lib.tests.superposition_and_saes.resampling_steps import (
    test_draw_examples,
    test_find_dead,
    test_resampling_probabilities,
)
from arena_lib.tests.superposition_and_saes.step_functions import (
    test_compute_l0_loss,
    test_heaviside,
    test_jumprelu,
)
from arena_lib.tests.superposition_and_saes.straight_through import (
    test_heaviside_gradients,
    test_jumprelu_gradients,
    test_rectangle,
)
from arena_lib.tests.superposition_and_saes.theory import (
    test_two_feature_losses,
)
from arena_lib.tests.superposition_and_saes.toy_batches import (
    test_generate_batch,
)
from arena_lib.tests.superposition_and_saes.toy_model import (
    test_calculate_loss,
    test_model,
)
from arena_lib.tests.superposition_and_saes.toy_parts import (
    test_compress,
    test_importance_weighted_losses,
    test_reconstruct,
)
from arena_lib.tests.superposition_and_saes.toy_sae_forward import (
    test_sae_forward,
    test_sae_generate_batch,
)
from arena_lib.tests.superposition_and_saes.toy_sae_losses import (
    test_compute_l1_loss,
    test_compute_reconstruction_loss,
    test_compute_recovery,
)
from arena_lib.tests.superposition_and_saes.toy_sae_steps import (
    test_compute_pre_acts,
    test_decode,
    test_encode,
    test_normalize_decoder,
)
from arena_lib.tests.superposition_and_saes.toy_sae_weights import (
    test_sae_init,
    test_sae_W_dec_normalized,
)
from arena_lib.tests.superposition_and_saes.updates import (
    test_take_step,
)

__test__ = False

__all__ = [
    "test_anticorrelated_presence",
    "test_calculate_loss",
    "test_compress",
    "test_compute_auxiliary_loss",
    "test_compute_dimensionality",
    "test_compute_feature_norms",
    "test_compute_interference",
    "test_compute_l0_loss",
    "test_compute_l1_loss",
    "test_compute_pre_acts",
    "test_compute_reconstruction_loss",
    "test_compute_recovery",
    "test_correlated_presence",
    "test_decode",
    "test_draw_examples",
    "test_encode",
    "test_find_dead",
    "test_gate_latents",
    "test_gated_toy_sae",
    "test_generate_batch",
    "test_heaviside",
    "test_heaviside_gradients",
    "test_importance_weighted_losses",
    "test_independent_presence",
    "test_jumprelu",
    "test_jumprelu_gradients",
    "test_jumprelu_toy_sae",
    "test_model",
    "test_neuron_computation_model",
    "test_neuron_model",
    "test_normalize_decoder",
    "test_reconstruct",
    "test_rectangle",
    "test_replace_latents",
    "test_resample_advanced",
    "test_resample_simple",
    "test_resampling_probabilities",
    "test_sae_W_dec_normalized",
    "test_sae_forward",
    "test_sae_generate_batch",
    "test_sae_init",
    "test_sparse_features",
    "test_take_step",
    "test_tie_magnitudes",
    "test_two_feature_losses",
    "test_with_random_signs",
]
