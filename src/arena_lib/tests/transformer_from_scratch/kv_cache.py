"""Judges of the KV cache: what it keeps, the mask for new tokens, and attention that reads from it.

Shapes:  keys and values "batch seq n_heads d_head"; residual stream "batch seq d_model".
Raises:  see `arena_lib.checking`.
Source:  own design.
"""

from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from arena_lib.checking import Case, Mistake, Unfit, exercise, outputs_and_gradients, random_weights
from arena_lib.checking.modules import load_by_name
from arena_lib.checking.observing import Observations
from arena_lib.tests.transformer_from_scratch.attention import SCORES, hidden_as_minus_infinity
from arena_lib.transformer import lesson
from arena_lib.transformer.kv_cache import KVCache, attend_with_cache, cached_causal_mask

__test__ = False

CFG = lesson.Config(d_model=6, d_vocab=11, n_ctx=12, n_layers=2, n_heads=3, d_head=4, d_mlp=7)
KEYS = "batch seq n_heads d_head"


def extend_cases(generator: torch.Generator) -> list[Case]:
    """A prompt and then single tokens, in two layers that fill at different times."""

    def pair(seq: int) -> tuple[Tensor, Tensor]:
        first, second = torch.randn(2, 2, seq, CFG.n_heads, CFG.d_head, generator=generator)
        return first, second

    cases = [
        Case(label="a prompt", given={"n_layers": 2, "calls": [(0, *pair(3))]}),
        Case(label="a prompt, then a token", given={"n_layers": 2, "calls": [(0, *pair(3)), (0, *pair(1))]}),
        Case(
            label="two layers, one after the other",
            given={"n_layers": 2, "calls": [(0, *pair(2)), (1, *pair(2)), (0, *pair(1)), (1, *pair(4))]},
        ),
        Case(label="the second layer first", given={"n_layers": 3, "calls": [(1, *pair(2)), (1, *pair(1))]}),
    ]
    calls = range(1, 5)
    axes = {f"{what} returned by call {i}": KEYS for what in ("keys", "values") for i in calls}
    return [replace(case, axes=axes) for case in cases]


def extended(cls: Any, case: Case) -> Observations:
    """What each call returns, and what the cache says of itself before and afterwards."""
    if not isinstance(cls, type):
        raise Unfit(f"This test takes the class KVCache itself: got {type(cls).__name__}.")
    cache: Any = cls(case.given["n_layers"])
    seen: Observations = {"n_seen at first": cache.n_seen}
    for i, (layer_idx, k, v) in enumerate(case.given["calls"], start=1):
        returned = cache.extend(layer_idx, k.clone(), v.clone())
        if not (isinstance(returned, tuple | list) and len(returned) == 2):
            raise Unfit(f"extend must return (keys, values) of the layer: got {type(returned).__name__}.")
        seen |= {f"keys returned by call {i}": returned[0], f"values returned by call {i}": returned[1]}
    return seen | {"n_seen at the end": cache.n_seen}


