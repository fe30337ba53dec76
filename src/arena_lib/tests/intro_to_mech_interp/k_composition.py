"""Judge of the full circuit of K-composition between two heads.

Shapes:  the circuit "d_vocab d_vocab" (query, key), as two factors.
"""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.interp.weights import composition
from arena_lib.interp.weights.factored import FactoredMatrix
from arena_lib.interp.weights.folding import folded_reader
from arena_lib.tests.intro_to_mech_interp.circuits import (
    SIZES,
    WHOLE_IS_LARGE,
    circuit_case,
    circuit_observations,
    is_kept_in_factors,
    model_for_cases,
    no_factors,
)

__test__ = False


def find_K_comp_full_circuit_cases(generator: torch.Generator) -> list[Case]:
    """Pairs of heads."""
    given = model_for_cases(generator, **SIZES)
    return [circuit_case(given, call, axes="query key") for call in ((3, 1), (0, 2), (2, 2))]


def K_comp_by_its_formula(model: Any, prev_token_head_index: int, ind_head_index: int) -> Any:
    """Writes gains and centring out, and multiplies the keys from the right."""
    first, second = model.blocks[0], model.blocks[1]

    def through(norm: Any, x: Tensor) -> Tensor:
        return (x - x.mean(dim=-1, keepdim=True)) * norm.w

    queries = through(second.ln1, model.W_E) @ second.attn.W_Q[ind_head_index]
    brought = (
        through(first.ln1, model.W_E) @ first.attn.W_V[prev_token_head_index] @ first.attn.W_O[prev_token_head_index]
    )
    return SimpleNamespace(A=queries, B=(through(second.ln1, brought) @ second.attn.W_K[ind_head_index]).T)


def K_comp_by_factored(model: Any, prev_token_head_index: int, ind_head_index: int) -> Any:
    """Builds QK and OV as factored matrices and multiplies those."""
    read = folded_reader
    QK = FactoredMatrix(read(model, 1, "W_Q")[ind_head_index], read(model, 1, "W_K")[ind_head_index].mT)
    OV = FactoredMatrix(read(model, 0, "W_V")[prev_token_head_index], model.W_O[0, prev_token_head_index])
    return model.W_E @ QK @ OV.T @ model.W_E.mT


def K_comp_without_norms(model: Any, prev_token_head_index: int, ind_head_index: int) -> FactoredMatrix:
    """The mistake of taking every weight as it is."""
    brought = model.W_E @ model.W_V[0, prev_token_head_index] @ model.W_O[0, prev_token_head_index]
    keys = brought @ model.W_K[1, ind_head_index]
    return FactoredMatrix(model.W_E @ model.W_Q[1, ind_head_index], keys.mT)


def K_comp_from_layers(later: int, earlier: int) -> Callable[..., FactoredMatrix]:
    """The mistake of reading the heads' weights in other layers."""

    def circuit(model: Any, prev_token_head_index: int, ind_head_index: int) -> FactoredMatrix:
        brought = model.W_E @ folded_reader(model, earlier, "W_V")[prev_token_head_index]
        brought = brought @ model.W_O[earlier, prev_token_head_index]
        queries = model.W_E @ folded_reader(model, later, "W_Q")[ind_head_index]
        return FactoredMatrix(queries, (brought @ folded_reader(model, later, "W_K")[ind_head_index]).mT)

    return circuit


IN_LAYER_0 = "the earlier head, with its W_V and W_O, is in layer 0"
MOVED_BY_V = "what is moved goes through W_V; W_Q and W_K decide where to look"
EACH_ITS_NUMBER = "W_V and W_O belong to head prev_token_head_index, W_Q and W_K to head ind_head_index"

