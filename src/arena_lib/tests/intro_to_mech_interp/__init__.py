"""Judges of section 1.2, Intro to mechanistic interpretability."""

from arena_lib.tests.intro_to_mech_interp.ablation import test_head_mean_ablation_hook, test_head_zero_ablation_hook
from arena_lib.tests.intro_to_mech_interp.ablation_scores import test_get_ablation_scores
from arena_lib.tests.intro_to_mech_interp.attribution import test_logit_attribution
from arena_lib.tests.intro_to_mech_interp.batched_composition import test_get_batched_comp_scores
from arena_lib.tests.intro_to_mech_interp.circuits import test_full_OV_circuit
from arena_lib.tests.intro_to_mech_interp.composition import (
    test_generate_single_random_comp_score,
    test_get_comp_score,
)
from arena_lib.tests.intro_to_mech_interp.copying_accuracy import test_top_1_acc
from arena_lib.tests.intro_to_mech_interp.decomposition import test_decompose_qk_input
from arena_lib.tests.intro_to_mech_interp.detectors import (
    test_current_attn_detector,
    test_first_attn_detector,
    test_induction_attn_detector,
    test_prev_attn_detector,
)
from arena_lib.tests.intro_to_mech_interp.effective_circuits import test_effective_OV_circuit
from arena_lib.tests.intro_to_mech_interp.eigenvalues import test_factored_eigenvalues
from arena_lib.tests.intro_to_mech_interp.factored import test_factored_norm
from arena_lib.tests.intro_to_mech_interp.folding import test_fold_norm
from arena_lib.tests.intro_to_mech_interp.induction import test_induction_score, test_induction_score_hook
from arena_lib.tests.intro_to_mech_interp.k_composition import test_find_K_comp_full_circuit
from arena_lib.tests.intro_to_mech_interp.projections import (
    test_decompose_attn_scores,
    test_decompose_k,
    test_decompose_q,
)
from arena_lib.tests.intro_to_mech_interp.repeated_runs import test_run_and_cache_model_repeated_tokens
from arena_lib.tests.intro_to_mech_interp.repeated_tokens import test_generate_repeated_tokens
from arena_lib.tests.intro_to_mech_interp.singular_values import test_factored_svd

__test__ = False

__all__ = [
    "test_current_attn_detector",
    "test_decompose_attn_scores",
    "test_decompose_k",
    "test_decompose_q",
    "test_decompose_qk_input",
    "test_effective_OV_circuit",
    "test_factored_eigenvalues",
    "test_factored_norm",
    "test_factored_svd",
    "test_find_K_comp_full_circuit",
    "test_first_attn_detector",
    "test_fold_norm",
    "test_full_OV_circuit",
    "test_generate_repeated_tokens",
    "test_generate_single_random_comp_score",
    "test_get_ablation_scores",
    "test_get_batched_comp_scores",
    "test_get_comp_score",
    "test_head_mean_ablation_hook",
    "test_head_zero_ablation_hook",
    "test_induction_attn_detector",
    "test_induction_score",
    "test_induction_score_hook",
    "test_logit_attribution",
    "test_prev_attn_detector",
    "test_run_and_cache_model_repeated_tokens",
    "test_top_1_acc",
]
