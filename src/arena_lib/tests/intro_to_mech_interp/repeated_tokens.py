"""Judges of repeated tokens, and of the model's run on them.

Shapes:  tokens "batch seq" with seq = 1 + 2n.
"""

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, Unfit, exercise
from arena_lib.checking.observing import Observations
from arena_lib.interp.heads.induction import generate_repeated_tokens, run_and_cache_model_repeated_tokens
from arena_lib.tests.intro_to_mech_interp.small_models import BOS, left_behind, make_model, state_of

__test__ = False

SOME_IDS = (2, 5, 6, 11)
"""A part of the vocabulary to draw from."""
N_OF_COURSE = 3
"""Arguments of a function in its older form: model, seq_len, batch_size."""


def token_cases(generator: torch.Generator) -> list[Case]:
    """A few rows, one row, the shortest string, part of the vocabulary, and enough draws to see all tokens."""
    models = {"small": make_model(generator), "larger": make_model(generator, d_vocab=17)}
    some = torch.tensor(SOME_IDS)
    calls: dict[str, tuple[str, int, int, Tensor | None]] = {
        "a few rows": ("small", 7, 3, None),
        "one row": ("larger", 12, 1, None),
        "many draws": ("larger", 19, 60, None),
        "part of the vocabulary": ("small", 11, 40, some),
    }
    return [
        Case(label=label, given={"model": models[which], "call": (seq_len, batch, ids)})
        for label, (which, seq_len, batch, ids) in calls.items()
    ]


def look_at_tokens(tokens: Any, case: Case) -> Observations:
    """What must hold of repeated tokens, whichever were drawn."""
    seq_len, batch, _ = case.given["call"]
    if not isinstance(tokens, Tensor) or tokens.is_floating_point():
        raise Unfit(f"Tokens are a tensor of integers: got {_described(tokens)}. torch.full with an int makes one.")
    seen: Observations = {"shape (batch, seq)": tuple(tokens.shape)}
    if tokens.shape != (batch, 1 + 2 * seq_len):
        return seen
    first, second = tokens[:, 1 : 1 + seq_len], tokens[:, 1 + seq_len :]
    return seen | {
        "the first token of each row": tokens[:, 0].tolist(),
        "the second copy equals the first": torch.equal(first, second),
        "each token stands twice in a row": torch.equal(tokens[:, 1::2], tokens[:, 2::2]),
        "rows are alike": batch > 1 and bool((tokens == tokens[0]).all()),
        "a row has the same token everywhere": bool((first == first[:, :1]).all(dim=1).any()),
        "is int64": tokens.dtype == torch.int64,
    }


def _described(value: Any) -> str:
    return f"a tensor of {value.dtype}" if isinstance(value, Tensor) else type(value).__name__


def drawn_tokens(function: Callable[..., Any], case: Case) -> Observations:
    """The tokens' structure, which ids were drawn, and whether the generator decides."""
    model, (seq_len, batch, ids) = case.given["model"], case.given["call"]

    def draw(seed: int = 0) -> Any:
        return function(model, seq_len, batch, ids, torch.Generator().manual_seed(seed))

    torch.manual_seed(1)
    tokens = draw()
    seen = look_at_tokens(tokens, case)
    if tokens.shape != (batch, 1 + 2 * seq_len):
        return seen
    if batch >= 40:
        seen["ids that were drawn"] = sorted(set(tokens[:, 1:].flatten().tolist()))
    torch.manual_seed(2)
    seen["draws again alike from a generator of the same seed"] = torch.equal(tokens, draw())
    seen["draws differently from another seed"] = not torch.equal(tokens, draw(1))
    seen["draws without a generator"] = tuple(function(model, seq_len, batch).shape)
    return seen


def tokens_by_choice(
    model: Any, seq_len: int, batch_size: int = 1, token_ids: Any = None, generator: Any = None
) -> Tensor:
    """Draws with multinomial, row by row, and repeats with tile."""
    ids = list(range(model.cfg.d_vocab)) if token_ids is None else token_ids.tolist()
    rows = []
    for _ in range(batch_size):
        chosen = torch.multinomial(torch.ones(len(ids)), seq_len, replacement=True, generator=generator)
        rows.append(torch.tensor([model.tokenizer.bos_token_id, *(ids[int(i)] for i in chosen.tile(2))]))
    return torch.stack(rows)


def tokens_in_place(
    model: Any, seq_len: int, batch_size: int = 1, token_ids: Any = None, generator: Any = None
) -> Tensor:
    """Fills a tensor, and draws with randint_like's sibling on the whole vocabulary or its part."""
    tokens = torch.full((batch_size, 2 * seq_len + 1), model.tokenizer.bos_token_id)
    high = model.cfg.d_vocab if token_ids is None else token_ids.numel()
    drawn = torch.empty(batch_size, seq_len, dtype=torch.int64).random_(0, high, generator=generator)
    tokens[:, 1:] = (drawn if token_ids is None else token_ids[drawn]).repeat(1, 2)
    return tokens


