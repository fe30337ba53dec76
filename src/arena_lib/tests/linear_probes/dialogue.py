"""Judge of a dialogue's scores, read at every token.

Shapes:  messages -> tokens, scores "seq", mask "seq".
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, Unfit, exercise
from arena_lib.checking.observing import Observations, hooks_in_words
from arena_lib.interp.probes.dialogue import score_dialogue
from arena_lib.tests.linear_probes.tiny_models import (
    CHAT_TEMPLATE,
    D_MODEL,
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
        "hooks left on the model": hooks_in_words(count_hooks(model)),
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
