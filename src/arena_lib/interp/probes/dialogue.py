"""A probe over a whole conversation: a score at every token, and the activations of every token.

Shapes:  messages -> tokens, scores "seq", mask "seq"; texts -> "n_texts seq d_model", mask "n_texts seq"
Raises:  ConfigError for messages without a role or content, no texts, a tokenizer without offsets or padding;
         ShapeError for a direction of another length; UnknownNameError for a layer that the model doesn't have.
Source:  Goldowsky-Dill et al. 2025, arXiv:2502.03407, section 3 (scores at the tokens of the assistant's turns).
Differs: the tokens of a chat template's own markers count as nobody's.
"""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from arena_lib.errors import ConfigError, ShapeError
from arena_lib.interp.probes.extraction import read_residual

Span = tuple[int, int]
"""Where a part of a text starts, and where it ends (exclusive), in characters."""


def render_dialogue(messages: list[dict[str, str]], tokenizer: Any) -> tuple[str, list[Span]]:
    """The conversation as one text, and where in it the assistant speaks.

    With a chat template the text is what the template makes of the messages; without one it is their contents,
    joined by spaces. A span covers the content of one message of the role "assistant", without markers.
    """
    for message in messages:
        if not {"role", "content"} <= message.keys() or not message["content"].strip():
            raise ConfigError(
                f"each message must have a role and a content that is not empty: got {message}. "
                'Write {"role": "user", "content": "..."}.'
            )
    if not messages:
        raise ConfigError("a dialogue must have a message: got none. Pass a list of messages.")
    if tokenizer.chat_template is None:
        text = " ".join(message["content"].strip() for message in messages)
    else:
        text = tokenizer.apply_chat_template(messages, tokenize=False)
    spans, end = [], 0
    for message in messages:
        content = message["content"].strip()
        start = text.index(content, end)
        end = start + len(content)
        if message["role"] == "assistant":
            spans.append((start, end))
    return _leave_out_bos(text, spans, tokenizer)


def score_dialogue(
    messages: list[dict[str, str]],
    model: Any,
    tokenizer: Any,
    probe_direction: Float[Tensor, " d_model"],
    layer: int,
) -> tuple[list[str], Float[Tensor, " seq"], Bool[Tensor, " seq"]]:
    """A probe's score at every token of a conversation: (tokens, scores, mask).

    `messages` are dictionaries with a "role" and a "content", as chat templates take them;
    `render_dialogue(messages, tokenizer)` gives the text, and for each thing that the assistant says where it
    starts and ends in that text, in characters.

    tokens: the text of each token, as `tokenizer.decode` gives it alone
    scores: the residual stream after block `layer` at that token, times `probe_direction` (a dot product, the
            direction as it is), without a gradient
    mask:   True where the token belongs to what the assistant says: where at least one of its characters lies
            within a span, also if it begins earlier, with the space in front of a word.
            `tokenizer(text, return_offsets_mapping=True)["offset_mapping"]` says which characters each token
            covers, (start, end) with the end exclusive.

    `read_residual(model, input_ids, [layer])` gives {layer: "1 seq d_model"} for any model.
    """
    text, spans = render_dialogue(messages, tokenizer)
    if not tokenizer.is_fast:
        raise ConfigError(
            "the tokenizer must know where in the text its tokens are: got a slow one. Load it with use_fast=True."
        )
    encoded = tokenizer(text, return_tensors="pt", return_offsets_mapping=True)
    resid = read_residual(model, encoded["input_ids"], [layer])[layer][0]
    if probe_direction.shape != resid.shape[-1:]:
        raise ShapeError(
            f"the direction must be as long as the residual stream, {resid.shape[-1]}: got shape "
            f"{tuple(probe_direction.shape)}. Take the direction of a probe that was fitted on this model."
        )
    scores = resid @ probe_direction.to(resid)
    inside = [
        any(start < span_end and end > span_start for span_start, span_end in spans)
        for start, end in encoded["offset_mapping"][0].tolist()
    ]
    tokens = [tokenizer.decode(token) for token in encoded["input_ids"][0].tolist()]
    return tokens, scores, torch.tensor(inside)


def extract_full_sequence_activations(
    texts: list[str], model: Any, tokenizer: Any, layer: int, batch_size: int = 8, max_length: int = 256
) -> tuple[Float[Tensor, "n_texts seq d_model"], Bool[Tensor, "n_texts seq"]]:
    """The residual stream after block `layer` at every token of every text: (activations, mask).

    A text longer than `max_length` tokens is cut to its first `max_length`. seq is the length of the longest
    text of all (after cutting), over all batches; shorter ones are padded on the right. The mask is True at
    tokens of the text, also where a text holds the padding token itself, and False at padding; there the
    activations are zero. The texts are read in batches of `batch_size`, without gradients.
    """
    if not texts:
        raise ConfigError("extract_full_sequence_activations needs at least one text: got none. Pass a list of texts.")
    if tokenizer.pad_token_id is None:
        raise ConfigError(
            "the tokenizer must have a padding token: got none. Set tokenizer.pad_token = tokenizer.eos_token."
        )
    found = []
    for start in range(0, len(texts), batch_size):
        batch, limit = texts[start : start + batch_size], {"truncation": True, "max_length": max_length}
        encoded = tokenizer(batch, return_tensors="pt", padding=True, padding_side="right", **limit)
        acts = read_residual(model, encoded["input_ids"], [layer])[layer]
        mask = encoded["attention_mask"].to(acts.device)
        found.append((acts.masked_fill(mask[..., None] == 0, 0.0), mask))
    longest = max(mask.shape[1] for _, mask in found)
    acts = torch.cat([F.pad(acts, (0, 0, 0, longest - acts.shape[1])) for acts, _ in found])
    mask = torch.cat([F.pad(mask, (0, longest - mask.shape[1])) for _, mask in found])
    return acts, mask.bool()


def _leave_out_bos(text: str, spans: list[Span], tokenizer: Any) -> tuple[str, list[Span]]:
    """The text, and spans moved along, without a first token that the tokenizer itself will put there."""
    shortened = leave_out_bos(text, tokenizer)
    n_left_out = len(text) - len(shortened)
    return shortened, [(start - n_left_out, end - n_left_out) for start, end in spans]


def leave_out_bos(text: str, tokenizer: Any) -> str:
    """A template's text without its first token, where the tokenizer puts the same one in front of every text."""
    bos = tokenizer.bos_token
    adds_bos = bos is not None and tokenizer("")["input_ids"][:1] == [tokenizer.bos_token_id]
    return text.removeprefix(bos) if adds_bos else text
