"""Judges of repeated tokens, the run on them, and the induction score, by itself and as a hook.

Shapes:  tokens "batch seq" with seq = 1 + 2n; pattern "batch n_heads seq seq" -> "n_heads".
Raises:  see `arena_lib.checking`.
Source:  own design.
"""

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, Unfit, exercise, outputs
from arena_lib.checking.observing import Observations
from arena_lib.interp.heads.induction import (
    generate_repeated_tokens,
    induction_score,
    induction_score_hook,
    run_and_cache_model_repeated_tokens,
)
from arena_lib.tests.intro_to_mech_interp.small_models import BOS, make_model, state_of
from arena_lib.transformer.activations.hooks import HookPoint

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
    return seen | {name: value == before[name] for name, value in state_of(model).items()}


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


def score_cases(generator: torch.Generator) -> list[Case]:
    """Patterns of several examples, of one, and of the shortest string.

    The two entries of the stripe that lie before the second copy, [n - 1, 0] and [n, 1], are set to the
    mean of the others: whether they count is a matter of taste, and both answers are right here.
    """
    shapes = {"several examples": (3, 4, 6), "one example": (1, 5, 8), "the shortest string": (4, 3, 2)}
    cases = []
    for label, (batch, n_heads, n) in shapes.items():
        seq = 1 + 2 * n
        hidden = torch.ones(seq, seq).triu(1).bool()
        scores = 2 * torch.randn(batch, n_heads, seq, seq, generator=generator)
        pattern = scores.masked_fill(hidden, -torch.inf).softmax(dim=-1)
        stripe = pattern.diagonal(1 - n, -2, -1)
        stripe[..., :2] = stripe[..., 2:].mean(dim=(0, -1), keepdim=True)
        cases.append(Case(label=label, args=(pattern,), axes={"output": "n_heads"}))
    return cases


def score_by_loop(pattern: Tensor) -> Tensor:
    """Reads the entries one by one."""
    n = pattern.shape[-1] // 2
    entries = [pattern[:, :, n + 1 + i, i + 2] for i in range(n)]
    return torch.stack(entries).mean(dim=0).mean(dim=0)


def score_by_whole_stripe(pattern: Tensor) -> Tensor:
    """Averages over examples first, and takes the whole diagonal."""
    n = (pattern.size(-1) - 1) // 2
    return torch.diagonal(pattern.mean(0), -(n - 1), 1, 2).mean(-1)


def score_by_mask(pattern: Tensor) -> Tensor:
    """Sums under a mask."""
    seq = pattern.shape[-1]
    n = (seq - 1) // 2
    query = torch.arange(seq)[:, None]
    mask = (torch.arange(seq) == query - n + 1) & (query > n)
    return torch.einsum("bnqk,qk->n", pattern, mask.float()) / (n * pattern.shape[0])


SCORE_MISTAKES = [
    Mistake(
        "looks at the copy itself",
        "offset=1 - n",
        "offset=-n",
        within="induction_score",
        why="a head that looks there finds the same token again, not what followed it; induction looks one further on",
    ),
    Mistake(
        "looks two past the copy",
        "offset=1 - n",
        "offset=2 - n",
        within="induction_score",
        why="the entries [n + 1 + i, i + 2] lie n - 1 below the diagonal",
    ),
    Mistake(
        "looks above the diagonal",
        "offset=1 - n",
        "offset=n - 1",
        within="induction_score",
        why="diagonals below the main one have a negative offset; above it the mask has made all zero",
    ),
    Mistake(
        "takes the whole length for n",
        "n = copy_length(pattern.shape[-1])",
        "n = pattern.shape[-1] - 2",
        within="induction_score",
        why="the sequence is one token and twice n, so n = (seq - 1) / 2",
    ),
    Mistake(
        "averages over the heads, too",
        "dim=(0, -1))",
        "dim=(0, 1, -1)).expand(pattern.shape[1])",
        within="induction_score",
        why="each head has a score of its own",
    ),
    Mistake(
        "takes the largest entry",
        "stripe.mean(dim=(0, -1))",
        "stripe.mean(dim=0).amax(dim=-1)",
        within="induction_score",
        why="a single query that looks there is no habit: take the mean",
    ),
    Mistake(
        "sums over the examples",
        "stripe.mean(dim=(0, -1))",
        "stripe.mean(dim=-1).sum(dim=0)",
        within="induction_score",
        why="a score lies between 0 and 1, however many examples there are: take their mean, too",
    ),
]

