"""Steering: function vectors, activation addition and other directions that are added while a model runs."""

from arena_lib.interp.steering.activation_addition import calculate_and_apply_steering_vector
from arena_lib.interp.steering.deception import DeceptionSteeringHook
from arena_lib.interp.steering.function_vectors import (
    calculate_fn_vector,
    calculate_fn_vectors_and_intervene,
    calculate_h,
    calculate_h_and_intervene,
    calculate_h_and_intervene_logprobs,
    calculate_mean_z,
    intervene_with_fn_vector,
    intervene_with_h,
)
from arena_lib.interp.steering.head_effects import (
    add_at_last,
    best_heads,
    compute_answer_logprobs,
    compute_function_vector,
    compute_head_effects,
    compute_mean_z,
)
from arena_lib.interp.steering.icl import (
    QUESTION_ANSWER,
    RULE_LIST,
    ICLDataset,
    ICLFormat,
    ICLSequence,
    accuracy,
    answer_tokens,
    corrupt_pairs,
    decode_each,
    decode_texts,
    make_prompt,
)
from arena_lib.interp.steering.writing import write_with_hooks

__all__ = [
    "QUESTION_ANSWER",
    "RULE_LIST",
    "DeceptionSteeringHook",
    "ICLDataset",
    "ICLFormat",
    "ICLSequence",
    "accuracy",
    "add_at_last",
    "answer_tokens",
    "best_heads",
    "calculate_and_apply_steering_vector",
    "calculate_fn_vector",
    "calculate_fn_vectors_and_intervene",
    "calculate_h",
    "calculate_h_and_intervene",
    "calculate_h_and_intervene_logprobs",
    "calculate_mean_z",
    "compute_answer_logprobs",
    "compute_function_vector",
    "compute_head_effects",
    "compute_mean_z",
    "corrupt_pairs",
    "decode_each",
    "decode_texts",
    "intervene_with_fn_vector",
    "intervene_with_h",
    "make_prompt",
    "write_with_hooks",
]
