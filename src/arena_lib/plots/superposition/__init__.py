"""Figures of superposition: directions of features, phases, dimensionality, neurons, and SAEs that find features."""
