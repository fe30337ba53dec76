"""Judge of a dialogue's scores, read at every token.

Shapes:  messages -> tokens, scores "seq", mask "seq".
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, Unfit, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.interp.probes.dialogue import render_dialogue, score_dialogue
from arena_lib.tests.linear_probes.tiny_models import (
    CHAT_TEMPLATE,
    D_MODEL,
    make_model,
    make_piece_tokenizer,
    make_tokenizer,
)
from arena_lib.tests.linear_probes.watching import AFTER_FINAL_NORM, BEFORE_FINAL_NORM, read, watch

__test__ = False


def _talk(*turns: tuple[str, str]) -> list[dict[str, str]]:
    return [{"role": role, "content": content} for role, content in turns]


LONG_TALK = _talk(
    ("system", "you are honest"),
    ("user", "say something"),
    ("assistant", "cats see red lamps at night ."),
    ("user", "cats see"),
    ("assistant", "dogs hear owls"),
    ("user", "dogs hear owls and like cats"),
)
SAME_WORDS = _talk(("user", "red lamps"), ("assistant", "red lamps"))
IN_PIECES = _talk(("assistant", "owls hear dogs"), ("user", "dogs see cats"), ("assistant", "red lamps"))


def score_cases(generator: torch.Generator) -> list[Case]:
    """Several turns and one, with a chat template and without, words said twice, tokens across a turn's border."""
    short = _talk(("user", "owls like lamps ."), ("assistant", "false"))
    nobody = _talk(("system", "say true ."), ("user", "green owls"))
    cases: dict[str, tuple[Any, ...]] = {
        "two turns of the assistant": (LONG_TALK, 2, make_tokenizer, CHAT_TEMPLATE),
        "an answer of one word": (short, 0, make_tokenizer, CHAT_TEMPLATE),
        "the user says the same as the assistant": (SAME_WORDS, 3, make_tokenizer, CHAT_TEMPLATE),
        "no chat template, the last layer": (LONG_TALK, 4, make_tokenizer, None),
        "tokens that lie across the border of a turn": (IN_PIECES, 1, make_piece_tokenizer, CHAT_TEMPLATE),
        "nothing from the assistant": (nobody, 1, make_tokenizer, None),
    }
    return [
        Case(
            label=label,
            given={"messages": messages, "layer": layer, "make_tokenizer": make, "template": template}
            | {"direction": 3.0 * torch.randn(D_MODEL, generator=generator)},
            call=f"messages, model, tokenizer, probe_direction, layer={layer}",
            axes={"scores": "seq", "mask": "seq"},
        )
        for label, (messages, layer, make, template) in cases.items()
    ]


def scored(function: Callable[..., Any], case: Case) -> Observations:
    """Tokens, scores and mask, how the model was treated, and what became of the messages."""
    given = case.given
    model, tokenizer = make_model(), given["make_tokenizer"](chat_template=given["template"])
    messages = [dict(message) for message in given["messages"]]
    result, seen = watch(
        lambda: function(messages, model, tokenizer, given["direction"].clone(), given["layer"]), model
    )
    if not (isinstance(result, tuple | list) and len(result) == 3):
        raise Unfit(f"score_dialogue must return (tokens, scores, mask): got {type(result).__name__}.")
    tokens, scores, mask = result
    return {
        "tokens": list(tokens) if isinstance(tokens, tuple) else tokens,
        "scores": scores,
        "mask": (mask != 0) if isinstance(mask, Tensor) else mask,
        **seen,
        "messages afterwards": messages,
    }


def score_by_hidden_states(messages: Any, model: Any, tokenizer: Any, probe_direction: Tensor, layer: int) -> Any:
    """Reads all hidden states, and compares borders of tokens with borders of turns in one go."""
    text, spans = render_dialogue(messages, tokenizer)
    encoded = tokenizer([text], return_tensors="pt", return_offsets_mapping=True)
    with torch.no_grad():
        resid = read(model, encoded.input_ids).hidden_states[layer + 1]
    start, end = encoded["offset_mapping"][0].unbind(dim=-1)
    borders = torch.tensor(spans).reshape(-1, 2)
    mask = torch.minimum(end[:, None], borders[:, 1]) > torch.maximum(start[:, None], borders[:, 0])
    tokens = tokenizer.batch_decode(encoded.input_ids[0][:, None])
    return tokens, (resid[0] * probe_direction).sum(dim=-1), mask.any(dim=1)


