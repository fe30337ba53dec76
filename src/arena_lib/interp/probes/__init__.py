"""Linear probes: what a model's activations say, and whether the model uses it."""

from arena_lib.interp.probes.control import Selectivity, compute_selectivity, make_control_labels
from arena_lib.interp.probes.extraction import (
    block_output,
    check_layer,
    extract_activations,
    find_blocks,
    read_residual,
    tokenize,
)
from arena_lib.interp.probes.generalization import compute_accuracy, compute_generalization_matrix
from arena_lib.interp.probes.logistic import LRProbe
from arena_lib.interp.probes.mean_difference import MMProbe, split_by_label
from arena_lib.interp.probes.pca import get_pca_components
from arena_lib.interp.probes.sweeps import layer_sweep_accuracy

__all__ = [
    "LRProbe",
    "MMProbe",
    "Selectivity",
    "block_output",
    "check_layer",
    "compute_accuracy",
    "compute_generalization_matrix",
    "compute_selectivity",
    "extract_activations",
    "find_blocks",
    "get_pca_components",
    "layer_sweep_accuracy",
    "make_control_labels",
    "read_residual",
    "split_by_label",
    "tokenize",
]
