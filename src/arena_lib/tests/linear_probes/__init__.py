"""Judges of section 1.3.1, Linear probes."""

from arena_lib.tests.linear_probes.attention_probe import test_attention_probe_forward
from arena_lib.tests.linear_probes.control import test_make_control_labels
from arena_lib.tests.linear_probes.dialogue import test_score_dialogue
from arena_lib.tests.linear_probes.extraction import test_extract_activations
from arena_lib.tests.linear_probes.few_shot import test_few_shot_evaluate
from arena_lib.tests.linear_probes.full_sequences import test_extract_full_sequence_activations
from arena_lib.tests.linear_probes.generalization import test_compute_generalization_matrix
from arena_lib.tests.linear_probes.instructed_pairs import test_construct_instructed_pairs
from arena_lib.tests.linear_probes.intervention import test_intervention_experiment
from arena_lib.tests.linear_probes.logistic import test_lr_probe
from arena_lib.tests.linear_probes.mean_difference import test_mm_probe
from arena_lib.tests.linear_probes.pca import test_get_pca_components
from arena_lib.tests.linear_probes.selectivity import test_compute_selectivity
from arena_lib.tests.linear_probes.steering_hook import test_deception_steering_hook
from arena_lib.tests.linear_probes.sweeps import test_layer_sweep_accuracy

__test__ = False

__all__ = [
    "test_attention_probe_forward",
    "test_compute_generalization_matrix",
    "test_compute_selectivity",
    "test_construct_instructed_pairs",
    "test_deception_steering_hook",
    "test_extract_activations",
    "test_extract_full_sequence_activations",
    "test_few_shot_evaluate",
    "test_get_pca_components",
    "test_intervention_experiment",
    "test_layer_sweep_accuracy",
    "test_lr_probe",
    "test_make_control_labels",
    "test_mm_probe",
    "test_score_dialogue",
]
