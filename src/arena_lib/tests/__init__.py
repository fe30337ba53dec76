"""Judges of learners' code: one package for each section, a file for each part.

from arena_lib.tests import transformer_from_scratch as tests
tests.test_causal_mask(causal_mask)      # your function
"""

__test__ = False