test_generate_repeated_tokens = exercise(
    reference=generate_repeated_tokens,
    cases=token_cases,
    observe=drawn_tokens,
    accepts=[tokens_by_choice, tokens_in_place],
    mistakes=[
        Mistake(
            "leaves out the token that begins a text",
            "[start, drawn, drawn]",
            "[drawn, drawn]",
            why="models have rarely seen a text without it, and heads rest on it when they have nothing to do",
        ),
        Mistake(
            "begins with token 0",
            "lm.bos_token_id)",
            "0)",
            why="which token begins a text is the tokenizer's: model.tokenizer.bos_token_id",
        ),
        Mistake(
            "begins the second copy like a new text",
            "[start, drawn, drawn]",
            "[start, drawn, start, drawn]",
            why="the first token stands once, at the start of the row",
        ),
        Mistake(
            "draws the second half anew",
            "[start, drawn, drawn]",
            "[start, drawn, ids[torch.randint(0, len(ids), (batch_size, seq_len), generator=generator)]]",
            why="the second copy is the first again: draw once, and join it twice",
        ),
        Mistake(
            "repeats the batch, not the positions",
            "dim=1",
            "dim=0",
            why="the copy follows in the same row, along the axis of positions",
        ),
        Mistake(
            "gives all rows the same tokens",
            "(batch_size, seq_len), generator=generator)]",
            "(1, seq_len), generator=generator)].repeat(batch_size, 1)",
            why="each row is drawn by itself",
        ),
        Mistake(
            "repeats each token in place",
            "[start, drawn, drawn]",
            "[start, drawn.repeat_interleave(2, dim=1)]",
            why="the whole string comes first, and then the whole string again",
        ),
        Mistake(
            "never draws the first id", "randint(0,", "randint(1,", why="all ids are equally likely, the first too"
        ),
        Mistake(
            "never draws the last id",
            "len(ids), (",
            "len(ids) - 1, (",
            why="randint leaves its upper end out by itself",
        ),
        Mistake(
            "ignores token_ids",
            "torch.arange(lm.d_vocab) if token_ids is None else token_ids",
            "torch.arange(lm.d_vocab)",
            why="where ids are given, only they may be drawn",
        ),
        Mistake(
            "ignores the generator",
            "generator=generator",
            "generator=None",
            why="with a generator of the same seed the same tokens must come",
        ),
    ],
)


def run_observations(function: Callable[..., Any], case: Case) -> Observations:
    """The tokens' structure, and whether logits and cache are those of the model on these tokens."""
    model, call = case.given["model"], case.given["call"]
    before = state_of(model)
    n_taken = _n_positional(function)
    args = (*call, torch.Generator().manual_seed(0)) if n_taken > N_OF_COURSE else call[: N_OF_COURSE - 1]
    returned = function(model, *args)
    if not isinstance(returned, tuple | list) or len(returned) != 3:
        raise Unfit(f"Return three things, (tokens, logits, cache): got {_described(returned)}.")
    tokens, logits, cache = returned
    seen = look_at_tokens(tokens, case)
    if tokens.shape != (call[1], 1 + 2 * call[0]):
        return seen
    if call[2] is not None:
        drawn = set(tokens[:, 1:].flatten().tolist())
        seen["ids outside those given"] = sorted(drawn - set(call[2].tolist())) if n_taken > N_OF_COURSE else []
    with torch.no_grad():
        wanted, own = model.run_with_cache(tokens)
    seen["shape of the logits"] = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
    seen["logits are the model's on these tokens"] = _is_close(logits, wanted)
    for name in ("hook_embed", "blocks.0.attn.hook_z", "blocks.1.attn.hook_pattern", "blocks.1.hook_resid_post"):
        seen[f"{name} in the cache"] = _is_close(_get(cache, name), own[name])
    return seen | left_behind(before, state_of(model))


def _n_positional(function: Callable[..., Any]) -> int:
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = inspect.signature(function).parameters.values()
    has_rest = any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in parameters)
    return 9 if has_rest else sum(p.kind in kinds for p in parameters)


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


test_run_and_cache_model_repeated_tokens = exercise(
    reference=run_and_cache_model_repeated_tokens,
    cases=run_cases,
    observe=run_observations,
    accepts=[run_of_the_course, run_and_list],
    mistakes=[
        Mistake(
            "forgets the batch size",
            "(model, seq_len, batch_size, token_ids, generator)",
            "(model, seq_len, 1, token_ids, generator)",
            why="batch_size rows are asked for",
        ),
        Mistake(
            "forgets which ids to draw from",
            "batch_size, token_ids, generator)",
            "batch_size, None, generator)",
            why="generate_repeated_tokens takes token_ids as its fourth argument",
        ),
        Mistake(
            "runs the model on other tokens",
            "run_with_cache(tokens)",
            "run_with_cache(generate_repeated_tokens(model, seq_len, batch_size))",
            why="tokens, logits and cache must belong together: draw once",
        ),
        Mistake(
            "runs the model on the first copy alone",
            "run_with_cache(tokens)",
            "run_with_cache(tokens[:, : 1 + seq_len])",
            why="the second copy is what the model is to be looked at on",
        ),
        Mistake(
            "returns the cache before the logits",
            "return tokens, logits, cache",
            "return tokens, cache, logits",
            why="the order is (tokens, logits, cache)",
        ),
        Mistake(
            "caches the patterns alone",
            "run_with_cache(tokens)",
            'run_with_cache(tokens, lambda name: name.endswith("pattern"))',
            why="the cache holds all activations: leave the filter out",
        ),
    ],
)
