"""Known truth: Storyworld says what is true at every token, so latents are scored against it and not against a story."""

from arena_lib.saes.truth.labels import LabelledRows, Variable, iterate_labels, make_labelled_rows
from arena_lib.saes.truth.probe import MultinomialProbe
from arena_lib.saes.truth.scoring import Detector, choose_detectors, find_thresholds, grow_union, score
from arena_lib.saes.truth.table import (
    Label,
    LabelScore,
    TruthBench,
    TruthConfig,
    Worlds,
    collect_activations,
    make_worlds,
)

__all__ = [
    "Detector",
    "Label",
    "LabelScore",
    "LabelledRows",
    "MultinomialProbe",
    "TruthBench",
    "TruthConfig",
    "Variable",
    "Worlds",
    "choose_detectors",
    "collect_activations",
    "find_thresholds",
    "grow_union",
    "iterate_labels",
    "make_labelled_rows",
    "make_worlds",
    "score",
]
