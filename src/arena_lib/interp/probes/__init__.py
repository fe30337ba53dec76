"""Linear probes: what a model's activations say, and whether the model uses it."""

from arena_lib.interp.probes.attention_probe import AttentionProbe, AttentionProbeConfig, attention_probe_forward
from arena_lib.interp.probes.control import Selectivity, compute_selectivity, make_control_labels
from arena_lib.interp.probes.dialogue import (
    extract_full_sequence_activations,
    render_dialogue,
    score_dialogue,
)
from arena_lib.interp.probes.extraction import (
    block_output,
    check_layer,
    extract_activations,
    find_blocks,
    read_residual,
    tokenize,
)
from arena_lib.interp.probes.few_shot import few_shot_evaluate
from arena_lib.interp.probes.generalization import compute_accuracy, compute_generalization_matrix
from arena_lib.interp.probes.instructed_pairs import construct_instructed_pairs, instruct
from arena_lib.interp.probes.intervention import (
    compute_indirect_effect,
    intervention_experiment,
    make_random_direction,
)
from arena_lib.interp.probes.logistic import LRProbe
from arena_lib.interp.probes.mean_difference import MMProbe, split_by_label
from arena_lib.interp.probes.pca import get_pca_components
from arena_lib.interp.probes.sweeps import layer_sweep_accuracy

__all__ = [
    "AttentionProbe",
    "AttentionProbeConfig",
    "LRProbe",
    "MMProbe",
    "Selectivity",
    "attention_probe_forward",
    "block_output",
    "check_layer",
    "compute_accuracy",
    "compute_generalization_matrix",
    "compute_indirect_effect",
    "compute_selectivity",
    "construct_instructed_pairs",
    "extract_activations",
    "extract_full_sequence_activations",
    "few_shot_evaluate",
    "find_blocks",
    "get_pca_components",
    "instruct",
    "intervention_experiment",
    "layer_sweep_accuracy",
    "make_control_labels",
    "make_random_direction",
    "read_residual",
    "render_dialogue",
    "score_dialogue",
    "split_by_label",
    "tokenize",
]
