"""Judge of the scores on random tokens written twice.

Most models here attend by position alone, so that a score does not depend on which tokens were drawn. One reads the
tokens: its scores must be those of the texts that it was given.

Shapes:  a model -> "n_layers n_heads".
"""

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.checking.observing import Observations, count_hooks, hooks_in_words
from arena_lib.checking.reports.calls import value_text
from arena_lib.interp.heads import generate_repeated_tokens
from arena_lib.interp.ioi import heads
from arena_lib.tests.indirect_object_identification.small_models import (
    ATTENTION_ONLY_CONFIG,
    GPT2_CONFIG,
    make_model,
)
from arena_lib.transformer.fast.model import Transformer

__test__ = False

BOS = 4
READS = "a model that reads its tokens"


def make_listener(cfg: Any, generator: torch.Generator, *, reads_tokens: bool = False) -> Transformer:
    """A model with a context of 15 tokens, to which they all look the same unless it `reads_tokens`."""
    model = make_model(replace(cfg, n_ctx=15), generator)
    if not reads_tokens:
        model.embed.W_E.copy_(model.embed.W_E[:1].clone().expand_as(model.embed.W_E))
    model.tokenizer = SimpleNamespace(bos_token_id=BOS)
    return model


def attn_scores_cases(generator: torch.Generator) -> list[Case]:
    """Each kind, several lengths and numbers of texts; tokens from the whole vocabulary and from a part of it."""
    some = torch.tensor([3, 5, 9, 11, 16])
    calls = {
        "a model of GPT-2's form": (GPT2_CONFIG, 5, 3, "duplicate", None),
        "a model of attention alone": (ATTENTION_ONLY_CONFIG, 6, 2, "prev", None),
        "a model of GPT-2's form, four texts": (GPT2_CONFIG, 4, 4, "induction", None),
        "a model of attention alone, chosen tokens": (ATTENTION_ONLY_CONFIG, 7, 3, "induction", some),
        "one text": (GPT2_CONFIG, 7, 1, "prev", None),
        READS: (GPT2_CONFIG, 6, 3, "duplicate", None),
    }
    return [
        Case(
            label=label,
            given={
                "model": make_listener(cfg, generator, reads_tokens=label == READS),
                "call": (seq_len, batch, kind),
                "token_ids": token_ids,
            },
            axes={"scores": "n_layers n_heads"},
            call=f"model, {seq_len}, {batch}, {kind!r}, {value_text(token_ids)}, generator",
        )
        for label, (cfg, seq_len, batch, kind, token_ids) in calls.items()
    ]


def scores_and_tokens(function: Any, case: Case) -> Observations:
    """The scores, what the model was made to read, and whether the generator decides about it."""
    model, (seq_len, batch, kind), token_ids = (case.given[key] for key in ("model", "call", "token_ids"))
    generator, twin = (torch.Generator().manual_seed(7) for _ in range(2))
    state = torch.get_rng_state()
    try:
        calls = [
            scores_and_texts(function, model, seq_len, batch, kind, token_ids, source)
            for source in (generator, twin, generator)
        ]
        n_left = count_hooks(model)
    finally:
        model.reset_hooks(including_permanent=True)
    (scores, texts), (_, same), (_, later) = calls
    if texts is None or same is None or later is None:
        return {"scores": scores, "the model was run": False}
    known = set(range(model.cfg.d_vocab) if token_ids is None else token_ids.tolist())
    drawn, second = texts[:, 1 : seq_len + 1], texts[:, seq_len + 1 :]
    return {
        "length of each text": texts.shape[1],
        "number of texts": texts.shape[0],
        "each text begins with the first token": bool((texts[:, 0] == BOS).all()),
        "the second half repeats the first": torch.equal(drawn, second),
        "tokens are drawn, and texts differ": len(drawn.unique()) > 1 and (batch == 1 or len(drawn.unique(dim=0)) > 1),
        "tokens are from token_ids": set(drawn.flatten().tolist()) <= known,
        "generators of the same seed give the same texts": torch.equal(texts, same),
        "the same generator gives other texts the next time": not torch.equal(texts, later),
        "torch's global generator is unchanged": torch.equal(state, torch.get_rng_state()),
        **_seen_of_scores(scores, texts, case),
        "hooks left on the model": hooks_in_words(n_left),
    }


