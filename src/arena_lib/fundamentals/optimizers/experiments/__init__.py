"""Training runs to compare optimizers and settings.

classifying  points of two moons, a small network, and the plain loop
sweeps       what a search may try, and the search itself
tracked      a trainer whose numbers are kept
"""

from arena_lib.fundamentals.optimizers.experiments.classifying import compute_accuracy, make_mlp, make_moons, train_for
from arena_lib.fundamentals.optimizers.experiments.sweeps import (
    TrackedTrainingArgs,
    make_sweep_config,
    run_search,
    sample_parameters,
    update_args,
)
from arena_lib.fundamentals.optimizers.experiments.tracked import TrackedTrainer

__all__ = [
    "TrackedTrainer",
    "TrackedTrainingArgs",
    "compute_accuracy",
    "make_mlp",
    "make_moons",
    "make_sweep_config",
    "run_search",
    "sample_parameters",
    "train_for",
    "update_args",
]
