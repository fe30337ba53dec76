"""A model writes while hooks change what it computes: steering by any hook, on every model that `hooked` takes.

Shapes:  text -> text; hooks as `HookedLM.run` takes them
Raises:  ConfigError for a model without a tokenizer; TokenError for a text that would outgrow the model's context.
Source:  own derivation.
Differs: our models read each token once and keep keys and values, so that after the prompt a hook sees one position at a
         time. Other models read the whole text for every token. A hook that does the same at every position, or to the
         prompt alone, gives the same text either way.
"""

from collections.abc import Iterable
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from arena_lib.errors import ConfigError
from arena_lib.interp.hooking import hooked
from arena_lib.interp.models import HookedLM
from arena_lib.transformer.activations.hooks import HookSpec
from arena_lib.transformer.fast.generation import WritingConfig, choose_tokens
from arena_lib.transformer.fast.generation import generate as generate_once_read
from arena_lib.transformer.fast.model import Transformer
from arena_lib.transformer.fast.text.tokens import takes_argument

GREEDY_WRITING = WritingConfig(temperature=0.0)
"""The likeliest token each time."""


@torch.no_grad()
def write_with_hooks(
    model: Any,
    prompt: str,
    fwd_hooks: Iterable[HookSpec],
    max_new_tokens: int = 50,
    *,
    options: WritingConfig = GREEDY_WRITING,
    generator: torch.Generator | None = None,
    prepend_bos: bool = True,
) -> str:
    """The prompt and up to `max_new_tokens` more, written with these hooks attached; it ends with the text's end."""
    lm = hooked(model)
    tokens = prompt_tokens(lm, prompt, prepend_bos=prepend_bos)
    tokenizer = lm.model.tokenizer
    end = getattr(tokenizer, "eos_token_id", None)
    if isinstance(lm.model, Transformer):
        with lm.model.hooks(fwd_hooks=list(fwd_hooks)):
            written = generate_once_read(lm.model, tokens, max_new_tokens, options, end, generator)
    else:
        written = _generate(lm, tokens, list(fwd_hooks), max_new_tokens, options, end, generator)
    new = written[0, tokens.shape[1] :].tolist()
    return prompt + str(tokenizer.decode([token for token in new if token != end]))


def prompt_tokens(lm: HookedLM, prompt: str, *, prepend_bos: bool = True) -> Int[Tensor, "1 seq"]:
    """A text as a batch of one, with the token that begins a text in front, if the tokenizer has one."""
    tokenizer = getattr(lm.model, "tokenizer", None)
    if tokenizer is None:
        raise ConfigError(
            "text needs a tokenizer: got a model without one. Set model.tokenizer, or load the model with "
            "arena_lib.zoo.load, which does."
        )
    encode = tokenizer.encode
    with_option = takes_argument(encode, "add_special_tokens")
    encoded = encode(prompt, add_special_tokens=False) if with_option else encode(prompt)
    ids = list(getattr(encoded, "ids", encoded))
    start = getattr(tokenizer, "bos_token_id", None) if prepend_bos else None
    return torch.tensor([ids if start is None else [int(start), *ids]], dtype=torch.long, device=lm.device)


def _generate(
    lm: HookedLM,
    tokens: Int[Tensor, "1 seq"],
    fwd_hooks: list[HookSpec],
    max_new_tokens: int,
    options: WritingConfig,
    end: int | None,
    generator: torch.Generator | None,
) -> Int[Tensor, "1 seq_all"]:
    """The tokens and more, each from a run of the whole text."""
    for _ in range(max_new_tokens):
        logits = lm.run(tokens, fwd_hooks)[:, -1]
        chosen = choose_tokens(tokens, logits, options, generator)
        tokens = torch.cat([tokens, chosen[:, None]], dim=1)
        if end is not None and int(chosen) == end:
            break
    return tokens
