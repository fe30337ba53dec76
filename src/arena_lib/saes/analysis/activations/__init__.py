"""Where latents are active: examples, histograms, statistics over texts."""

from arena_lib.saes.analysis.activations.attention import (
    AttnSeqDFA,
    FeatureAttribution,
    attribute_to_sources,
    compute_dfa,
    fetch_max_activating_examples_attn,
)
from arena_lib.saes.analysis.activations.examples import (
    Example,
    fetch_max_activating_examples,
    find_peaks,
    find_top_examples,
    find_top_positions,
)
from arena_lib.saes.analysis.activations.histograms import (
    ActivationStats,
    LatentActivations,
    collect_activations,
    compute_activation_stats,
    sample_quantiles,
    show_activation_histogram,
)
from arena_lib.saes.analysis.activations.texts import (
    LatentBatch,
    Texts,
    stream_latents,
)

__all__ = [
    "ActivationStats",
    "AttnSeqDFA",
    "Example",
    "FeatureAttribution",
    "LatentActivations",
    "LatentBatch",
    "Texts",
    "attribute_to_sources",
    "collect_activations",
    "compute_activation_stats",
    "compute_dfa",
    "fetch_max_activating_examples",
    "fetch_max_activating_examples_attn",
    "find_peaks",
    "find_top_examples",
    "find_top_positions",
    "sample_quantiles",
    "show_activation_histogram",
    "stream_latents",
]
