"""Judges of section 1.5.4, Toy models of superposition and sparse autoencoders."""

from arena_lib.tests.superposition_and_saes.geometry import (
    test_compute_dimensionality,
    test_compute_feature_norms,
    test_compute_interference,
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
from arena_lib.tests.superposition_and_saes.updates import (
    test_take_step,
)

__test__ = False

__all__ = [
    "test_anticorrelated_presence",
    "test_calculate_loss",
    "test_compress",
    "test_compute_dimensionality",
    "test_compute_feature_norms",
    "test_compute_interference",
    "test_correlated_presence",
    "test_generate_batch",
    "test_importance_weighted_losses",
    "test_independent_presence",
    "test_model",
    "test_neuron_computation_model",
    "test_neuron_model",
    "test_reconstruct",
    "test_sparse_features",
    "test_take_step",
    "test_two_feature_losses",
    "test_with_random_signs",
]
