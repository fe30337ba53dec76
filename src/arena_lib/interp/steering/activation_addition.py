"""Activation addition: what a model makes of a few words, added in the middle of another text.

Shapes:  texts -> texts.
Raises:  ConfigError for no additions, for one longer than the prompt, and for a tokenizer without a token to begin with.
Source:  Turner et al. 2023, arXiv:2308.10248, algorithm 1.
Differs: texts of unequal length are not filled up with spaces: each is added from the first position on, as far
         as it goes; no frequency penalty, which transformers doesn't have.
"""

from collections.abc import Sequence
from typing import Any

import torch

from arena_lib.errors import ConfigError
from arena_lib.interp.nnsight_models import block
from arena_lib.interp.steering.icl import decode_texts
from arena_lib.wording import counted

SAMPLING: dict[str, Any] = {"do_sample": True, "temperature": 1.0, "top_p": 0.3, "top_k": 0}
"""How continuations are drawn: from the likeliest tokens that make up 0.3 of the probability (section 4 of the paper)."""


@torch.no_grad()
def calculate_and_apply_steering_vector(
    model: Any,
    prompt: str,
    activation_additions: Sequence[tuple[int, float, str]],
    n_tokens: int,
    n_comparisons: int = 1,
    use_bos: bool = True,
) -> tuple[list[str], list[str]]:
    """`n_comparisons` continuations of the prompt as they are, and as many with activations of other texts added.

    Each of `activation_additions` is (layer, coefficient, text): take the residual stream that enters layer
    `layer` when the model reads `text` by itself (`block(model, layer).input`), multiply it by the coefficient,
    and add it, while the model reads the prompt, to what enters that layer: position by position, from the
    first on, as far as the text goes. A text must not be longer than the prompt (`check_additions` refuses
    that). The additions are in no order, and each is computed from a run without the others. They act on the
    prompt alone, not while the tokens after it are made.

    With `use_bos` the tokenizer's `bos_token` stands in front of the prompt and of each text (as a string: our
    tokenizers add none by themselves). Continuations have `n_tokens` tokens (fewer where the model ends) and are
    drawn as `SAMPLING` says: `model.generate(max_new_tokens=n_tokens, **SAMPLING)`, in either order. Results: the whole texts,
    prompt included, special tokens left out.
    """
    start = model.tokenizer.bos_token if use_bos else ""
    check_additions(model, start + prompt, [(layer, start + text) for layer, _, text in activation_additions])
    vectors = []
    for layer, coefficient, text in activation_additions:
        with model.trace(start + text):
            resid = block(model, layer).input[0].save()
        vectors.append((layer, coefficient * resid))

    prompts = [start + prompt] * n_comparisons
    with model.generate(max_new_tokens=n_tokens, **SAMPLING) as tracer:
        with tracer.invoke(prompts):
            plain = tracer.result.save()
        with tracer.invoke(prompts):
            for layer, vector in sorted(vectors, key=lambda addition: addition[0]):
                block(model, layer).input[:, : len(vector)] += vector
            steered = tracer.result.save()
    return decode_texts(model.tokenizer, plain), decode_texts(model.tokenizer, steered)


def check_additions(model: Any, prompt: str, texts: Sequence[tuple[int, str]]) -> None:
    """Refuses what cannot be added: nothing, or a text longer than the prompt."""
    if not texts:
        raise ConfigError(
            'there must be something to add: got no activation_additions. Give some, such as (2, 5.0, " Love").'
        )
    n_positions = len(model.tokenizer(prompt).input_ids)
    for _, text in texts:
        n_added = len(model.tokenizer(text).input_ids)
        if n_added > n_positions:
            raise ConfigError(
                f"a text must not be longer than the prompt it is added to: got {counted(n_added, 'token')} in {text!r} and "
                f"{n_positions} in the prompt. Shorten the text, or lengthen the prompt."
            )
