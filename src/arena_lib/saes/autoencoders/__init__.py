"""Sparse autoencoders: one interface (`base`), a file for each variant, and the pure functions that they share."""

from arena_lib.core.subpackages import load_on_demand

__getattr__, __dir__ = load_on_demand(__name__)
