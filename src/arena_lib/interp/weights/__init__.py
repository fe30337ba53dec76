"""Circuits from weights alone: factored matrices, full OV and QK circuits, decomposed scores, composition."""

from arena_lib.interp.weights.circuits import (
    effective_OV_circuit,
    full_OV_circuit,
    full_QK_circuit,
    position_QK_circuit,
    top_1_acc,
    top_k_acc,
)
from arena_lib.interp.weights.composition import (
    CompositionScores,
    compute_composition_scores,
    effective_K_comp_circuit,
    find_K_comp_full_circuit,
    generate_single_random_comp_score,
    get_batched_comp_scores,
    get_comp_score,
    random_comp_scores,
)
from arena_lib.interp.weights.decomposition import (
    component_labels,
    decompose_attn_scores,
    decompose_k,
    decompose_q,
    decompose_qk_input,
)
from arena_lib.interp.weights.factored import (
    FactoredMatrix,
    factored_eigenvalues,
    factored_norm,
    factored_svd,
)
from arena_lib.interp.weights.folding import fold_norm, folded_reader, folded_unembedding

__all__ = [
    "CompositionScores",
    "FactoredMatrix",
    "component_labels",
    "compute_composition_scores",
    "decompose_attn_scores",
    "decompose_k",
    "decompose_q",
    "decompose_qk_input",
    "effective_K_comp_circuit",
    "effective_OV_circuit",
    "factored_eigenvalues",
    "factored_norm",
    "factored_svd",
    "find_K_comp_full_circuit",
    "fold_norm",
    "folded_reader",
    "folded_unembedding",
    "full_OV_circuit",
    "full_QK_circuit",
    "generate_single_random_comp_score",
    "get_batched_comp_scores",
    "get_comp_score",
    "position_QK_circuit",
    "random_comp_scores",
    "top_1_acc",
    "top_k_acc",
]
