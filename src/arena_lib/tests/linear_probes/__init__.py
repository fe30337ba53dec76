"""Judges of section 1.3.1, Linear probes."""

from arena_lib.tests.linear_probes.control import test_compute_selectivity, test_make_control_labels
from arena_lib.tests.linear_probes.extraction import test_extract_activations
from arena_lib.tests.linear_probes.generalization import test_compute_generalization_matrix
from arena_lib.tests.linear_probes.logistic import test_lr_probe
from arena_lib.tests.linear_probes.mean_difference import test_mm_probe
from arena_lib.tests.linear_probes.pca import test_get_pca_components
from arena_lib.tests.linear_probes.sweeps import test_layer_sweep_accuracy

__test__ = False

__all__ = [
    "test_compute_generalization_matrix",
    "test_compute_selectivity",
    "test_extract_activations",
    "test_get_pca_components",
    "test_layer_sweep_accuracy",
    "test_lr_probe",
    "test_make_control_labels",
    "test_mm_probe",
]
