"""Judge of the OV circuits of several heads as one.

Shapes:  the circuit "d_vocab d_vocab", as two factors that meet in (n_heads d_head).
"""

import functools
import operator
from typing import Any

import torch

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.interp.weights import circuits
from arena_lib.interp.weights.factored import FactoredMatrix
from arena_lib.tests.intro_to_mech_interp.circuits import (
    SIZES,
    UNFOLDED,
    circuit_case,
    circuit_observations,
    is_kept_in_factors,
    model_for_cases,
)

__test__ = False


def effective_OV_circuit_cases(generator: torch.Generator) -> list[Case]:
    """Two heads of a layer, three of several, one, and one that is given twice."""
    given = model_for_cases(generator, **SIZES)
    calls = [[(1, 2), (1, 0)], [(2, 1), (0, 3), (1, 1)], [(1, 3)], [(2, 0), (2, 0)]]
    return [circuit_case(given, (heads,), n_heads=len(heads)) for heads in calls]


def effective_by_layers(model: Any, heads: Any) -> FactoredMatrix:
    """Gathers the heads' weights first."""
    W_V = torch.cat([circuits.folded_reader(model, layer, "W_V")[head] for layer, head in heads], dim=1)
    W_O = torch.cat([model.W_O[layer, head] for layer, head in heads], dim=0)
    return FactoredMatrix(model.W_E @ W_V, W_O @ circuits.folded_unembedding(model))


def effective_in_another_order(model: Any, heads: Any) -> FactoredMatrix:
    """Stacks the heads from the last to the first."""
    return effective_by_layers(model, list(heads)[::-1])


def _one_after_the_other(model: Any, heads: Any) -> Any:
    """The mistake of a chain of heads."""
    return functools.reduce(operator.matmul, [circuits.full_OV_circuit(model, *head) for head in heads])


TOGETHER = "the heads' outputs are added to the stream, so the circuits of all heads are summed"
ADDS_UP = "each head adds its own output to the stream, so the circuits are summed"
SAME_HEADS = "the columns of A and the rows of B must belong to the same heads"
SAME_ORDER = "columns of A and rows of B must come in the same order, head by head: (n_heads d_head) in both"

