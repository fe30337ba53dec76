"""Which parts wrote a logit: by component, head and position; and what the stream says before its end."""

from arena_lib.interp.attribution.direct import (
    Attribution,
    accumulated_residual,
    attribute_head_by_source,
    direct_logit_attribution,
    residual_stack,
    scale_by_final_norm,
    unembedding_directions,
)
from arena_lib.interp.attribution.lens import TargetByLayer, logit_lens, track_target
from arena_lib.interp.attribution.logit_attribution import logit_attribution

__all__ = [
    "Attribution",
    "TargetByLayer",
    "accumulated_residual",
    "attribute_head_by_source",
    "direct_logit_attribution",
    "logit_attribution",
    "logit_lens",
    "residual_stack",
    "scale_by_final_norm",
    "track_target",
    "unembedding_directions",
]
