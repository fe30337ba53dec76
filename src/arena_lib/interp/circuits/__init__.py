"""Circuits with known truth, and what makes a set of heads a circuit: faithful, complete, minimal."""

from arena_lib.interp.circuits.evaluation import (
    CircuitMetric,
    CompletenessScore,
    Faithfulness,
    MinimalityScore,
    all_nodes,
    compute_completeness,
    compute_faithfulness,
    compute_minimality,
    greedy_completeness,
    mean_knockout,
    random_completeness,
    resample_knockout,
    run_circuit,
    zero_knockout,
)
from arena_lib.interp.circuits.known import KnownCircuit, make_known_induction_model, make_repeated_tokens

__all__ = [
    "CircuitMetric",
    "CompletenessScore",
    "Faithfulness",
    "KnownCircuit",
    "MinimalityScore",
    "all_nodes",
    "compute_completeness",
    "compute_faithfulness",
    "compute_minimality",
    "greedy_completeness",
    "make_known_induction_model",
    "make_repeated_tokens",
    "mean_knockout",
    "random_completeness",
    "resample_knockout",
    "run_circuit",
    "zero_knockout",
]
