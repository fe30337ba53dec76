"""Toy models of superposition: many instances at once, their features, their geometry and their training."""

from arena_lib.core.subpackages import load_on_demand

__getattr__, __dir__ = load_on_demand(__name__)
