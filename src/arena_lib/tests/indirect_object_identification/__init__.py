"""Judges of section 1.4.1, Indirect object identification."""

from arena_lib.tests.indirect_object_identification.activation_hooks import (
    test_patch_attn_patterns,
    test_patch_head_vector,
    test_patch_residual_component,
)
from arena_lib.tests.indirect_object_identification.activation_patching import (
    test_get_act_patch_block_every,
    test_get_act_patch_resid_pre,
)
from arena_lib.tests.indirect_object_identification.circuit import test_add_mean_ablation_hook
from arena_lib.tests.indirect_object_identification.circuit_mask import (
    test_compute_means_by_template,
    test_make_circuit_mask,
)
from arena_lib.tests.indirect_object_identification.copying import (
    test_embed_names,
    test_get_copying_scores,
)
from arena_lib.tests.indirect_object_identification.head_patching import (
    test_get_act_patch_attn_head_all_pos_every,
    test_get_act_patch_attn_head_out_all_pos,
)
from arena_lib.tests.indirect_object_identification.heads import test_get_attn_scores
from arena_lib.tests.indirect_object_identification.metrics import (
    test_ioi_metric,
    test_logits_to_ave_logit_diff,
)
from arena_lib.tests.indirect_object_identification.path_hooks import (
    test_patch_head_input,
    test_patch_or_freeze_head_vectors,
)
from arena_lib.tests.indirect_object_identification.path_patching import test_get_path_patch_head_to_final_resid_post
from arena_lib.tests.indirect_object_identification.path_to_heads import test_get_path_patch_head_to_heads
from arena_lib.tests.indirect_object_identification.shares import test_residual_stack_to_logit_diff
from arena_lib.tests.indirect_object_identification.writing import test_calculate_scatter_embedding_vs_attn

__test__ = False

__all__ = [
    "test_add_mean_ablation_hook",
    "test_calculate_scatter_embedding_vs_attn",
    "test_compute_means_by_template",
    "test_embed_names",
    "test_get_act_patch_attn_head_all_pos_every",
    "test_get_act_patch_attn_head_out_all_pos",
    "test_get_act_patch_block_every",
    "test_get_act_patch_resid_pre",
    "test_get_attn_scores",
    "test_get_copying_scores",
    "test_get_path_patch_head_to_final_resid_post",
    "test_get_path_patch_head_to_heads",
    "test_ioi_metric",
    "test_logits_to_ave_logit_diff",
    "test_make_circuit_mask",
    "test_patch_attn_patterns",
    "test_patch_head_input",
    "test_patch_head_vector",
    "test_patch_or_freeze_head_vectors",
    "test_patch_residual_component",
    "test_residual_stack_to_logit_diff",
]
