"""Indirect object identification: the data set, the heads by what they do, and the circuit that they make."""

from arena_lib.interp.ioi.circuit import (
    SEQ_POS_TO_KEEP,
    Circuit,
    HeadsMetric,
    add_mean_ablation_hook,
    compute_means_by_template,
    make_circuit_mask,
    make_heads_metric,
    mean_ablation_hook,
)
from arena_lib.interp.ioi.copying import embed_names, get_copying_scores
from arena_lib.interp.ioi.heads import (
    HeadMeasures,
    Thresholds,
    classify_heads,
    get_attn_scores,
    measure_heads,
    share_lost,
)
from arena_lib.interp.ioi.prompts import (
    ENGLISH,
    STORYWORLD,
    IOIDataset,
    IOIPrompt,
    IOIWords,
    keep_single_tokens,
    make_ioi_dataset,
)
from arena_lib.interp.ioi.writing import calculate_scatter_embedding_vs_attn

__all__ = [
    "ENGLISH",
    "SEQ_POS_TO_KEEP",
    "STORYWORLD",
    "Circuit",
    "HeadMeasures",
    "HeadsMetric",
    "IOIDataset",
    "IOIPrompt",
    "IOIWords",
    "Thresholds",
    "add_mean_ablation_hook",
    "calculate_scatter_embedding_vs_attn",
    "classify_heads",
    "compute_means_by_template",
    "embed_names",
    "get_attn_scores",
    "get_copying_scores",
    "keep_single_tokens",
    "make_circuit_mask",
    "make_heads_metric",
    "make_ioi_dataset",
    "mean_ablation_hook",
    "measure_heads",
    "share_lost",
]
