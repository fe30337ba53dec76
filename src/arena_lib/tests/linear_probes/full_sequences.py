"""Judge of the activations of whole texts, and of the mask that says where their padding is.

Shapes:  texts -> activations "n_texts seq d_model", mask "n_texts seq".
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, Unfit, exercise
from arena_lib.checking.observing import Observations, hooks_in_words
from arena_lib.interp.probes.dialogue import extract_full_sequence_activations
from arena_lib.tests.linear_probes.tiny_models import (
    D_MODEL,
    PAD,
    count_hooks,
    make_model,
    make_tokenizer,
)

__test__ = False

TEXTS = [
    "cats see red lamps at night .",
    "dogs hear",
    f"{PAD} owls like green {PAD} lamps .",
    "cats",
    "owls hear dogs and like cats at night . dogs hear owls",
    f"{PAD} red",
    "dogs see owls",
]
"""Of uneven length, none of them sorted; some hold the token that also pads."""


def sequence_cases(generator: torch.Generator) -> list[Case]:
    """Batches that are full and not, texts that are cut, tokenizers that pad on either side, one text."""
    cases: dict[str, tuple[Any, ...]] = {
        "uneven texts in one batch": (TEXTS, 1, 8, 256, "right"),
        "several batches, the last one smaller": (TEXTS, 3, 3, 256, "right"),
        "texts that are cut": (TEXTS, 0, 4, 5, "right"),
        "a tokenizer that pads on the left": (TEXTS, 2, 4, 6, "left"),
        "one text": (TEXTS[:1], 3, 2, 256, "right"),
    }
    return [
        Case(
            label=label,
            given={"texts": texts, "layer": layer, "batch_size": size, "max_length": longest, "side": side},
            axes={f"text {i}, its tokens": "seq d_model" for i in range(len(texts))},
        )
        for label, (texts, layer, size, longest, side) in cases.items()
    ]


def extracted_whole(function: Callable[..., Any], case: Case) -> Observations:
    """The activations of each text's own tokens, wherever padding stands; gradients; hooks that are left."""
    given = case.given
    model, tokenizer = make_model(), make_tokenizer(given["side"])
    found = function(list(given["texts"]), model, tokenizer, given["layer"], given["batch_size"], given["max_length"])
    if not (isinstance(found, tuple | list) and len(found) == 2 and all(isinstance(one, Tensor) for one in found)):
        raise Unfit(f"It must return two tensors, (activations, mask): got {type(found).__name__}.")
    acts, mask = found
    n_texts = len(given["texts"])
    if acts.ndim != 3 or mask.shape != acts.shape[:2] or acts.shape[0] != n_texts or acts.shape[2] != D_MODEL:
        raise Unfit(
            f'activations must be "n_texts seq d_model" and the mask "n_texts seq", here with {n_texts} texts and d_model '
            f"{D_MODEL}: got {tuple(acts.shape)} and {tuple(mask.shape)}."
        )
    own = {f"text {i}, its tokens": acts[i, mask[i] != 0].detach() for i in range(n_texts)}
    at_padding = acts.detach()[mask == 0]
    return own | {
        "activations at padding are zero": bool((at_padding == 0).all()),
        "carries a gradient": acts.requires_grad,
        "hooks left on the model": hooks_in_words(count_hooks(model)),
    }


def extract_into_one_tensor(
    texts: Any, model: Any, tokenizer: Any, layer: int, batch_size: int = 8, max_length: int = 256
) -> Any:
    """Makes room for every text first, and reads them one by one."""
    all_ids = [tokenizer(text)["input_ids"][:max_length] for text in texts]
    acts = torch.zeros(len(texts), max(map(len, all_ids)), model.config.hidden_size)
    mask = torch.zeros(acts.shape[:2], dtype=torch.long)
    with torch.no_grad():
        for i, ids in enumerate(all_ids):
            acts[i, : len(ids)] = model(torch.tensor([ids]), output_hidden_states=True).hidden_states[layer + 1][0]
            mask[i, : len(ids)] = 1
    return acts, mask


def _extract(
    *,
    entry: Callable[[int], int] = lambda layer: layer + 1,
    side: str = "left",
    cut: bool = True,
    cut_side: str = "right",
    mask_of: Callable[[Tensor, Tensor], Tensor] = lambda ids, mask: mask,
    zeros: bool = True,
) -> Callable[..., Any]:
    """A solution that pads everything at once to one length, right or wrong by its parts."""

    def extract(texts: Any, model: Any, tokenizer: Any, layer: int, batch_size: int = 8, max_length: int = 256) -> Any:
        tokenizer.padding_side, tokenizer.truncation_side = side, cut_side
        inputs = tokenizer(
            texts, padding=True, truncation=cut, max_length=max_length if cut else None, return_tensors="pt"
        )
        parts = []
        for ids, mask in zip(
            inputs["input_ids"].split(batch_size), inputs["attention_mask"].split(batch_size), strict=True
        ):
            with torch.no_grad():
                hidden = model(ids, attention_mask=mask, output_hidden_states=True).hidden_states
            parts.append(hidden[entry(layer)])
        acts, mask = torch.cat(parts), mask_of(inputs["input_ids"], inputs["attention_mask"]).bool()
        return (acts * mask[..., None] if zeros else acts), mask

    return extract


extract_all_padded_left = _extract()

test_extract_full_sequence_activations = exercise(
    reference=extract_full_sequence_activations,
    cases=sequence_cases,
    observe=extracted_whole,
    accepts=[extract_into_one_tensor, extract_all_padded_left],
    mistakes=[
        Mistake(
            "does not cut long texts",
            function=_extract(cut=False),
            why="a text of more than max_length tokens is cut, so that one long text doesn't make all of them long",
        ),
        Mistake(
            "keeps the end of a long text",
            function=_extract(cut_side="left"),
            why="the first max_length tokens are kept",
        ),
        Mistake(
            "calls padding a token",
            "mask.bool()",
            "torch.ones_like(mask).bool()",
            why="the mask is False at padding, which belongs to no text",
        ),
        Mistake(
            "takes padding for every token with the padding's id",
            function=_extract(side="right", mask_of=lambda ids, mask: ids != 0),
            why="a text may hold that token too: the attention mask says what is padding",
        ),
        Mistake(
            "counts the embedding as layer 0",
            function=_extract(entry=lambda layer: layer),
            why="layer l is what leaves block l: entry l + 1 of hidden_states, as entry 0 is the embedding",
        ),
        Mistake(
            "leaves what the model computed at padding",
            "acts.masked_fill(mask[..., None] == 0, 0.0)",
            "acts",
            why="activations at padding say nothing, and zeros can't be mistaken for something",
        ),
        Mistake(
            "zeroes the text instead of the padding",
            "mask[..., None] == 0",
            "mask[..., None] != 0",
            why="zeros stand at padding; the text's own tokens are what is asked for",
        ),
        Mistake(
            "keeps only the last token of each text",
            "return acts, mask.bool()",
            "return acts, mask.bool() & (torch.arange(mask.shape[1]) == mask.sum(1, keepdim=True) - 1)",
            why="every token is asked for: an attention probe chooses among them",
        ),
        Mistake(
            "pads each batch in front when joining",
            "F.pad(acts, (0, 0, 0, longest - acts.shape[1]))",
            "F.pad(acts, (0, 0, longest - acts.shape[1], 0))",
            why="activations and mask must be padded on the same side",
        ),
    ],
)
