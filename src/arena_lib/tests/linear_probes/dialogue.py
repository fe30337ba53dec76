"""Judges of what is read at every token: a dialogue's scores, and the activations of whole texts.

Shapes:  messages -> tokens, scores "seq", mask "seq"; texts -> "n_texts seq d_model", "n_texts seq"
Raises:  see `arena_lib.checking`.
Source:  own design.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, Unfit, exercise
from arena_lib.checking.observing import Observations
from arena_lib.interp.probes.dialogue import extract_full_sequence_activations, score_dialogue
from arena_lib.tests.linear_probes.tiny_models import (
    CHAT_TEMPLATE,
    D_MODEL,
    PAD,
    count_hooks,
    make_model,
    make_tokenizer,
)

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
SHORT_TALK = _talk(("user", "owls like lamps ."), ("assistant", "false"))


def score_cases(generator: torch.Generator) -> list[Case]:
    """Several turns and one, with a chat template and without, a user who repeats what the assistant says."""
    monologue = _talk(("assistant", "red lamps see night"))
    nobody = _talk(("system", "say true ."), ("user", "green owls"))
    cases: dict[str, tuple[Any, ...]] = {
        "two turns of the assistant": (LONG_TALK, 2, CHAT_TEMPLATE),
        "an answer of one word": (SHORT_TALK, 0, CHAT_TEMPLATE),
        "the user says the same as the assistant": (
            _talk(("user", "red lamps"), ("assistant", "red lamps")),
            3,
            CHAT_TEMPLATE,
        ),
        "no chat template": (LONG_TALK, 3, None),
        "the assistant alone": (monologue, 1, CHAT_TEMPLATE),
        "nothing from the assistant": (nobody, 1, None),
    }
    return [
        Case(
            label=label,
            given={
                "messages": messages,
                "direction": 3.0 * torch.randn(D_MODEL, generator=generator),
                "layer": layer,
                "template": template,
            },
            axes={"scores": "seq", "mask": "seq"},
        )
        for label, (messages, layer, template) in cases.items()
    ]


def scored(function: Callable[..., Any], case: Case) -> Observations:
    """Tokens, scores and mask; whether the scores carry a gradient; hooks that are left on the model."""
    given = case.given
    model, tokenizer = make_model(), make_tokenizer("right", given["template"])
    messages = [dict(message) for message in given["messages"]]
    found = function(messages, model, tokenizer, given["direction"].clone(), given["layer"])
    if not (isinstance(found, tuple | list) and len(found) == 3):
        raise Unfit(f"score_dialogue must return (tokens, scores, mask): got {type(found).__name__}.")
    tokens, scores, mask = found
    return {
        "tokens": list(tokens) if isinstance(tokens, tuple) else tokens,
        "scores": scores.detach() if isinstance(scores, Tensor) else scores,
        "mask": (mask != 0) if isinstance(mask, Tensor) else mask,
        "carries a gradient": isinstance(scores, Tensor) and scores.requires_grad,
        "hooks left on the model": count_hooks(model),
        "messages afterwards": messages,
    }


def _score(
    *,
    entry: Callable[[int], int] = lambda layer: layer + 1,
    project: Callable[[Tensor, Tensor], Tensor] = lambda resid, direction: resid @ direction,
    find: Callable[[list[str], list[dict[str, str]], Any], list[bool]] | None = None,
) -> Callable[..., Any]:
    """A solution that compares lists of tokens instead of characters, right or wrong by its parts."""

    def score(messages: Any, model: Any, tokenizer: Any, probe_direction: Tensor, layer: int) -> Any:
        if tokenizer.chat_template is None:
            text = " ".join(message["content"] for message in messages)
        else:
            text = tokenizer.apply_chat_template(messages, tokenize=False)
        ids = tokenizer(text, return_tensors="pt").input_ids
        with torch.no_grad():
            resid = model(ids, output_hidden_states=True).hidden_states[entry(layer)][0]
        tokens = [tokenizer.decode([i]) for i in ids[0]]
        mask = (find or _find_turns)(tokens, messages, tokenizer)
        return tokens, project(resid, probe_direction), torch.tensor(mask)

    return score


def _find_turns(
    tokens: list[str], messages: list[dict[str, str]], tokenizer: Any, role: str = "assistant"
) -> list[bool]:
    """Walks through the messages, and looks for the tokens of each behind those of the one before."""
    mask, at = [False] * len(tokens), 0
    for message in messages:
        words = [tokenizer.decode([i]) for i in tokenizer(message["content"], add_special_tokens=False).input_ids]
        while tokens[at : at + len(words)] != words:
            at += 1
        if message["role"] == role:
            mask[at : at + len(words)] = [True] * len(words)
        at += len(words)
    return mask


def _find_with_marker(tokens: list[str], messages: list[dict[str, str]], tokenizer: Any) -> list[bool]:
    """As `_find_turns`, with one token more behind each turn where there is a template."""
    mask = _find_turns(tokens, messages, tokenizer)
    return [inside or (tokens[i] == "<end>" and mask[i - 1]) for i, inside in enumerate(mask)]


def _find_first_mention(tokens: list[str], messages: list[dict[str, str]], tokenizer: Any) -> list[bool]:
    """Looks for what the assistant says from the text's beginning each time."""
    mask = [False] * len(tokens)
    for message in messages:
        if message["role"] == "assistant":
            words = message["content"].split()
            at = next(i for i in range(len(tokens)) if tokens[i : i + len(words)] == words)
            mask[at : at + len(words)] = [True] * len(words)
    return mask