test_effective_OV_circuit = exercise(  # noqa: N816 -- the name that learners know
    reference=circuits.effective_OV_circuit,
    name="effective_OV_circuit",
    cases=effective_OV_circuit_cases,
    observe=circuit_observations,
    properties=[is_kept_in_factors],
    accepts=[effective_by_layers, effective_in_another_order],
    equivalent={
        "torch.cat([circuit.B for circuit in circuits], dim=-2) -> "
        "torch.cat([circuit.B for circuit in circuits])": "a factor has two axes, and rows are the first"
    },
    mistakes=[
        Mistake(
            "returns logits as rows",
            "return FactoredMatrix(",
            "return (lambda A, B: FactoredMatrix(B.mT, A.mT))(",
            why="rows are the tokens attended to, and columns the logits that they change",
        ),
        *UNFOLDED,
        Mistake(
            "adds up the factors instead of stacking them",
            function=lambda model, heads: FactoredMatrix(
                torch.stack([circuits.full_OV_circuit(model, *head).A for head in heads]).sum(dim=0),
                torch.stack([circuits.full_OV_circuit(model, *head).B for head in heads]).sum(dim=0),
            ),
            why="(A1 + A2)(B1 + B2) also has A1 B2 and A2 B1, which mix the heads: stack the factors along d_head",
        ),
        Mistake(
            "multiplies the factors out",
            function=lambda model, heads: sum(circuits.full_OV_circuit(model, *head).AB for head in heads),
            why="the whole matrix has d_vocab x d_vocab entries, its factors d_vocab x d_head for each head",
        ),
        *instead_of(
            "for layer, head in heads]",
            {
                "for layer, head in list(heads)[:1]]": ("uses only the first head", TOGETHER),
                "for layer, head in list(heads)[-1:]]": ("uses the last head alone", TOGETHER),
                "for layer, head in dict.fromkeys(heads)]": (
                    "counts a head that is given twice only once",
                    "every head of the list is added, as often as it is given",
                ),
                "for head, layer in heads]": ("swaps layer and head", "each pair is (layer, head)"),
                "for layer in sorted({layer for layer, _ in heads}) for head in range(hooked(model).n_heads)]": (
                    "uses all heads of the layers",
                    "only the heads that are handed in count",
                ),
            },
        ),
        Mistake(
            "multiplies the heads' circuits",
            function=_one_after_the_other,
            why="heads that attend to the same place bring their parts side by side: a sum, not a chain",
        ),
        Mistake(
            "keeps the heads apart in a batch",
            function=lambda model, heads: FactoredMatrix(
                torch.stack([circuits.full_OV_circuit(model, *head).A for head in heads]),
                torch.stack([circuits.full_OV_circuit(model, *head).B for head in heads]),
            ),
            why="one matrix is asked for, the sum: stack the factors along d_head",
        ),
        Mistake(
            "uses layer 0 for every head",
            "full_OV_circuit(model, layer, head)",
            "full_OV_circuit(model, 0, head)",
            why="each pair has a layer of its own",
        ),
        Mistake(
            "uses layer 1 for every head",
            "full_OV_circuit(model, layer, head)",
            "full_OV_circuit(model, 1, head)",
            why="each pair has a layer of its own",
        ),
        *instead_of(
            "torch.cat([circuit.A for circuit in circuits], dim=-1)",
            {
                "torch.stack([circuit.A for circuit in circuits], dim=-1).flatten(-2)": (
                    "counts d_head before heads in one factor",
                    SAME_ORDER,
                ),
                "torch.stack([circuit.A for circuit in circuits]).reshape(len(circuits[0].A), -1)": (
                    "mixes tokens and heads in a reshape",
                    "a reshape changes no order: torch.cat(..., dim=-1), or einops.rearrange to "
                    '"d_vocab (n_heads d_head)"',
                ),
                "torch.cat([full_OV_circuit(model, list(heads)[0][0], head).A for _, head in heads], dim=-1)": (
                    "uses all first factors from the first one's layer",
                    "each pair has a layer of its own, for both factors",
                ),
            },
        ),
        Mistake(
            "counts d_head before heads in one factor",
            "torch.cat([circuit.B for circuit in circuits], dim=-2)",
            "torch.stack([circuit.B for circuit in circuits], dim=1).flatten(0, 1)",
            why=SAME_ORDER,
        ),
        Mistake(
            "uses the first pair's layer for every head",
            "full_OV_circuit(model, layer, head)",
            "full_OV_circuit(model, list(heads)[0][0], head)",
            why="each pair has a layer of its own",
        ),
        Mistake(
            "uses the first pair's head for every layer",
            "full_OV_circuit(model, layer, head)",
            "full_OV_circuit(model, layer, list(heads)[0][1])",
            why="each pair has a head of its own",
        ),
        *instead_of(
            "[circuit.A for circuit in circuits]",
            {
                "[circuit.A / len(circuits) for circuit in circuits]": ("averages over the heads", ADDS_UP),
                "[circuit.A / len(circuits) ** 2 for circuit in circuits]": (
                    "divides both factors by the number of heads",
                    ADDS_UP,
                ),
                "[circuits[0].A for circuit in circuits]": (
                    "uses the first head's first factor for all",
                    "each head reads with a W_V of its own",
                ),
            },
        ),
        *instead_of(
            "[circuit.B for circuit in circuits]",
            {
                "[circuit.B for circuit in reversed(circuits)]": (
                    "stacks the second factors in another order",
                    SAME_HEADS,
                ),
                "[full_OV_circuit(model, layer, head).B for layer, head in sorted(heads)]": (
                    "sorts the heads in one factor only",
                    SAME_HEADS,
                ),
            },
        ),
    ],
)