class KVCacheOfLists(KVCache):
    """Keeps every piece, and joins them when asked."""

    def __init__(self, n_layers: int) -> None:
        self.pieces: list[list[tuple[Tensor, Tensor]]] = [[] for _ in range(n_layers)]

    @property
    def n_seen(self) -> int:
        return sum(k.size(1) for k, _ in self.pieces[0])

    def extend(self, layer_idx: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        self.pieces[layer_idx].append((k, v))
        keys, values = zip(*self.pieces[layer_idx], strict=True)
        return torch.cat(keys, 1), torch.cat(values, 1)


test_kv_cache = exercise(
    reference=KVCache,
    name="kv_cache",
    cases=extend_cases,
    observe=extended,
    keep=["__init__", "n_seen"],
    accepts=[KVCacheOfLists],
    mistakes=[
        Mistake(
            "puts new keys in front of the old ones",
            "k = torch.cat([old_k, k], dim=1)",
            "k = torch.cat([k, old_k], dim=1)",
            why="positions stand in the order of the text, old ones first",
        ),
        Mistake(
            "forgets the old keys and values",
            "if old_k is not None and old_v is not None:",
            "if False:",
            why="the point of a cache is to keep what was computed before",
        ),
        Mistake(
            "does not store what it returns",
            "self.keys[layer_idx], self.values[layer_idx] = k, v",
            "pass",
            why="the next token must find these keys and values",
        ),
        Mistake(
            "uses one store for all layers",
            "self.keys[layer_idx], self.values[layer_idx] = k, v",
            "self.keys[:], self.values[:] = [k] * len(self.keys), [v] * len(self.values)",
            why="each layer has keys and values of its own",
        ),
        Mistake(
            "returns the new part only",
            "k = torch.cat([old_k, k], dim=1)\n            v = torch.cat([old_v, v], dim=1)\n        self.keys[layer_idx], self.values[layer_idx] = k, v\n",
            "self.keys[layer_idx] = torch.cat([old_k, k], dim=1)\n            self.values[layer_idx] = torch.cat([old_v, v], dim=1)\n        else:\n            self.keys[layer_idx], self.values[layer_idx] = k, v\n",
            why="the caller attends to everything that the layer holds",
        ),
        Mistake(
            "joins the values with the keys",
            "v = torch.cat([old_v, v], dim=1)",
            "v = torch.cat([old_k, v], dim=1)",
            why="keys say where to look, values what to bring back",
        ),
    ],
)


def cached_mask_cases(generator: torch.Generator) -> list[Case]:
    """As many queries as keys, one query, a few queries at the end, and a single position."""
    sizes = {
        "queries at the end of the keys": (2, 5),
        "as many queries as keys": (4, 4),
        "one query": (1, 6),
        "a single position": (1, 1),
    }
    return [
        Case(label=label, args=(torch.randn(2, 3, *size, generator=generator),), axes={"output": SCORES})
        for label, size in sizes.items()
    ]


def cached_mask_scores(function: Any, case: Case) -> Observations:
    """The scores, where -inf and other numbers that softmax turns into exactly 0 count alike."""
    return outputs_and_gradients(lambda scores: _hidden(function(scores)), case)


def _hidden(scores: Any) -> Any:
    if not isinstance(scores, Tensor) or scores.ndim < 2 or scores.shape[-1] < scores.shape[-2]:
        return scores
    return hidden_as_minus_infinity(scores, n_before=scores.shape[-1] - scores.shape[-2])


def cached_mask_by_positions(attn_scores: Tensor) -> Tensor:
    """Compares the positions of queries and keys."""
    seq_q, seq_k = attn_scores.shape[-2:]
    q, k = torch.arange(seq_k - seq_q, seq_k), torch.arange(seq_k)
    return torch.where(k[None, :] <= q[:, None], attn_scores, torch.finfo(attn_scores.dtype).min)


test_cached_causal_mask = exercise(
    reference=cached_causal_mask,
    cases=cached_mask_cases,
    observe=cached_mask_scores,
    accepts=[cached_mask_by_positions],
    may_change_arguments=True,
    mistakes=[
        Mistake(
            "takes the queries for the first positions",
            "diagonal=seq_k - seq_q + 1",
            "diagonal=1",
            why="the queries are the newest tokens: they stand at the end of the keys, not at the start",
        ),
        Mistake(
            "hides the present too",
            "diagonal=seq_k - seq_q + 1",
            "diagonal=seq_k - seq_q",
            why="each query may look at its own position",
        ),
        Mistake(
            "hides nothing",
            "attn_scores.masked_fill(is_future, -torch.inf)",
            "attn_scores.clone()",
            why="when several new tokens are read at once, the earlier ones must not see the later",
        ),
        Mistake(
            "sets the future to zero",
            "-torch.inf",
            "0.0",
            why="softmax turns a score of 0 into exp(0) = 1 before it normalises",
        ),
    ],
)


def attend_cases(generator: torch.Generator) -> list[Case]:
    """The text in one piece, in two pieces, and token by token."""
    weights = random_weights(lesson.Attention(CFG), generator)
    x = torch.randn(2, 5, CFG.d_model, generator=generator)
    axes = {"output": "batch seq d_model", "keys in the cache": KEYS, "values in the cache": KEYS}
    pieces = {"in one piece": [5], "a prompt, then two tokens": [3, 2], "token by token": [1, 1, 1, 1, 1]}
    return [
        Case(label=label, given={"weights": weights, "x": x, "pieces": sizes}, axes=axes)
        for label, sizes in pieces.items()
    ]


def attended(function: Any, case: Case) -> Observations:
    """The outputs for all pieces joined, and what the cache holds."""
    attn = lesson.Attention(CFG)
    load_by_name(attn, case.given["weights"])
    cache = KVCache(CFG.n_layers)
    out = [function(attn, piece, cache, 1) for piece in case.given["x"].split(case.given["pieces"], dim=1)]
    if not all(isinstance(piece, Tensor) and piece.ndim == 3 for piece in out):
        return {"output": out[0]}
    return {
        "output": torch.cat(out, dim=1).detach(),
        "tokens held by each layer": [0 if k is None else k.shape[1] for k in cache.keys],
        "keys in the cache": None if cache.keys[1] is None else cache.keys[1].detach(),
        "values in the cache": None if cache.values[1] is None else cache.values[1].detach(),
    }


def attend_by_torch(attn: Any, normalized_resid_pre: Tensor, cache: KVCache, layer_idx: int) -> Tensor:
    """Heads before positions, and torch's own attention."""

    def project(weight: Tensor, bias: Tensor) -> Tensor:
        return torch.einsum("bsm,nmh->bsnh", normalized_resid_pre, weight) + bias

    q = project(attn.W_Q, attn.b_Q).transpose(1, 2)
    k, v = cache.extend(layer_idx, project(attn.W_K, attn.b_K), project(attn.W_V, attn.b_V))
    seen = torch.ones(q.shape[2], k.shape[1], dtype=torch.bool).tril(k.shape[1] - q.shape[2])
    z = F.scaled_dot_product_attention(q, k.transpose(1, 2), v.transpose(1, 2), attn_mask=seen)
    return torch.einsum("bnsh,nhm->bsm", z, attn.W_O) + attn.b_O


test_attend_with_cache = exercise(
    reference=attend_with_cache,
    cases=attend_cases,
    observe=attended,
    accepts=[attend_by_torch],
    mistakes=[
        Mistake(
            "ignores the cache",
            "k, v = cache.extend(layer_idx, new_k, new_v)",
            "cache.extend(layer_idx, new_k, new_v)\n    k, v = new_k, new_v",
            why="new tokens look at the whole text, not only at each other",
        ),
        Mistake(
            "uses another layer's cache",
            "cache.extend(layer_idx, new_k, new_v)",
            "cache.extend(0, new_k, new_v)",
            why="each layer's keys and values are its own",
        ),
        Mistake(
            "forgets the mask",
            "cached_causal_mask(einops.einsum(q, k, dot) / attn.cfg.d_head**0.5)",
            "einops.einsum(q, k, dot) / attn.cfg.d_head**0.5",
            why="a prompt is read in one piece, and its tokens must not see each other's future",
        ),
        Mistake(
            "masks as if the new tokens were the first",
            "cached_causal_mask(einops",
            "(lambda scores: scores.masked_fill(torch.ones_like(scores).triu(1).bool(), -torch.inf))(einops",
            why="the queries are the newest positions: cached_causal_mask knows where they stand",
        ),
        Mistake(
            "does not scale the scores",
            " / attn.cfg.d_head**0.5",
            "",
            why="it is the same attention as before: scores are divided by the root of d_head",
        ),
        Mistake("forgets b_O", " + attn.b_O", "", why="it is the same attention as before, biases included"),
        Mistake(
            "keeps keys without their bias",
            "new_k = einops.einsum(x, attn.W_K, project) + attn.b_K",
            "new_k = einops.einsum(x, attn.W_K, project)",
            why="softmax hides it (a bias of the keys moves all scores of a query alike), but what is kept is not what Attention uses",
        ),
        Mistake(
            "keeps values without their bias",
            "new_v = einops.einsum(x, attn.W_V, project) + attn.b_V",
            "new_v = einops.einsum(x, attn.W_V, project)",
            why="what is kept is exactly what attention used, biases included",
        ),
    ],
)