def score_with_a_hook(messages: Any, model: Any, tokenizer: Any, probe_direction: Tensor, layer: int) -> Any:
    """Projects inside a hook, and counts the characters of each token by itself."""
    contents = [message["content"] for message in messages]
    text = tokenizer.apply_chat_template(messages, tokenize=False) if tokenizer.chat_template else " ".join(contents)
    kept: list[Tensor] = []
    handle = model.model.layers[layer].register_forward_hook(
        lambda module, inputs, output: kept.append((output if isinstance(output, Tensor) else output[0])[0].detach())
    )
    encoded = tokenizer(text, return_tensors="pt", return_offsets_mapping=True)
    model(encoded["input_ids"])
    handle.remove()
    is_said = torch.zeros(len(text), dtype=torch.bool)
    at = 0
    for message in messages:
        at = text.index(message["content"], at)
        is_said[at : at + len(message["content"])] = message["role"] == "assistant"
        at += len(message["content"])
    mask = torch.stack([is_said[start:end].any() for start, end in encoded["offset_mapping"][0].tolist()])
    tokens = [tokenizer.decode([i]) for i in encoded["input_ids"][0]]
    return tokens, torch.einsum("sm,m->s", kept[0], probe_direction), mask.int()


def score_with_a_graph(messages: Any, model: Any, tokenizer: Any, probe_direction: Tensor, layer: int) -> Any:
    """The mistake of recording what a gradient would need."""
    tokens, scores, mask = score_dialogue(messages, model, tokenizer, probe_direction, layer)
    return tokens, scores.requires_grad_(), mask


def score_by_tokens(messages: Any, model: Any, tokenizer: Any, probe_direction: Tensor, layer: int) -> Any:
    """The mistake of looking for each turn's own tokens among those of the text."""
    tokens, scores, _ = score_dialogue(messages, model, tokenizer, probe_direction, layer)
    mask, at = [False] * len(tokens), 0
    for message in messages:
        turn = tokenizer.batch_decode([[i] for i in tokenizer(message["content"]).input_ids])
        places = [i for i in range(at, len(tokens)) if tokens[i : i + len(turn)] == turn]
        if places:
            at = places[0] + len(turn)
            mask[places[0] : at] = [message["role"] == "assistant"] * len(turn)
    return tokens, scores, torch.tensor(mask)


def marks_everything(observations: Sequence[Observations]) -> bool:
    """Whether every token counts, wherever any does."""
    masks = [seen["mask"] for seen in observations]
    return any(bool(mask.any()) for mask in masks) and all(bool(mask.all() | ~mask.any()) for mask in masks)