test_find_K_comp_full_circuit = exercise(  # noqa: N816 -- the name that learners know
    reference=composition.find_K_comp_full_circuit,
    name="find_K_comp_full_circuit",
    cases=find_K_comp_full_circuit_cases,
    observe=circuit_observations,
    properties=[is_kept_in_factors],
    accepts=[K_comp_by_its_formula, K_comp_by_factored],
    mistakes=[
        Mistake(
            "returns keys as rows",
            "FactoredMatrix(queries, keys.mT)",
            "FactoredMatrix(keys, queries.mT)",
            why="rows are query tokens, and columns key tokens",
        ),
        Mistake(
            "swaps the two heads",
            "lm.check_heads([(0, prev_token_head_index), (1, ind_head_index)])",
            "prev_token_head_index, ind_head_index = ind_head_index, prev_token_head_index",
            why="the previous-token head is in layer 0, the induction head in layer 1",
        ),
        Mistake(
            "folds no norm at all",
            function=K_comp_without_norms,
            why="layer 0 reads the embedding through its norm, layer 1 what layer 0 wrote through its own: "
            "take W_Q, W_K and W_V from folded_reader",
        ),
        *instead_of(
            'folded_reader(model, 1, "W_Q")[ind_head_index]',
            {
                "lm.W_Q(1)[ind_head_index]": (
                    "does not fold the norm before the queries",
                    "layer 1 reads the stream through its norm, for its queries too",
                ),
                'folded_reader(model, 0, "W_Q")[ind_head_index]': (
                    "uses layer 0 for the queries",
                    "queries and keys belong to the same head, in layer 1",
                ),
                'folded_reader(model, 1, "W_K")[ind_head_index]': (
                    "uses W_K for the queries",
                    "queries are made by W_Q, keys by W_K",
                ),
            },
        ),
        *instead_of(
            'brought @ folded_reader(model, 1, "W_K")[ind_head_index]',
            {
                "brought @ lm.W_K(1)[ind_head_index]": (
                    "does not fold the norm before the keys",
                    "layer 1 reads what layer 0 wrote through its own norm",
                ),
                'brought @ folded_reader(model, 0, "W_K")[ind_head_index]': (
                    "uses layer 0 for the keys",
                    "queries and keys belong to the same head, in layer 1",
                ),
                'brought @ folded_reader(model, 1, "W_Q")[ind_head_index]': (
                    "uses W_Q for the keys",
                    "queries are made by W_Q, keys by W_K",
                ),
                'lm.W_E @ folded_reader(model, 1, "W_K")[ind_head_index]': (
                    "leaves out the earlier head",
                    "the key reads what the earlier head wrote at this position, not the token at this position",
                ),
            },
        ),
        *instead_of(
            'folded_reader(model, 0, "W_V")[prev_token_head_index]',
            {
                "lm.W_V(0)[prev_token_head_index]": (
                    "does not fold the norm before the values",
                    "layer 0 reads the embedding through its norm",
                ),
                'folded_reader(model, 1, "W_V")[prev_token_head_index]': ("uses layer 1 for the values", IN_LAYER_0),
                'folded_reader(model, 0, "W_K")[prev_token_head_index]': ("uses W_K for the values", MOVED_BY_V),
                'folded_reader(model, 0, "W_Q")[prev_token_head_index]': ("uses W_Q for the values", MOVED_BY_V),
            },
        ),
        *instead_of(
            "FactoredMatrix(queries, keys.mT)",
            {
                "FactoredMatrix(queries, keys)": (
                    "forgets to transpose the keys",
                    "B has d_head rows and a column for each key token",
                    "ShapeError",
                ),
                'FactoredMatrix(brought @ folded_reader(model, 1, "W_Q")[ind_head_index], '
                '(lm.W_E @ folded_reader(model, 1, "W_K")[ind_head_index]).mT)': (
                    "composes with the queries",
                    "in K-composition the keys read the earlier head's output; with the queries it would be Q-composition",
                ),
                'FactoredMatrix(brought @ folded_reader(model, 1, "W_Q")[ind_head_index], keys.mT)': (
                    "lets the queries read the earlier head's output, too",
                    "in K-composition the keys read it; the query is that of the token itself",
                ),
                'FactoredMatrix(queries, (keys + lm.W_E @ folded_reader(model, 1, "W_K")[ind_head_index]).mT)': (
                    "adds what the keys read of the token itself",
                    "the circuit is the path through the earlier head alone",
                ),
                "FactoredMatrix(queries / queries.shape[-1] ** 0.5, keys.mT)": (
                    "divides by the root of d_head",
                    "the circuit is the product of the weights; scores are its entries over the root of d_head",
                ),
                "FactoredMatrix(queries @ folded_reader(model, 1, 'W_K')[ind_head_index].mT, brought.mT)": (
                    "returns factors whose inner axis is d_model",
                    "everything passes through the head's d_head numbers: W_K belongs to B",
                ),
                "FactoredMatrix(folded_reader(model, 1, 'W_Q')[ind_head_index], "
                "(folded_reader(model, 0, 'W_V')[prev_token_head_index] @ lm.W_O(0)[prev_token_head_index] "
                "@ folded_reader(model, 1, 'W_K')[ind_head_index]).mT)": (
                    "leaves the tokens out",
                    "the full circuit goes from query tokens to key tokens: W_E on both sides",
                ),
                "queries @ keys.mT": ("returns the whole matrix", WHOLE_IS_LARGE),
                no_factors("queries @ keys.mT"): (
                    "multiplies the factors out",
                    "the whole matrix has d_vocab x d_vocab entries: keep the factors, whose inner axis is d_head",
                ),
            },
        ),
        Mistake(
            "uses W_O of layer 1",
            "lm.W_O(0)[prev_token_head_index]",
            "lm.W_O(1)[prev_token_head_index]",
            why=IN_LAYER_0,
        ),
        *instead_of(
            'folded_reader(model, 0, "W_V")[prev_token_head_index] @ lm.W_O(0)[prev_token_head_index]',
            {
                'folded_reader(model, 1, "W_V")[prev_token_head_index] @ lm.W_O(1)[prev_token_head_index]': (
                    "uses both weights of the earlier head from layer 1",
                    IN_LAYER_0,
                ),
                'folded_reader(model, 0, "W_V")[ind_head_index] @ lm.W_O(0)[ind_head_index]': (
                    "uses the later head's number for the earlier head",
                    EACH_ITS_NUMBER,
                ),
            },
        ),
        *[
            Mistake(
                f"uses queries and keys from layer {layer}",
                function=K_comp_from_layers(layer, 0),
                why="the later head, with its W_Q and W_K, is in layer 1",
            )
            for layer in (0, 2)
        ],
        Mistake(
            "swaps the two layers",
            function=K_comp_from_layers(0, 1),
            why="the earlier head is in layer 0, and writes what the later one reads, in layer 1",
        ),
        Mistake(
            "uses the earlier head's number for the queries",
            'folded_reader(model, 1, "W_Q")[ind_head_index]',
            'folded_reader(model, 1, "W_Q")[prev_token_head_index]',
            why=EACH_ITS_NUMBER,
        ),
        Mistake(
            "uses the earlier head's number for the keys",
            'folded_reader(model, 1, "W_K")[ind_head_index]',
            'folded_reader(model, 1, "W_K")[prev_token_head_index]',
            why=EACH_ITS_NUMBER,
        ),
    ],
)
