"""Judges of the KV cache: what it keeps, and attention that reads from it."""

from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from arena_lib.checking import Case, Unfit, exercise, instead_of, random_weights
from arena_lib.checking.modules import load_by_name
from arena_lib.checking.observing import Observations
from arena_lib.transformer import lesson
from arena_lib.transformer.kv_cache import KVCache, attend_with_cache

__test__ = False

CFG = lesson.Config(d_model=6, d_vocab=11, n_ctx=12, n_layers=2, n_heads=3, d_head=5, d_mlp=7)
KEYS = "batch seq n_heads d_head"


def extend_cases(generator: torch.Generator) -> list[Case]:
    """A prompt and then single tokens, pieces of the same length, and two layers that fill at different times."""

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
        Case(
            label="two pieces of the same length",
            given={"n_layers": 2, "calls": [(0, *pair(2)), (0, *pair(2))]},
        ),
        Case(label="the second layer first", given={"n_layers": 3, "calls": [(1, *pair(2)), (1, *pair(1))]}),
    ]
    calls = range(1, 5)
    axes = {f"{what} returned by call {i}": KEYS for what in ("keys", "values") for i in calls}
    return [replace(case, axes=axes, call=f"n_layers={case.given['n_layers']}") for case in cases]


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
    equivalent={
        "old_k is not None and old_v is not None -> old_k is not None or old_v is not None": "both are None or neither"
    },
    mistakes=[
        *instead_of(
            "            k = torch.cat([old_k, k], dim=1)\n            v = torch.cat([old_v, v], dim=1)\n",
            {
                "            k = torch.cat([k, old_k], dim=1)\n            v = torch.cat([v, old_v], dim=1)\n": (
                    "joins new keys and values in front of the old ones",
                    "positions are in the order of the text, old ones first",
                ),
                "            k = torch.cat([old_k, k], dim=0)\n            v = torch.cat([old_v, v], dim=0)\n": (
                    "joins along the batch",
                    "new tokens are further positions of the same texts: join along axis 1",
                ),
                "            k = torch.cat([old_k, k], dim=2)\n            v = torch.cat([old_v, v], dim=2)\n": (
                    "joins along the heads",
                    "new tokens are further positions, not further heads: join along axis 1",
                ),
                "            k = torch.cat([old_k, k], dim=1)\n": (
                    "forgets the old values",
                    "values are kept in the same way as keys",
                ),
                "            v = torch.cat([old_v, v], dim=1)\n": (
                    "forgets the old keys",
                    "keys are kept in the same way as values",
                ),
                "            k = torch.cat([old_k, k], dim=1)\n            v = torch.cat([old_k, v], dim=1)\n": (
                    "joins the new values to the old keys",
                    "keys and values are separate: keys decide where to look, values are what is brought back",
                ),
                "            self.keys[layer_idx] = torch.cat([old_k, k], dim=1)\n"
                "            self.values[layer_idx] = torch.cat([old_v, v], dim=1)\n            return k, v\n": (
                    "returns the new part only",
                    "the caller attends to everything that the layer holds",
                ),
            },
        ),
        *instead_of(
            "self.keys[layer_idx], self.values[layer_idx] = k, v",
            {
                "new = -1 if old_k is None else old_k.shape[1]\n        self.keys[layer_idx], self.values[layer_idx] = (k, v) if new < 0 else (k[:, new:], v[:, new:])": (
                    "stores the new part only",
                    "the next call must find all that the layer has seen",
                ),
                "self.keys[layer_idx] = self.values[layer_idx] = k = v": (
                    "stores the values as keys too",
                    "keys and values are kept apart",
                ),
                "pass": ("does not store what it returns", "the next token must find these keys and values"),
                "if old_k is None:\n            self.keys[layer_idx], self.values[layer_idx] = k, v": (
                    "stores the first keys and values only",
                    "what is joined must be stored too, or the token after the next won't find it",
                ),
                "self.keys[:], self.values[:] = [k] * len(self.keys), [v] * len(self.values)": (
                    "uses one store for all layers",
                    "each layer has keys and values of its own",
                ),
            },
        ),
        *instead_of(
            "old_k, old_v = self.keys[layer_idx], self.values[layer_idx]",
            {
                "old_k, old_v = None, None": (
                    "forgets the old keys and values",
                    "the cache keeps the old keys and values, and the new ones are joined to them",
                ),
            },
        ),
        *instead_of(
            "return k, v",
            {"return v, k": ("returns the values first", "the result is (keys, values), and callers unpack it so")},
        ),
    ],
)


