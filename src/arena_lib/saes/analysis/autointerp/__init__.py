"""Automatic interpretation: another model explains a latent, and a judge says how well the explanation predicts it."""

from arena_lib.saes.analysis.autointerp.answering import (
    Endpoint,
    EndpointConfig,
    LocalModel,
)
from arena_lib.saes.analysis.autointerp.explaining import (
    Ask,
    Messages,
    create_prompt,
    get_autointerp_explanation,
    mark_tokens,
)
from arena_lib.saes.analysis.autointerp.scoring import (
    AutoInterp,
    AutoInterpConfig,
    ScoringExample,
    parse_predictions,
    score_predictions,
)
from arena_lib.saes.analysis.autointerp.scripted import (
    explain_by_script,
    judge_by_script,
)

__all__ = [
    "Ask",
    "AutoInterp",
    "AutoInterpConfig",
    "Endpoint",
    "EndpointConfig",
    "LocalModel",
    "Messages",
    "ScoringExample",
    "create_prompt",
    "explain_by_script",
    "get_autointerp_explanation",
    "judge_by_script",
    "mark_tokens",
    "parse_predictions",
    "score_predictions",
]