def _seen_of_scores(scores: Any, texts: Tensor, case: Case) -> Observations:
    """The scores; where they depend on the texts, whether they are those of all the texts that were read."""
    if not isinstance(scores, Tensor):
        return {"scores": scores}
    if case.label != READS:
        return {"scores": scores.detach()}
    model, (seq_len, _, kind) = case.given["model"], case.given["call"]
    first_query, first_key, n = right_pairs(seq_len)[kind]
    i = torch.arange(n)
    _, cache = model.run_with_cache(texts)
    patterns = (cache["pattern", layer] for layer in range(model.cfg.n_layers))
    expected = torch.stack([mean_of_pairs(pattern, first_query + i, first_key + i) for pattern in patterns])
    is_close = scores.shape == expected.shape and torch.allclose(scores.detach(), expected, atol=1e-5)
    return {"scores": torch.zeros_like(scores), "the scores are means over all the texts": is_close}


def scores_and_texts(function: Any, model: Transformer, *args: Any) -> tuple[Any, Tensor | None]:
    """What a call returns, and the texts that the model read, however they were shared out among runs."""
    read: list[Tensor] = []
    watch = model.embed.register_forward_pre_hook(lambda module, args: read.append(args[0].clone()))
    try:
        scores = function(model, *args)
    finally:
        watch.remove()
    if not read:
        return scores, None
    return scores, torch.cat(read) if len({part.shape[1:] for part in read}) == 1 else read[0]


def scores_by_pairs(
    model: Any, seq_len: int, batch: int, head_type: str, token_ids: Any = None, generator: Any = None
) -> Tensor:
    """Indexes queries and keys, in a cache of everything."""
    tokens = generate_repeated_tokens(model, seq_len, batch, token_ids, generator)
    _, cache = model.run_with_cache(tokens)
    n = torch.arange(seq_len)
    if head_type == "prev":
        query = torch.arange(1, 2 * seq_len + 1)
        key = query - 1
    else:
        query = seq_len + 1 + n
        key = 1 + n if head_type == "duplicate" else 2 + n
    return torch.stack([cache["pattern", i][:, :, query, key].mean(dim=(0, 2)) for i in range(model.cfg.n_layers)])


def scores_by_hooks(
    model: Any, seq_len: int, batch: int, head_type: str, token_ids: Any = None, generator: Any = None
) -> Tensor:
    """Sums over a mask, in a hook; draws its own tokens, two texts at a time."""
    ids = torch.arange(model.cfg.d_vocab) if token_ids is None else token_ids
    drawn = ids[torch.randint(len(ids), (batch, seq_len), generator=generator)]
    tokens = torch.cat([torch.full((batch, 1), model.tokenizer.bos_token_id), drawn, drawn], dim=1)
    seq = 2 * seq_len + 1
    offset = {"prev": 1, "duplicate": seq_len, "induction": seq_len - 1}[head_type]
    mask = torch.eye(seq).roll(-offset, dims=1).tril(-1)
    if head_type != "prev":
        mask[: seq_len + 1] = 0
    scores = torch.zeros(model.cfg.n_layers, model.cfg.n_heads)

    def add(pattern: Tensor, hook: Any) -> None:
        scores[hook.layer()] += (pattern * mask).sum(dim=(0, 2, 3)) / mask.sum() / batch

    for part in tokens.split(2):
        model.run_with_hooks(part, fwd_hooks=[(lambda name: name.endswith("pattern"), add)])
    return scores


Pairs = dict[str, tuple[int, int, int]]
"""For each kind the first query, its key and how many pairs follow each other from there."""


def mean_of_pairs(pattern: Tensor, query: Tensor, key: Tensor) -> Tensor:
    """What the docstring asks for: the mean over texts and pairs."""
    return pattern[:, :, query, key].mean(dim=(0, 2))


def right_pairs(n: int) -> Pairs:
    """Where each kind looks."""
    return {"duplicate": (n + 1, 1, n), "prev": (1, 0, 2 * n), "induction": (n + 1, 2, n)}


