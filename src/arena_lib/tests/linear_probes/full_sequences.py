"""Judge of the activations of whole texts, and of the mask that says where their padding is.

Shapes:  texts -> activations "n_texts seq d_model", mask "n_texts seq".
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from arena_lib.checking import Case, Mistake, Unfit, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.interp.probes.dialogue import extract_full_sequence_activations
from arena_lib.tests.linear_probes.tiny_models import PAD, make_model, make_tokenizer
from arena_lib.tests.linear_probes.watching import (
    AFTER_FINAL_NORM,
    BEFORE_FINAL_NORM,
    read,
    read_in_batches,
    sorted_by_length,
    watch,
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


PADDING_IS_ZERO = "activations at padding are zero"


def sequence_cases(generator: torch.Generator) -> list[Case]:
    """Batches that are full and not, texts that are cut, tokenizers that pad on either side, one text."""
    cases: dict[str, tuple[Any, ...]] = {
        "uneven texts in one batch": (TEXTS, 1, 8, 256, "right"),
        "several batches, the last one smaller": (TEXTS, 3, 3, 256, "right"),
        "texts that are cut": (TEXTS, 0, 4, 5, "right"),
        "a tokenizer that pads on the left": (TEXTS, 2, 4, 6, "left"),
        "one text, the last layer": (TEXTS[:1], 4, 2, 256, "right"),
    }
    return [
        Case(
            label=label,
            given={"call": (texts, layer, batch_size, longest), "side": side},
            call=f"{len(texts)} texts, model, tokenizer, layer={layer}, batch_size={batch_size}, max_length={longest}",
            axes={"activations": "text seq d_model", "mask": "text seq"},
        )
        for label, (texts, layer, batch_size, longest, side) in cases.items()
    ]


def extracted_whole(function: Callable[..., Any], case: Case) -> Observations:
    """Mask and activations, and how the model was treated."""
    texts, layer, batch_size, longest = case.given["call"]
    model, tokenizer = make_model(), make_tokenizer(case.given["side"])
    result, seen = watch(lambda: function(list(texts), model, tokenizer, layer, batch_size, longest), model, batch_size)
    if not (isinstance(result, tuple | list) and len(result) == 2 and all(isinstance(t, Tensor) for t in result)):
        raise Unfit(f"It must return two tensors, (activations, mask): got {type(result).__name__}.")
    acts, mask = result
    at_padding = acts[mask == 0] if mask.shape == acts.shape[:2] else acts
    return {"mask": mask != 0, "activations": acts, PADDING_IS_ZERO: bool((at_padding == 0).all())} | seen


def extract_into_one_tensor(
    texts: Any, model: Any, tokenizer: Any, layer: int, batch_size: int = 8, max_length: int = 256
) -> Any:
    """Makes room for every text first, and reads them one by one; the mask is of integers."""
    all_ids = [tokenizer(text)["input_ids"][:max_length] for text in texts]
    acts = torch.zeros(len(texts), max(map(len, all_ids)), model.config.hidden_size)
    mask = torch.zeros(acts.shape[:2], dtype=torch.long)
    with torch.no_grad():
        for i, ids in enumerate(all_ids):
            acts[i, : len(ids)] = read(model, torch.tensor([ids])).hidden_states[layer + 1][0]
            mask[i, : len(ids)] = 1
    return acts, mask


def extract_text_by_text(
    texts: Any, model: Any, tokenizer: Any, layer: int, batch_size: int = 8, max_length: int = 256
) -> Any:
    """Takes each text's own tokens out of its batch, whichever side is padded, cuts them, and pads them all at the end."""
    rows: list[Tensor] = []
    for _, mask, output in read_in_batches(texts, model, tokenizer, batch_size):
        hidden = output.hidden_states[layer + 1]
        rows += [hidden[i, mask[i] == 1][:max_length] for i in range(len(mask))]
    is_real = [torch.ones(len(row), dtype=torch.bool) for row in rows]
    return pad_sequence(rows, batch_first=True), pad_sequence(is_real, batch_first=True)


def extract_with_a_graph(
    texts: Any, model: Any, tokenizer: Any, layer: int, batch_size: int = 8, max_length: int = 256
) -> Any:
    """The mistake of recording what a gradient would need."""
    acts, mask = extract_text_by_text(texts, model, tokenizer, layer, batch_size, max_length)
    return acts.requires_grad_(), mask


def extract_padded_on_the_left(*arguments: Any) -> Any:
    """The mistake of padding on the left."""
    acts, mask = extract_text_by_text(*arguments)
    n_padding = mask.shape[1] - mask.sum(dim=1)
    rolled = [torch.stack([row.roll(int(n), 0) for row, n in zip(t, n_padding, strict=True)]) for t in (acts, mask)]
    return rolled[0], rolled[1]


def extract_padded_on_its_side(texts: Any, model: Any, tokenizer: Any, *rest: Any) -> Any:
    """The mistake of padding on the side that the tokenizer is set to."""
    extract = extract_padded_on_the_left if tokenizer.padding_side == "left" else extract_text_by_text
    return extract(texts, model, tokenizer, *rest)


