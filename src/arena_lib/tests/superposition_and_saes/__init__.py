"""Judges of section 1.5.4, Toy models of superposition and sparse autoencoders."""

from arena_lib.tests.superposition_and_saes.presence import (
    test_independent_presence,
)

__test__ = False

__all__ = [
    "test_independent_presence",
]
