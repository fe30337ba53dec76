"""Heads by what they look at (detectors, induction scores), and by what is missing without them (ablation)."""

from arena_lib.interp.heads.ablation import (
    get_ablation_scores,
    head_mean_ablation_hook,
    head_resample_ablation_hook,
    head_zero_ablation_hook,
)
from arena_lib.interp.heads.detectors import (
    current_attn_detector,
    duplicate_token_detector,
    first_attn_detector,
    induction_attn_detector,
    prev_attn_detector,
)
from arena_lib.interp.heads.induction import (
    compute_induction_scores,
    copy_length,
    generate_repeated_tokens,
    induction_score,
    induction_score_hook,
    run_and_cache_model_repeated_tokens,
)
from arena_lib.interp.heads.pattern_scores import (
    current_attn_scores,
    duplicate_attn_scores,
    first_attn_scores,
    induction_attn_scores,
    prev_attn_scores,
    scores_by_layer,
)

__all__ = [
    "compute_induction_scores",
    "copy_length",
    "current_attn_detector",
    "current_attn_scores",
    "duplicate_attn_scores",
    "duplicate_token_detector",
    "first_attn_detector",
    "first_attn_scores",
    "generate_repeated_tokens",
    "get_ablation_scores",
    "head_mean_ablation_hook",
    "head_resample_ablation_hook",
    "head_zero_ablation_hook",
    "induction_attn_detector",
    "induction_attn_scores",
    "induction_score",
    "induction_score_hook",
    "prev_attn_detector",
    "prev_attn_scores",
    "run_and_cache_model_repeated_tokens",
    "scores_by_layer",
]