def leaves_padding(observations: Sequence[Observations]) -> bool:
    """Whether anything but zeros stands at padding."""
    return any(not seen[PADDING_IS_ZERO] for seen in observations)


def knows_no_padding(observations: Sequence[Observations]) -> bool:
    """Whether the mask is True everywhere in a batch of uneven texts: joined batches may be padded with anything."""
    return bool(observations[0]["mask"].all())


test_extract_full_sequence_activations = exercise(
    reference=extract_full_sequence_activations,
    cases=sequence_cases,
    observe=extracted_whole,
    accepts=[extract_into_one_tensor, extract_text_by_text],
    mistakes=[
        Mistake(
            "does not cut long texts",
            '{"truncation": True, "max_length": max_length}',
            "{}",
            why="a text of more than max_length tokens is cut, so that one long text doesn't make all of them long",
        ),
        Mistake(
            "keeps the end of a long text",
            "batch, limit = ",
            'tokenizer.truncation_side = "left"\n        batch, limit = ',
            why="the first max_length tokens are kept",
        ),
        Mistake(
            "pads on the left",
            function=extract_padded_on_the_left,
            why="shorter texts are padded on the right, so that each begins in column 0",
        ),
        Mistake(
            "lets the tokenizer choose the side of the padding",
            function=extract_padded_on_its_side,
            why='shorter texts are padded on the right: pass padding_side="right" to the tokenizer',
        ),
        Mistake(
            "pads to max_length",
            "padding=True",
            'padding="max_length"',
            why="seq is the length of the longest text, so that the model doesn't compute unneeded padding",
        ),
        Mistake(
            "sets the mask to True at padding too",
            "mask.bool()",
            "torch.ones_like(mask).bool()",
            shows=knows_no_padding,
            why="the mask is False at padding, which belongs to no text",
        ),
        Mistake(
            "inverts the mask, so that it is True at padding",
            "mask.bool()",
            "~mask.bool()",
            why="the mask is True at tokens of the text, and False at padding",
        ),
        Mistake(
            "treats every token with the padding's id as padding",
            'encoded["attention_mask"]',
            '(encoded["input_ids"] != tokenizer.pad_token_id).long()',
            why="a text may hold that token too: the attention mask says what is padding",
        ),
        *instead_of(
            'read_residual(model, encoded["input_ids"], [layer])[layer]',
            {
                'model(encoded["input_ids"], output_hidden_states=True).hidden_states[layer].detach()': (
                    "counts the embedding as layer 0",
                    "the activations of layer l are block l's output: entry l + 1 of hidden_states, as entry 0 is the embedding",
                ),
                'model(encoded["input_ids"], output_hidden_states=True).hidden_states[layer + 1].detach()': (
                    AFTER_FINAL_NORM,
                    BEFORE_FINAL_NORM,
                ),
            },
        ),
        Mistake(
            "keeps the graph for a gradient",
            function=extract_with_a_graph,
            why="nothing is trained here, and a graph for every batch would fill the memory",
        ),
        *sorted_by_length("found = []", "texts"),
        Mistake(
            "returns the mask first",
            "return acts, mask.bool()",
            "return mask.bool(), acts",
            why="the activations come first, then the mask",
        ),
        Mistake(
            "keeps the last batch only",
            "    acts = torch.cat([F.pad(acts, (0, 0, 0, longest - acts.shape[1])) for acts, _ in found])\n"
            "    mask = torch.cat([F.pad(mask, (0, longest - mask.shape[1])) for _, mask in found])",
            "    acts, mask = found[-1]",
            why="each text needs a row of the result, so join all batches",
        ),
        Mistake(
            "does not pad the batches to one length",
            "F.pad(acts, (0, 0, 0, longest - acts.shape[1]))",
            "acts",
            why="each batch is as long as its own longest text, so pad them to one length before torch.cat joins them",
        ),
        Mistake(
            "keeps the model's activations at padding",
            "acts.masked_fill(mask[..., None] == 0, 0.0)",
            "acts",
            shows=leaves_padding,
            why="activations at padding have no meaning, so zeros stand there",
        ),
        Mistake(
            "zeroes the text instead of the padding",
            "mask[..., None] == 0",
            "mask[..., None] != 0",
            why="only padding is set to zero; the activations of the text's own tokens stay",
        ),
        Mistake(
            "keeps only the last token of each text",
            "return acts, mask.bool()",
            "return acts, mask.bool() & (torch.arange(mask.shape[1]) == mask.sum(1, keepdim=True) - 1)",
            why="the result has the activations of every token, because an attention probe weights them all",
        ),
        Mistake(
            "pads each batch on the left when it joins them",
            "F.pad(acts, (0, 0, 0, longest - acts.shape[1]))",
            "F.pad(acts, (0, 0, longest - acts.shape[1], 0))",
            why="activations and mask must be padded on the same side",
        ),
        Mistake(
            "reads all texts at once",
            "range(0, len(texts), batch_size)",
            "range(0, len(texts), batch_size := len(texts))",
            why="many long texts don't fit into memory: batch_size says how many are read at once",
        ),
    ],
)
