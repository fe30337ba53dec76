"""Judge of the model's run on repeated tokens.

Shapes:  tokens "batch seq" with seq = 1 + 2n, logits "batch seq d_vocab".
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Unfit, exercise, instead_of
from arena_lib.checking.observing import Observations, n_positional
from arena_lib.interp.heads.induction import generate_repeated_tokens, run_and_cache_model_repeated_tokens
from arena_lib.tests.intro_to_mech_interp.repeated_tokens import (
    OUTSIDE,
    described,
    look_at_tokens,
    randomness,
    seeded,
    token_cases,
    tokens_in_place,
)
from arena_lib.tests.intro_to_mech_interp.small_models import BOS, left_behind, state_of

__test__ = False

N_OF_COURSE = 3
"""Arguments of a function in its older form: model, seq_len, batch_size."""


def run_observations(function: Callable[..., Any], case: Case) -> Observations:
    """The tokens' structure, and whether logits and cache are those of the model on these tokens."""
    model, call = case.given["model"], case.given["call"]
    before = state_of(model)
    knows_all = n_positional(function) > N_OF_COURSE

    def run(generator: torch.Generator | None) -> Any:
        return function(model, *call, generator) if knows_all else function(model, *call[: N_OF_COURSE - 1])

    returned = run(seeded(0))
    if not isinstance(returned, tuple | list) or len(returned) != 3:
        raise Unfit(f"Return three things, (tokens, logits, cache): got {described(returned)}.")
    tokens, logits, cache = returned
    seen = look_at_tokens(tokens, case)
    if tokens.shape != (call[1], 1 + 2 * call[0]):
        return seen
    if not knows_all:
        seen[OUTSIDE] = []
    with torch.no_grad():
        wanted, own = model.run_with_cache(tokens)
    seen["logits"] = torch.zeros_like(logits) if isinstance(logits, Tensor) else type(logits).__name__
    seen["the logits are the model's on these tokens"] = _is_close(logits, wanted)
    seen["they are log-probabilities instead"] = _is_close(logits, wanted.log_softmax(dim=-1))
    seen["they are probabilities instead"] = _is_close(logits, wanted.softmax(dim=-1))
    for name in ("hook_embed", "blocks.0.attn.hook_z", "blocks.1.attn.hook_pattern", "blocks.1.hook_resid_post"):
        seen[f"{name} is in the cache"] = _is_close(_get(cache, name), own[name])
    drawing = (
        run if knows_all else lambda generator: (generate_repeated_tokens(model, call[0], call[1], call[2], generator),)
    )
    return seen | randomness(lambda generator: drawing(generator)[0]) | left_behind(before, state_of(model))


def _get(cache: Any, name: str) -> Any:
    try:
        return None if isinstance(cache, Tensor) else cache[name]
    except (LookupError, TypeError):
        return None


def _is_close(value: Any, wanted: Tensor) -> bool:
    return isinstance(value, Tensor) and value.shape == wanted.shape and torch.allclose(value, wanted, atol=1e-5)


def run_cases(generator: torch.Generator) -> list[Case]:
    """A few rows, one row, and part of the vocabulary."""
    return [case for case in token_cases(generator) if case.label != "many draws"]


def run_of_the_course(model: Any, seq_len: int, batch_size: int = 1) -> tuple[Any, ...]:
    """The older form with three arguments, which draws from the whole vocabulary."""
    half = torch.randint(0, model.cfg.d_vocab, (batch_size, seq_len))
    tokens = torch.cat([torch.full((batch_size, 1), BOS), half, half], dim=-1)
    return tokens, *model.run_with_cache(tokens)


def run_and_list(
    model: Any, seq_len: int, batch_size: int = 1, token_ids: Any = None, generator: Any = None
) -> list[Any]:
    """A list, a forward pass of its own, and every activation named."""
    tokens = tokens_in_place(model, seq_len, batch_size, token_ids, generator)
    return [tokens, model(tokens), model.run_with_cache(tokens, names_filter=lambda name: True)[1]]


ANOTHER_ORDER = ("puts the tokens after the logits", "the order is (tokens, logits, cache)")