def _find_last_turn(tokens: list[str], messages: list[dict[str, str]], tokenizer: Any) -> list[bool]:
    last = max((i for i, message in enumerate(messages) if message["role"] == "assistant"), default=-1)
    roles = [{**m, "role": m["role"] if i == last else "other"} for i, m in enumerate(messages)]
    return _find_turns(tokens, roles, tokenizer)


score_by_tokens = _score()


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
    tokens = tokenizer.convert_ids_to_tokens(encoded["input_ids"][0].tolist())
    return tokens, torch.einsum("sm,m->s", kept[0], probe_direction), mask.int()


test_score_dialogue = exercise(
    reference=score_dialogue,
    cases=score_cases,
    observe=scored,
    accepts=[score_by_tokens, score_with_a_hook],
    mistakes=[
        Mistake(
            "marks what the user says",
            function=_score(find=lambda tokens, messages, tokenizer: _find_turns(tokens, messages, tokenizer, "user")),
            why="the probe is asked about what the assistant says",
        ),
        Mistake(
            "marks everything",
            "torch.tensor(inside)",
            "torch.ones(len(tokens), dtype=torch.bool)",
            why="only the assistant's tokens count: what the user says isn't the model's own",
        ),
        Mistake(
            "marks the last turn of the assistant only",
            function=_score(find=_find_last_turn),
            why="the assistant may speak several times, and each of its turns counts",
        ),
        Mistake(
            "marks the first place with the same words",
            function=_score(find=_find_first_mention),
            why="the user may have said the same before: walk through the messages in their order",
        ),
        Mistake(
            "marks the template's end marker",
            function=_score(find=_find_with_marker),
            why="the marker belongs to the template, and the assistant didn't say it",
        ),
        Mistake(
            "leaves out the last token of each turn",
            "start < span_end and end > span_start",
            "start < span_end and end < span_end and end > span_start",
            why="a span's end is exclusive, as a token's is: a token that ends with the turn belongs to it",
        ),
        Mistake(
            "leaves out the first token of each turn",
            "start < span_end and end > span_start",
            "start < span_end and start > span_start",
            why="a token that starts with the turn belongs to it",
        ),
        Mistake(
            "counts the embedding as layer 0",
            function=_score(entry=lambda layer: layer),
            why="layer l is what leaves block l: entry l + 1 of hidden_states, as entry 0 is the embedding",
        ),
        Mistake(
            "normalises the direction",
            "probe_direction.to(resid)",
            "(probe_direction / probe_direction.norm()).to(resid)",
            why="the score is the dot product with the direction as it is",
        ),
        Mistake(
            "takes the cosine",
            function=_score(project=lambda resid, direction: torch.cosine_similarity(resid, direction[None], dim=-1)),
            why="the score is the dot product: how far along the direction, not only how well aligned",
        ),
        Mistake(
            "keeps the graph for a gradient",
            "scores = resid @ probe_direction.to(resid)",
            "scores = resid @ probe_direction.to(resid).requires_grad_()",
            why="nothing is trained here",
        ),
    ],
)


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
        "hooks left on the model": count_hooks(model),
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