def attend_cases(generator: torch.Generator) -> list[Case]:
    """The text in one piece, in two pieces, and token by token."""
    weights = random_weights(lesson.Attention(CFG), generator)
    x = torch.randn(2, 5, CFG.d_model, generator=generator)
    call = "attn, normalized_resid_pre, cache, layer_idx=1"
    axes = {"output": "batch seq d_model", "keys in the cache": KEYS, "values in the cache": KEYS}
    pieces = {"in one piece": [5], "a prompt, then two tokens": [3, 2], "token by token": [1, 1, 1, 1, 1]}
    return [
        Case(label=label, given={"weights": weights, "x": x, "pieces": sizes}, axes=axes, call=call)
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
        "return self.keys, self.values": (
            "returns the lists of all layers",
            "the result is the keys and values of the one layer",
        ),
        "return None": ("returns nothing", "the caller attends to the keys and values that extend returns"),
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
        *instead_of(
            "k, v = cache.extend(layer_idx, new_k, new_v)",
            {
                "cache.extend(layer_idx, new_k, new_v)\n    k, v = cache.extend(layer_idx, new_k, new_v)": (
                    "extends the cache twice",
                    "each new token enters the cache once",
                ),
                "k, v = new_k, new_v": (
                    "leaves the cache as it is",
                    "new keys and values are put into the cache, and all that it holds is looked at",
                ),
                "v, k = cache.extend(layer_idx, new_k, new_v)": (
                    "swaps keys and values",
                    "extend returns (keys, values)",
                ),
                "cache.extend(layer_idx, new_k, new_v)\n    k, v = new_k, new_v": (
                    "ignores the cache",
                    "new tokens look at the whole text, not only at each other",
                ),
                "k, v = cache.extend(0, new_k, new_v)": (
                    "uses another layer's cache",
                    "each layer's keys and values are its own",
                ),
            },
        ),
        *instead_of(
            "cached_causal_mask(einops.einsum(q, k, dot) / attn.cfg.d_head**0.5)",
            {
                "einops.einsum(q, k, dot) / attn.cfg.d_head**0.5": (
                    "forgets the mask",
                    "a prompt is read in one piece, and its tokens must not see each other's future",
                ),
                "(lambda scores: scores.masked_fill(torch.ones_like(scores).triu(1).bool(), -torch.inf))"
                "(einops.einsum(q, k, dot) / attn.cfg.d_head**0.5)": (
                    "masks as if the new tokens were the first",
                    "the queries are the newest positions: cached_causal_mask knows which ones",
                ),
                "(lambda scores: scores if scores.shape[-2] == 1 else scores.masked_fill("
                "torch.ones_like(scores).triu(1).bool(), -torch.inf))(einops.einsum(q, k, dot) / attn.cfg.d_head**0.5)": (
                    "masks several new tokens as if they were the first",
                    "the queries are the newest positions: cached_causal_mask knows which ones",
                ),
                "einops.einsum(q, k, dot)": (
                    "forgets the mask and the scale",
                    "it is the same attention as before: scores are divided by the root of d_head, and masked",
                ),
                "cached_causal_mask(einops.einsum(q, k, dot))": (
                    "does not scale the scores",
                    "as in Attention, scores are divided by the root of d_head",
                ),
                "cached_causal_mask(einops.einsum(q, k, dot) / attn.cfg.d_head)": (
                    "divides the scores by d_head, not by its root",
                    "as in Attention, scores are divided by the root of d_head",
                ),
                "cached_causal_mask(einops.einsum(q, k, dot) * attn.cfg.d_head**0.5)": (
                    "multiplies the scores by the root of d_head",
                    "as in Attention, scores are divided by the root of d_head",
                ),
            },
        ),
        *instead_of(
            "einops.einsum(scores.softmax(dim=-1), v, mix)",
            {
                "einops.einsum(scores.softmax(dim=-2).nan_to_num(), v, mix)": (
                    "takes the softmax over the queries",
                    "each query shares its attention out among the keys, the last axis",
                ),
                "einops.einsum(einops.einsum(q, k, dot).div(attn.cfg.d_head**0.5).softmax(dim=-1) * (scores > -torch.inf), v, mix)": (
                    "masks after the softmax",
                    "hidden keys must not take part in the softmax: set their scores to -inf before it",
                ),
            },
        ),
        *instead_of(
            " + attn.b_O",
            {
                "": ("forgets b_O", "as in Attention, queries, keys, values and the output have biases"),
                " + attn.b_O + x": (
                    "adds the residual stream",
                    "the result is what attention writes: the block adds it to the residual stream",
                ),
            },
        ),
        *instead_of(
            " + attn.b_Q",
            {"": ("forgets the queries' bias", "as in Attention, queries, keys, values and the output have biases")},
        ),
        *instead_of(
            " + attn.b_K",
            {
                "": (
                    "stores keys without their bias",
                    "the cache holds the keys that attention uses, with b_K: the output can't show the difference, "
                    "because b_K moves all scores of a query by the same amount",
                )
            },
        ),
        *instead_of(
            " + attn.b_V",
            {
                "": (
                    "stores values without their bias",
                    "the cache holds the values that attention uses, with b_V",
                )
            },
        ),
    ],
)
