"""Judge of extracting activations: the right layer, the right token, every statement in its place.

Shapes:  statements -> {layer: "n_statements d_model"}
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, Unfit, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.interp.probes.extraction import extract_activations, find_blocks
from arena_lib.tests.linear_probes.tiny_models import PAD, make_model, make_tokenizer
from arena_lib.tests.linear_probes.watching import (
    AFTER_FINAL_NORM,
    BEFORE_FINAL_NORM,
    Pick,
    at_padding,
    counted_from_the_left,
    last_column,
    last_token,
    leaves_hooks,
    read_in_batches,
    sorted_by_length,
    token_after_the_last,
    token_before_the_last,
    watch,
)

__test__ = False

STATEMENTS = [
    "cats see red lamps at night .",
    "dogs hear",
    f"{PAD} owls like green lamps .",
    "cats",
    "dogs see owls at night",
    f"{PAD} red",
    "owls hear dogs and like cats at night .",
]
"""Of uneven length, none of them sorted; some begin with the token that also pads."""


def extract_cases(generator: torch.Generator) -> list[Case]:
    """Batches that are full and not, tokenizers that pad on either side, one statement, layers out of order."""
    cases = {
        "uneven statements in one batch": (STATEMENTS, [1], 25, "right"),
        "several batches, the last one smaller": (STATEMENTS, [0, 2], 3, "right"),
        "a tokenizer that pads on the left": (STATEMENTS, [2, 1], 4, "left"),
        "one statement, the last layer": (STATEMENTS[:1], [4], 2, "right"),
        "one statement a batch, layers out of order": (STATEMENTS[:4], [4, 0, 3], 1, "right"),
    }
    return [
        Case(
            label=label,
            given={"call": (statements, layers, batch_size), "side": side},
            call=f"{len(statements)} statements, model, tokenizer, layers={layers}, batch_size={batch_size}",
            axes={f"layer {layer}": "statement d_model" for layer in layers},
        )
        for label, (statements, layers, batch_size, side) in cases.items()
    ]


def extracted(function: Callable[..., Any], case: Case) -> Observations:
    """The activations by layer, and how the model was treated."""
    statements, layers, batch_size = case.given["call"]
    model, tokenizer = make_model(), make_tokenizer(case.given["side"])
    result, seen = watch(
        lambda: function(list(statements), model, tokenizer, list(layers), batch_size), model, batch_size
    )
    if not isinstance(result, dict):
        raise Unfit(
            f"extract_activations must return a dictionary from layer to activations: got {type(result).__name__}."
        )
    if set(result) != set(layers):
        raise Unfit(f"the dictionary must have the keys {layers}, the layers asked for: got {list(result)}.")
    return {f"layer {layer}": result[layer] for layer in layers} | seen


def _by_hidden_states(
    pick: Pick,
    *,
    entry: Callable[[int], int] = lambda layer: layer + 1,
    side: str | None = None,
    hides_padding: bool = True,
) -> Callable[..., Any]:
    """A solution through `output_hidden_states`, right or wrong by its parts."""

    def extract(statements: Any, model: Any, tokenizer: Any, layers: Any, batch_size: int = 25) -> Any:
        rows: dict[int, list[Tensor]] = {layer: [] for layer in layers}
        for ids, mask, output in read_in_batches(statements, model, tokenizer, batch_size, side, hides_padding):
            for layer in layers:
                rows[layer].append(pick(output.hidden_states[entry(layer)], ids, mask))
        return {layer: torch.cat(rows[layer]) for layer in layers}

    return extract


def extract_one_by_one(statements: Any, model: Any, tokenizer: Any, layers: Any, batch_size: int = 25) -> Any:
    """Reads each statement alone, through a hook on each block, so that nothing is ever padded."""
    rows: dict[int, list[Tensor]] = {layer: [] for layer in layers}
    blocks = model.model.layers

    def keep(layer: int) -> Any:
        return lambda module, inputs, output: rows[layer].append(
            (output if isinstance(output, Tensor) else output[0])[0, -1].clone()
        )

    handles = [blocks[layer].register_forward_hook(keep(layer)) for layer in layers]
    with torch.inference_mode():
        for statement in statements:
            model(**tokenizer(statement, return_tensors="pt"))
    for handle in handles:
        handle.remove()
    return {layer: torch.stack(rows[layer]) for layer in layers}


def extract_and_leave_hooks(statements: Any, model: Any, tokenizer: Any, layers: Any, batch_size: int = 25) -> Any:
    """The mistake of never removing the hooks."""
    for layer in layers:
        find_blocks(model)[layer].register_forward_hook(lambda module, inputs, output: None)
    return extract_activations(statements, model, tokenizer, layers, batch_size)


test_extract_activations = exercise(
    reference=extract_activations,
    cases=extract_cases,
    observe=extracted,
    accepts=[_by_hidden_states(last_token), _by_hidden_states(last_column, side="left"), extract_one_by_one],
    mistakes=[
        Mistake(
            "uses the last column of a batch, even if it is padding",
            function=_by_hidden_states(last_column),
            why="with padding on the right a short statement ends before its row does, and the last column is padding",
        ),
        *at_padding(
            _by_hidden_states,
            last_column,
            "pads on the right and uses the last column",
            "a short statement ends before its row does: its last token is at (number of ones in its mask) - 1",
        ),
        *at_padding(
            _by_hidden_states,
            token_after_the_last,
            "uses the token after the last",
            "n tokens have the positions 0 to n - 1, so the last token is at n - 1",
        ),
        *at_padding(
            _by_hidden_states,
            token_before_the_last,
            "uses the token before the last",
            "n tokens have the positions 0 to n - 1, so the last token is at n - 1",
        ),
        *at_padding(
            _by_hidden_states,
            lambda hidden, ids, mask: hidden.mean(dim=1),
            "averages over the whole row, padding included",
            "the result is the activation at the statement's last token; padding is no part of the statement",
        ),
        Mistake(
            "pads on the left and hides no padding",
            function=_by_hidden_states(last_column, side="left", hides_padding=False),
            why="a model attends to padding in front of a text like to other tokens, unless attention_mask hides it",
        ),
        Mistake(
            "assumes that padding is on the right",
            function=_by_hidden_states(counted_from_the_left),
            why='some tokenizers pad on the left: pass padding_side="right" to the tokenizer, or find the last 1 of the mask',
        ),
        Mistake(
            "pads on the left and counts positions from the left",
            function=_by_hidden_states(counted_from_the_left, side="left"),
            why="with padding on the left every statement ends in the last column",
        ),
        Mistake(
            "uses the first token",
            "mask.sum(dim=1) - 1",
            "torch.zeros(len(mask), dtype=torch.long)",
            why="in a causal model the first token has seen only itself; the last one has seen the whole statement",
        ),
        *instead_of(
            "read_residual(model, input_ids, layers).items()",
            {
                "{layer: model(input_ids, attention_mask=mask, output_hidden_states=True).hidden_states[layer].detach() for layer in layers}.items()": (
                    "counts the embedding as layer 0",
                    "the activations of layer l are block l's output: entry l + 1 of hidden_states, as entry 0 is the embedding",
                ),
                "{layer: model(input_ids, attention_mask=mask, output_hidden_states=True).hidden_states[layer + 1].detach() for layer in layers}.items()": (
                    AFTER_FINAL_NORM,
                    BEFORE_FINAL_NORM,
                ),
                "{layer: read_residual(model, input_ids, layers[:1])[layers[0]] for layer in layers}.items()": (
                    "returns the first of the layers for all",
                    "each layer of the argument layers has activations of its own",
                ),
                "{layer: read_residual(model, input_ids, layers[-1:])[layers[-1]] for layer in layers}.items()": (
                    "returns the last of the layers for all",
                    "each layer has activations of its own; hooks made in a loop all see the loop's last value",
                ),
            },
        ),
        *sorted_by_length("found: dict[int, list[Tensor]] =", "statements"),
        Mistake(
            "uses the first row's last position for every row",
            "mask.sum(dim=1) - 1",
            "(mask.sum(dim=1) - 1)[:1].expand(len(mask))",
            why="statements have different lengths, so each row has its last token at its own position",
        ),
        Mistake(
            "treats every token with the padding's id as padding",
            function=_by_hidden_states(
                lambda hidden, ids, mask: hidden[torch.arange(len(ids)), (ids != 0).sum(dim=1) - 1], side="right"
            ),
            why="a text may hold that token too, here at its start: the attention mask says what is padding",
        ),
        Mistake(
            "averages over the statement's tokens",
            function=_by_hidden_states(
                lambda hidden, ids, mask: (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
            ),
            why="earlier tokens have seen only a part of the statement, so only the last token is used",
        ),
        Mistake(
            "keeps the last batch only",
            "torch.cat(rows)",
            "rows[-1]",
            why="each statement needs a row of the result, so join all batches",
        ),
        *instead_of(
            "range(0, len(statements), batch_size)",
            {
                "range(0, max(len(statements) - batch_size, 0) + 1, batch_size)": (
                    "leaves out the last, smaller batch",
                    "the last batch may be smaller than the others",
                ),
                "range(0, len(statements), batch_size := len(statements))": (
                    "reads all statements at once",
                    "a thousand statements don't fit into memory: batch_size says how many are read at once",
                ),
            },
        ),
        Mistake(
            "keeps the graph for a gradient",
            "with torch.no_grad():",
            "with torch.enable_grad():",
            within="read_residual",
            why="nothing is trained here, and a graph for every batch would fill the memory",
        ),
        Mistake(
            "leaves its hooks on the model",
            function=extract_and_leave_hooks,
            shows=leaves_hooks,
            why="a hook that stays runs at every later call: keep the handle that register_forward_hook returns, and call its remove()",
        ),
    ],
)