test_run_and_cache_model_repeated_tokens = exercise(
    reference=run_and_cache_model_repeated_tokens,
    cases=run_cases,
    observe=run_observations,
    accepts=[run_of_the_course, run_and_list],
    mistakes=[
        *instead_of(
            "(model, seq_len, batch_size, token_ids, generator)",
            {
                "(model, batch_size, seq_len, token_ids, generator)": (
                    "swaps the length and the number of rows",
                    "seq_len comes before batch_size",
                ),
                "(model, seq_len, batch_size, token_ids, torch.manual_seed(0))": (
                    "sets a fixed seed at each call",
                    "each call must draw new tokens: use the generator without seeding it",
                ),
                "(model, seq_len, 1, token_ids, generator)": (
                    "ignores the batch size",
                    "the result has batch_size rows",
                ),
                "(model, seq_len, batch_size, None, generator)": (
                    "ignores token_ids",
                    "generate_repeated_tokens takes token_ids as its fourth argument",
                ),
                "(model, seq_len, batch_size)": (
                    "ignores token_ids and the generator",
                    "generate_repeated_tokens takes all five arguments",
                ),
                "(model, seq_len, batch_size, token_ids)": (
                    "ignores the generator",
                    "generate_repeated_tokens takes the generator as its fifth argument",
                ),
            },
        ),
        *instead_of(
            "run_with_cache(tokens)",
            {
                "run_with_cache(generate_repeated_tokens(model, seq_len, batch_size))": (
                    "runs the model on other tokens",
                    "tokens, logits and cache must belong together: draw once",
                ),
                "run_with_cache(generate_repeated_tokens(model, seq_len, batch_size, token_ids, generator))": (
                    "runs the model on tokens that are drawn again",
                    "tokens, logits and cache must belong together: draw once",
                ),
                "run_with_cache(tokens[:, 1:])": (
                    "runs the model without the first token",
                    "the model reads all tokens that are returned",
                ),
                "run_with_cache(tokens[:, : 1 + seq_len])": (
                    "runs the model on only the first copy",
                    "the model must read both copies, because its behaviour on the second is studied",
                ),
                'run_with_cache(tokens, lambda name: name.endswith("pattern"))': (
                    "caches only the patterns",
                    "the cache holds all activations: leave the filter out",
                ),
                'run_with_cache(tokens, lambda name: "attn" in name)': (
                    "caches the attention alone",
                    "the cache holds all activations: leave the filter out",
                ),
            },
        ),
        *instead_of(
            "return tokens, logits, cache",
            {
                "return logits, cache, tokens": ANOTHER_ORDER,
                "return logits, tokens, cache": ANOTHER_ORDER,
                "return logits, cache": (
                    "leaves the tokens out",
                    "later cells need the tokens as well: return (tokens, logits, cache)",
                ),
                "return tokens, logits, model.run_with_cache(tokens[:1], remove_batch_dim=True)[1]": (
                    "keeps the first row's cache only",
                    "the cache is that of all rows, with the batch axis",
                ),
                "return tokens, logits, cache if batch_size > 1 else cache.remove_batch_dim()": (
                    "takes the batch axis away where there is one row",
                    "the cache has a batch axis for any number of rows, so that later cells can rely on it",
                ),
                "return tokens, logits, model.run_with_cache(tokens, stop_at_layer=1)[1]": (
                    "caches the first layer alone",
                    "the cache holds all activations, those of every layer",
                ),
                "return tokens[:, 1:], logits, cache": (
                    "leaves the first token out of what it returns",
                    "the tokens are those that the model read, the first one too",
                ),
                "return tokens, logits[:, -seq_len:], cache": (
                    "returns the second copy's logits alone",
                    "the result has the logits of all positions",
                ),
                "return tokens, logits.argmax(dim=-1), cache": (
                    "returns the guessed tokens for the logits",
                    "the result is the model's logits, without a log-softmax",
                ),
                "return tokens, logits.softmax(dim=-1), cache": (
                    "returns probabilities",
                    "the result is the model's logits, without a log-softmax",
                ),
                "return tokens, cache, logits": (
                    "returns the cache before the logits",
                    "the order is (tokens, logits, cache)",
                ),
                "return tokens, logits[:, -1], cache": (
                    "returns only the last position's logits",
                    "the result has the logits of all positions",
                ),
                "return tokens, logits.log_softmax(dim=-1), cache": (
                    "returns log-probabilities",
                    "the result is the model's logits, without a log-softmax",
                ),
            },
        ),
    ],
)