def scores_at(
    pairs: Callable[[int], Pairs], reduce: Callable[[Tensor, Tensor, Tensor], Tensor] = mean_of_pairs
) -> Callable[..., Tensor]:
    """A version that looks at these pairs, and makes a score of them in this way."""

    def get_attn_scores(
        model: Any, seq_len: int, batch: int, head_type: str, token_ids: Any = None, generator: Any = None
    ) -> Tensor:
        _, cache = model.run_with_cache(generate_repeated_tokens(model, seq_len, batch, token_ids, generator))
        query, key, n = pairs(seq_len)[head_type]
        i = torch.arange(n)
        return torch.stack([reduce(cache["pattern", layer], query + i, key + i) for layer in range(model.cfg.n_layers)])

    return get_attn_scores


def at(query: str, key: str, n: str) -> str:
    """The text of a score that looks at these pairs: the first query, its key, and how many follow each other."""
    pairs = f"{query} + torch.arange({n}), {key} + torch.arange({n})"
    return f"lambda pattern: pattern[:, :, {pairs}].mean(dim=(0, 2))"


FORGETS_FIRST = (
    "forgets the token that begins the text",
    "the text begins with one more token before the first copy, so all positions move by one",
)
LAST_PAIR = ("leaves out the last pair", "i goes from 0 to n - 1, which is n pairs")
WHOLE_DIAGONAL = (
    "takes the whole diagonal",
    "the diagonal also has pairs with the token that begins the text: i goes from 0 to n - 1 only",
)
EVERY_POSITION = "every position but the first has one before it"
PAIRS_OF = {
    "duplicate": {
        "induction_attn_scores": (
            "uses attention to one past the same token for duplicates",
            "a duplicate token head looks at the same token itself",
        ),
        at("seq_len", "0", "seq_len"): FORGETS_FIRST,
        at("seq_len", "0", "seq_len + 1"): WHOLE_DIAGONAL,
        at("seq_len + 1", "1", "seq_len - 1"): LAST_PAIR,
        at("seq_len + 1", "0", "seq_len"): (
            "uses attention to one before the same token for duplicates",
            "a duplicate token head looks at the same token itself",
        ),
    },
    "prev": {
        at("1", "1", "2 * seq_len"): (
            "uses each position's attention to itself for the previous token",
            "the key stands one position before the query",
        ),
        at("seq_len + 1", "seq_len", "seq_len"): ("counts the previous token only in the second copy", EVERY_POSITION),
        at("1", "0", "seq_len"): ("counts the previous token only in the first copy", EVERY_POSITION),
        at("2", "1", "2 * seq_len - 1"): ("leaves out attention to the token that begins the text", EVERY_POSITION),
        at("1", "0", "2 * seq_len - 1"): LAST_PAIR,
        at("2", "0", "2 * seq_len - 1"): (
            "uses attention to two positions before for the previous token",
            "the key stands one position before the query",
        ),
    },
    "induction": {
        "duplicate_attn_scores": (
            "uses attention to the same token for induction",
            "an induction head looks at what came after the same token, one position further along",
        ),
        at("seq_len", "1", "seq_len"): FORGETS_FIRST,
        at("seq_len - 1", "0", "seq_len + 2"): WHOLE_DIAGONAL,
        at("seq_len + 1", "2", "seq_len - 1"): LAST_PAIR,
        **{
            at(*pairs): (
                "uses attention to one before the same token for induction",
                "an induction head looks at the token after the earlier copy, one position later, not one before",
            )
            for pairs in (("seq_len + 2", "1", "seq_len - 1"), ("seq_len + 1", "0", "seq_len"))
        },
    },
}
RETURNS = "scores_by_layer(cache, scores[head_type])"
N_PAIRS = '(2 * seq_len if head_type == "prev" else seq_len)'
MEAN_OF_PAIRS = "a score is the mean over all pairs, from 0 to 1"
MEAN_OF_TEXTS = "a score is the mean over all the texts too"


def of_changed_patterns(change: str) -> str:
    """The text of scores that read every pattern with this change."""
    return RETURNS.replace("cache", f'{{("pattern", i): cache["pattern", i]{change} for i in range(lm.n_layers)}}')


