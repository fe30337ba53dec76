"""Training runs to compare optimizers and settings.

classifying  points of two moons, a small network, and the plain loop
"""

from arena_lib.fundamentals.optimizers.experiments.classifying import compute_accuracy, make_mlp, make_moons, train_for

__all__ = ["compute_accuracy", "make_mlp", "make_moons", "train_for"]
