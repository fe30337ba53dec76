"""What causes what: patching activations and paths, by loops that can be read and by fast forms held equal to them."""

from arena_lib.interp.patching.activation import (
    get_act_patch_attn_head_all_pos_every,
    get_act_patch_attn_head_out_all_pos,
    get_act_patch_block_every,
    get_act_patch_resid_pre,
    patch_attn_patterns,
    patch_head_vector,
    patch_residual_component,
)
from arena_lib.interp.patching.attribution import attribute_patches
from arena_lib.interp.patching.direct_path import (
    direct_path_head_inputs,
    direct_path_logits,
    direct_path_to_heads,
)
from arena_lib.interp.patching.edges import all_edges, find_edges, run_edges, score_edges
from arena_lib.interp.patching.experiment import PathExperiment
from arena_lib.interp.patching.metrics import (
    ioi_metric,
    ioi_path_metric,
    logits_to_ave_logit_diff,
    residual_stack_to_logit_diff,
)
from arena_lib.interp.patching.nodes import MLP, Embed, FinalResidual, Head, HeadInput, MLPInput, reaches
from arena_lib.interp.patching.path import (
    get_path_patch_head_to_final_resid_post,
    get_path_patch_head_to_heads,
    path_patch,
    path_patch_logits,
)
from arena_lib.interp.patching.path_fast import path_patch_each, path_patch_heads
from arena_lib.interp.patching.sweeps import sweep_blocks, sweep_every_block, sweep_every_head, sweep_heads

__all__ = [
    "MLP",
    "Embed",
    "FinalResidual",
    "Head",
    "HeadInput",
    "MLPInput",
    "PathExperiment",
    "all_edges",
    "attribute_patches",
    "direct_path_head_inputs",
    "direct_path_logits",
    "direct_path_to_heads",
    "find_edges",
    "get_act_patch_attn_head_all_pos_every",
    "get_act_patch_attn_head_out_all_pos",
    "get_act_patch_block_every",
    "get_act_patch_resid_pre",
    "get_path_patch_head_to_final_resid_post",
    "get_path_patch_head_to_heads",
    "ioi_metric",
    "ioi_path_metric",
    "logits_to_ave_logit_diff",
    "patch_attn_patterns",
    "patch_head_vector",
    "patch_residual_component",
    "path_patch",
    "path_patch_each",
    "path_patch_heads",
    "path_patch_logits",
    "reaches",
    "residual_stack_to_logit_diff",
    "run_edges",
    "score_edges",
    "sweep_blocks",
    "sweep_every_block",
    "sweep_every_head",
    "sweep_heads",
]