test_get_attn_scores = exercise(
    reference=heads.get_attn_scores,
    cases=attn_scores_cases,
    observe=scores_and_tokens,
    accepts=[scores_by_pairs, scores_by_hooks, scores_at(right_pairs)],
    mistakes=[
        *(
            mistake
            for kind, wrong in PAIRS_OF.items()
            for mistake in instead_of(
                f'"{kind}": {kind}_attn_scores', {f'"{kind}": {text}': words for text, words in wrong.items()}
            )
        ),
        *instead_of(
            RETURNS,
            {
                f"{RETURNS} * {N_PAIRS}": ("sums over the pairs", MEAN_OF_PAIRS),
                f"{RETURNS} * {N_PAIRS} / (2 * seq_len + 1)": (
                    "divides by the length of the text",
                    "a score is the mean over the pairs, so divide by how many pairs there are",
                ),
                f"{RETURNS} * batch": ("sums over the texts", MEAN_OF_TEXTS),
                of_changed_patterns("[:1]"): ("uses the first text only", MEAN_OF_TEXTS),
                of_changed_patterns(".transpose(-1, -2)"): (
                    "swaps queries and keys",
                    "the pattern's last two axes are the query, then the key",
                ),
                of_changed_patterns(".log()"): ("takes the logarithm", "a score is the mean of the attention itself"),
                f"{RETURNS}.T": ("returns heads as the first axis", "the result is [layer, head]"),
                f"{RETURNS}.mean(dim=1, keepdim=True).expand(-1, lm.n_heads)": (
                    "averages over the heads",
                    "each head has a score of its own",
                ),
                f"{RETURNS}.unsqueeze(1).expand(-1, batch, -1)": (
                    "returns a score for each text",
                    "a score is the mean over the texts",
                ),
                **{
                    RETURNS.replace("head_type", repr(kind)): (
                        "ignores head_type",
                        "each kind of head looks at another place",
                    )
                    for kind in PAIRS_OF
                },
            },
        ),
        Mistake(
            "draws the second half at random too",
            "    lm = hooked(model)\n",
            "    anew = generate_repeated_tokens(model, seq_len, batch, token_ids, generator)[:, 1 : seq_len + 1]\n"
            "    tokens, lm = torch.cat([tokens[:, : seq_len + 1], anew], dim=1), hooked(model)\n",
            why="the second copy has the tokens of the first, in the same order",
        ),
        *(
            Mistake(name, why=MEAN_OF_PAIRS, function=scores_at(right_pairs, reduce))
            for name, reduce in {
                "takes the largest attention of all pairs": lambda pattern, query, key: (
                    pattern[:, :, query, key].amax(dim=-1).mean(dim=0)
                ),
                "uses the last pair only": lambda pattern, query, key: pattern[:, :, query[-1], key[-1]].mean(dim=0),
                "counts how often the pair has the largest attention": lambda pattern, query, key: (
                    (pattern[:, :, query].argmax(dim=-1) == key).float().mean(dim=(0, 2))
                ),
            }.items()
        ),
        Mistake(
            "uses every query with every key",
            why="query i belongs to key i only: index with both at once, or take a diagonal",
            function=scores_at(
                right_pairs, lambda pattern, query, key: pattern[:, :, query][..., key].mean(dim=(0, 2, 3))
            ),
        ),
        *instead_of(
            "generate_repeated_tokens(model, seq_len, batch, token_ids, generator)",
            {
                "generate_repeated_tokens(model, seq_len, 1, token_ids, generator)": (
                    "always makes one text",
                    "the number of texts is the argument batch",
                ),
                "generate_repeated_tokens(model, seq_len, 1, token_ids, generator).repeat(batch, 1)": (
                    "makes every text the same",
                    "each text has tokens of its own, drawn at random",
                ),
                "generate_repeated_tokens(model, seq_len, batch, None, generator)": (
                    "draws from the whole vocabulary",
                    "token_ids says which tokens may be drawn",
                ),
                "generate_repeated_tokens(model, seq_len, batch, token_ids, None)": (
                    "does not use the generator",
                    "a generator with the same seed must give the same texts",
                ),
                "generate_repeated_tokens(model, seq_len, batch, token_ids, generator.manual_seed(0))": (
                    "seeds the generator again at each call",
                    "a generator moves on with every draw, so that a second call draws other texts",
                ),
            },
        ),
    ],
)