test_induction_score = exercise(
    reference=induction_score,
    cases=score_cases,
    observe=outputs,
    accepts=[score_by_loop, score_by_whole_stripe, score_by_mask],
    mistakes=[
        Mistake(
            "keeps the examples apart",
            "dim=(0, -1)",
            "dim=-1",
            why="the mean goes over the examples, too: one number for each head",
        ),
        *SCORE_MISTAKES,
    ],
)


def hook_cases(generator: torch.Generator) -> list[Case]:
    """The patterns of `score_cases`, each at a hook point of a layer of its own."""
    return [
        Case(label=case.label, given={"pattern": case.args[0], "layer": layer}, axes={"score": "n_heads"})
        for layer, case in enumerate(score_cases(generator))
    ]


def hook_observations(function: Callable[..., Any], case: Case) -> Observations:
    """What lies in `hook.ctx` after a call, and what goes on through the model."""
    place, pattern = HookPoint(), case.given["pattern"].clone()
    place.name, place.ctx = f"blocks.{case.given['layer']}.attn.hook_pattern", {"from before": 1}
    returned = function(pattern, hook=place)
    goes_on = pattern if returned is None else returned
    score = place.ctx.get("induction_score")
    return {
        'hook.ctx["induction_score"]': "there" if score is not None else f"not among {sorted(map(str, place.ctx))}",
        "score": torch.as_tensor(score if score is not None else []).detach(),
        "shape of what goes on": tuple(getattr(goes_on, "shape", ())),
        "the pattern goes on unchanged": isinstance(goes_on, Tensor) and torch.equal(goes_on, case.given["pattern"]),
        "what else lay in hook.ctx": place.ctx.get("from before"),
    }


def hook_that_updates(pattern: Tensor, hook: Any) -> Tensor:
    """Returns the pattern itself, and writes by `update`."""
    hook.ctx.update(induction_score=score_by_loop(pattern))
    return pattern


def hook_with_a_list(pattern: Tensor, hook: Any) -> None:
    """Keeps plain numbers."""
    hook.ctx["induction_score"] = [float(score) for score in score_by_mask(pattern)]


def _returns_the_score(pattern: Tensor, hook: Any) -> Tensor:
    hook.ctx["induction_score"] = induction_score(pattern)
    return induction_score(pattern)


def _sets_an_attribute(pattern: Tensor, hook: Any, *, name: str = "induction_score") -> None:
    setattr(hook, name, induction_score(pattern))


def _clears(pattern: Tensor, hook: Any) -> None:
    hook.ctx["induction_score"] = induction_score(pattern)
    pattern.zero_()


def _replaces_ctx(pattern: Tensor, hook: Any) -> None:
    hook.ctx = {"induction_score": induction_score(pattern)}


test_induction_score_hook = exercise(
    reference=induction_score_hook,
    cases=hook_cases,
    observe=hook_observations,
    accepts=[hook_that_updates, hook_with_a_list],
    may_change_arguments=True,
    mistakes=[
        Mistake(
            "returns the score",
            function=_returns_the_score,
            why="what a hook returns takes the activation's place, and the run would go on with it",
        ),
        Mistake(
            "keeps the score outside hook.ctx",
            function=partial(_sets_an_attribute),
            why='hook.ctx is a dictionary: write hook.ctx["induction_score"] = ...',
        ),
        Mistake(
            "changes the pattern",
            function=_clears,
            why="a hook that only looks must leave what it gets as it is",
        ),
        Mistake(
            "throws away what lay in hook.ctx",
            function=_replaces_ctx,
            why="other hooks may keep something there: add a key, don't replace the dictionary",
        ),
        *SCORE_MISTAKES[:3],
    ],
)
