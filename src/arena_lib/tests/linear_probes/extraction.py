"""Judge of extracting activations: the right layer, the right token, every statement in its place.

Shapes:  statements -> {layer: "n_statements d_model"}
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, Unfit, exercise
from arena_lib.checking.observing import Observations, hooks_in_words
from arena_lib.interp.probes.extraction import extract_activations, find_blocks
from arena_lib.tests.linear_probes.tiny_models import PAD, count_hooks, make_model, make_tokenizer

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
        "one statement": (STATEMENTS[:1], [3], 2, "right"),
        "one statement a batch, layers out of order": (STATEMENTS[:4], [3, 0], 1, "right"),
    }
    return [
        Case(
            label=label,
            given={"statements": statements, "layers": layers, "batch_size": batch_size, "side": side},
            axes={f"layer {layer}": "n_statements d_model" for layer in layers},
        )
        for label, (statements, layers, batch_size, side) in cases.items()
    ]


def extracted(function: Callable[..., Any], case: Case) -> Observations:
    """The activations by layer; whether they carry a gradient; hooks that are left on the model."""
    given = case.given
    model, tokenizer = make_model(), make_tokenizer(given["side"])
    found = function(list(given["statements"]), model, tokenizer, list(given["layers"]), given["batch_size"])
    if not isinstance(found, dict):
        raise Unfit(
            f"extract_activations must return a dictionary from layer to activations: got {type(found).__name__}."
        )
    if sorted(found) != sorted(given["layers"]):
        raise Unfit(f"the dictionary must have the keys {given['layers']}, the layers asked for: got {list(found)}.")
    seen: Observations = {f"layer {layer}": _plain(found[layer]) for layer in given["layers"]}
    has_gradient = any(isinstance(acts, Tensor) and acts.requires_grad for acts in found.values())
    return seen | {"carries a gradient": has_gradient, "hooks left on the model": hooks_in_words(count_hooks(model))}


def _plain(acts: Any) -> Any:
    return acts.detach() if isinstance(acts, Tensor) else acts


def _by_hidden_states(
    *,
    entry: Callable[[int], int] = lambda layer: layer + 1,
    pick: Callable[[Tensor, Tensor, Tensor], Tensor] | None = None,
    side: str | None = None,
) -> Callable[..., Any]:
    """A solution through `output_hidden_states`, right or wrong by its parts."""

    def extract(statements: Any, model: Any, tokenizer: Any, layers: Any, batch_size: int = 25) -> Any:
        if side is not None:
            tokenizer.padding_side = side
        parts = []
        for start in range(0, len(statements), batch_size):
            inputs = tokenizer(statements[start : start + batch_size], return_tensors="pt", padding=True)
            with torch.no_grad():
                hidden = model(**inputs, output_hidden_states=True).hidden_states
            ids, mask = inputs["input_ids"], inputs["attention_mask"]
            chosen = pick or _pick_last
            parts.append({layer: chosen(hidden[entry(layer)], mask, ids) for layer in layers})
        return {layer: torch.cat([part[layer] for part in parts]) for layer in layers}

    return extract


def _pick_last(hidden: Tensor, mask: Tensor, ids: Tensor) -> Tensor:
    """The last place where the mask is 1, on whichever side the padding lies."""
    places = torch.arange(mask.shape[1]).expand_as(mask)
    return hidden[torch.arange(len(mask)), (places * mask).argmax(dim=1)]


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


extract_by_left_padding = _by_hidden_states(pick=lambda hidden, mask, ids: hidden[:, -1], side="left")
extract_by_right_padding = _by_hidden_states()


def extract_and_leave_hooks(statements: Any, model: Any, tokenizer: Any, layers: Any, batch_size: int = 25) -> Any:
    """The mistake of never removing the hooks."""
    for layer in layers:
        find_blocks(model)[layer].register_forward_hook(lambda module, inputs, output: None)
    return extract_activations(statements, model, tokenizer, layers, batch_size)


test_extract_activations = exercise(
    reference=extract_activations,
    cases=extract_cases,
    observe=extracted,
    accepts=[extract_by_right_padding, extract_by_left_padding, extract_one_by_one],
    mistakes=[
        Mistake(
            "takes the last column of a batch, padding or not",
            function=_by_hidden_states(pick=lambda hidden, mask, ids: hidden[:, -1]),
            why="where padding stands on the right, a short statement ends before its row does, and padding says nothing about it",
        ),
        Mistake(
            "takes it for granted that padding stands on the right",
            function=_by_hidden_states(
                pick=lambda hidden, mask, ids: hidden[torch.arange(len(mask)), mask.sum(dim=1) - 1]
            ),
            why='some tokenizers pad on the left: say padding_side="right" when you call it, or find the last 1 of the mask',
        ),
        Mistake(
            "takes the token after the last",
            "mask.sum(dim=1) - 1",
            "mask.sum(dim=1).clamp(max=mask.shape[1] - 1)",
            why="n tokens have the positions 0 to n - 1",
        ),
        Mistake(
            "takes the token before the last",
            "mask.sum(dim=1) - 1",
            "(mask.sum(dim=1) - 2).clamp(min=0)",
            why="n tokens have the positions 0 to n - 1, and the last one is wanted",
        ),
        Mistake(
            "takes the first token",
            "last = mask.sum(dim=1) - 1",
            "last = torch.zeros(len(mask), dtype=torch.long)",
            why="in a causal model the first token has seen nothing of the statement; the last one has seen all of it",
        ),
        Mistake(
            "counts the embedding as layer 0",
            function=_by_hidden_states(entry=lambda layer: layer),
            why="layer l is what leaves block l: entry l + 1 of hidden_states, as entry 0 is the embedding",
        ),
        Mistake(
            "takes padding for every token with the padding's id",
            function=_by_hidden_states(
                pick=lambda hidden, mask, ids: hidden[torch.arange(len(ids)), (ids != 0).sum(dim=1) - 1], side="right"
            ),
            why="a text may hold that token too, here at its start: the attention mask says what is padding",
        ),
        Mistake(
            "averages over the statement's tokens",
            function=_by_hidden_states(
                pick=lambda hidden, mask, ids: (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
            ),
            why="earlier tokens have seen only a part of the statement: the last one alone is asked for",
        ),
        Mistake(
            "keeps the last batch only",
            "torch.cat(rows)",
            "rows[-1]",
            why="each statement needs its row: the batches are joined",
        ),
        Mistake(
            "skips what doesn't fill a batch",
            "range(0, len(statements), batch_size)",
            "range(0, max(len(statements) - batch_size, 0) + 1, batch_size)",
            why="the last batch may be smaller than the others",
        ),
        Mistake(
            "keeps the graph for a gradient",
            "with torch.no_grad():",
            "with torch.enable_grad():",
            within="read_residual",
            why="nothing is trained here: a graph for every batch fills the memory",
        ),
        Mistake(
            "leaves its hooks on the model",
            function=extract_and_leave_hooks,
            why="a hook that stays runs at every later call: keep what register_forward_hook returns and remove() it",
        ),
    ],
)
