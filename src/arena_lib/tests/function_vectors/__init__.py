"""Judges of section 1.3.2, Function vectors and model steering."""

from arena_lib.tests.function_vectors.continuations import test_intervene_with_fn_vector
from arena_lib.tests.function_vectors.corruption import test_corrupt_pairs
from arena_lib.tests.function_vectors.heads import (
    test_calculate_fn_vectors_and_intervene,
    test_calculate_mean_z,
)
from arena_lib.tests.function_vectors.hidden_states import test_calculate_h, test_intervene_with_h
from arena_lib.tests.function_vectors.icl import test_make_prompt
from arena_lib.tests.function_vectors.one_pass import (
    test_calculate_h_and_intervene,
    test_calculate_h_and_intervene_logprobs,
)
from arena_lib.tests.function_vectors.steering import test_calculate_and_apply_steering_vector
from arena_lib.tests.function_vectors.vectors import test_calculate_fn_vector

__test__ = False

__all__ = [
    "test_calculate_and_apply_steering_vector",
    "test_calculate_fn_vector",
    "test_calculate_fn_vectors_and_intervene",
    "test_calculate_h",
    "test_calculate_h_and_intervene",
    "test_calculate_h_and_intervene_logprobs",
    "test_calculate_mean_z",
    "test_corrupt_pairs",
    "test_intervene_with_fn_vector",
    "test_intervene_with_h",
    "test_make_prompt",
]