test_score_dialogue = exercise(
    reference=score_dialogue,
    cases=score_cases,
    observe=scored,
    accepts=[score_by_hidden_states, score_with_a_hook],
    equivalent=dict.fromkeys(
        (
            "0 -> -1",
            "[any((start < span_end and end > span_start for span_start, span_end in spans)) "
            "for start, end in encoded['offset_mapping'][0].tolist()] -> "
            "[any((start < span_end and end > span_start for span_start, span_end in spans)) "
            "for start, end in encoded['offset_mapping'][-1].tolist()]",
            "[tokenizer.decode(token) for token in encoded['input_ids'][0].tolist()] -> "
            "[tokenizer.decode(token) for token in encoded['input_ids'][-1].tolist()]",
        ),
        "one text is read: its row is the first and the last",
    ),
    mistakes=[
        *instead_of(
            "for span_start, span_end in spans",
            {
                "for span_start, span_end in [(text.find(m['content']), text.find(m['content']) + len(m['content'])) "
                "for m in messages if m['role'] == 'user']": (
                    "marks the user's turns",
                    "only the assistant's turns are scored",
                ),
                "for span_start, span_end in spans[-1:]": (
                    "marks the last turn of the assistant only",
                    "the assistant may speak several times, and all its turns are marked",
                ),
                "for span_start, span_end in spans[:1]": (
                    "marks the first turn of the assistant only",
                    "the assistant may speak several times, and all its turns are marked",
                ),
                "for span_start, span_end in [(text.find(text[a:b]), text.find(text[a:b]) + b - a) for a, b in spans]": (
                    "marks the first occurrence of the same words",
                    "the user may have said the same words before: go through the messages in order",
                ),
            },
        ),
        *instead_of(
            "start < span_end and end > span_start",
            {
                "start < span_end + 2 * bool(tokenizer.chat_template) and end > span_start": (
                    "marks the template's end marker",
                    "the end marker belongs to the template, not to the assistant's turn",
                ),
                "start < span_end and end < span_end and end > span_start": (
                    "leaves out the last token of each turn",
                    "a span's end is exclusive, as a token's is: a token that ends with the turn belongs to it",
                ),
                "start < span_end and start > span_start": (
                    "leaves out the first token of each turn",
                    "a token that starts with the turn belongs to it",
                ),
                "start >= span_start and end <= span_end": (
                    "leaves out tokens that cross a turn's border",
                    "a token belongs to the turn if at least one of its characters does",
                ),
                "span_start <= start < span_end": (
                    "leaves out tokens that start before a turn",
                    "a token belongs to the turn if at least one of its characters does, also if it starts earlier",
                ),
                "span_start < end <= span_end": (
                    "leaves out tokens that end after a turn",
                    "a token belongs to the turn if at least one of its characters does, also if it ends later",
                ),
                "start <= span_end and end > span_start": (
                    "marks a token that starts where a turn ends",
                    "the ends of spans are exclusive, so such a token has none of the turn's characters",
                ),
                "start < span_end and end >= span_start": (
                    "marks a token that ends where a turn starts",
                    "the ends of spans are exclusive, so such a token has none of the turn's characters",
                ),
                "start <= span_end and end >= span_start": (
                    "marks tokens that only touch a turn",
                    "the ends of spans are exclusive, so a token that starts where the turn ends has none of its characters",
                ),
            },
        ),
        Mistake(
            "searches the text's tokens for the turn's own tokens",
            function=score_by_tokens,
            why="the same words may be tokenized differently within a longer text: compare characters, with offset_mapping",
        ),
        Mistake(
            "marks all tokens",
            "torch.tensor(inside)",
            "torch.ones(len(tokens), dtype=torch.bool)",
            shows=marks_everything,
            why="only the assistant's tokens are marked, because only these are the model's own",
        ),
        *instead_of(
            'read_residual(model, encoded["input_ids"], [layer])[layer][0]',
            {
                'read_residual(model, encoded["input_ids"], [max(layer - 1, 0)])[max(layer - 1, 0)][0]': (
                    "reads the layer before",
                    "the activations of layer l are block l's output, and blocks are counted from 0",
                ),
                'read_residual(model, encoded["input_ids"], [layer + 1])[layer + 1][0]': (
                    "reads the layer after",
                    "the activations of layer l are block l's output, and blocks are counted from 0",
                ),
                'model(encoded["input_ids"], output_hidden_states=True).hidden_states[layer][0].detach()': (
                    "counts the embedding as layer 0",
                    "the activations of layer l are block l's output: entry l + 1 of hidden_states, as entry 0 is the embedding",
                ),
                'model(encoded["input_ids"], output_hidden_states=True).hidden_states[layer + 1][0].detach()': (
                    AFTER_FINAL_NORM,
                    BEFORE_FINAL_NORM,
                ),
            },
        ),
        Mistake(
            "keeps the graph for a gradient",
            function=score_with_a_graph,
            why="nothing is trained here, and a graph for the gradient takes memory",
        ),
        *instead_of(
            "resid @ probe_direction.to(resid)",
            {
                "resid @ (probe_direction / probe_direction.norm()).to(resid)": (
                    "normalises the direction",
                    "the score is the dot product with the direction as it is",
                ),
                "torch.cosine_similarity(resid, probe_direction[None], dim=-1)": (
                    "computes the cosine",
                    "the score is the dot product, which also depends on the lengths",
                ),
                "resid / resid.norm(dim=-1, keepdim=True) @ probe_direction.to(resid)": (
                    "normalises the activations",
                    "the score is the dot product with the activations as they are",
                ),
                "(resid @ probe_direction.to(resid)).sigmoid()": (
                    "returns probabilities",
                    "the score is the dot product as it is, of any size",
                ),
                "(resid - resid.mean(dim=0)) @ probe_direction.to(resid)": (
                    "centres the activations over the conversation",
                    "the score is that of the activations as they are",
                ),
            },
        ),
        Mistake(
            "returns the tokens as the vocabulary writes them",
            '[tokenizer.decode(token) for token in encoded["input_ids"][0].tolist()]',
            'tokenizer.convert_ids_to_tokens(encoded["input_ids"][0].tolist())',
            why="a vocabulary writes spaces as other characters: tokenizer.decode gives the token's text",
        ),
    ],
)
