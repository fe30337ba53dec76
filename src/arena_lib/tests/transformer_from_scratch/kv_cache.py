"""Judges of the KV cache: what it keeps, attention and a model that read from it, and the loop that writes with it.

Shapes:  keys and values "batch seq n_heads d_head"; residual stream "batch seq d_model"; tokens "batch seq".
"""

from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from arena_lib.checking import Case, Mistake, Unfit, exercise, outputs, random_weights
from arena_lib.checking.modules import load_by_name
from arena_lib.checking.observing import Observations
from arena_lib.tests.transformer_from_scratch.sampling import IGNORES_THE_GENERATOR, repeats
from arena_lib.transformer import lesson
from arena_lib.transformer.kv_cache import KVCache, attend_with_cache, forward_with_cache, generate_with_cache
from arena_lib.transformer.sampling import GREEDY, SamplingConfig, sample_next_token

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


def make_model(case: Case) -> lesson.DemoTransformer:
    """The small model with the case's weights."""
    model = lesson.DemoTransformer(CFG)
    load_by_name(model, case.given["weights"])
    return model


def forward_cases(generator: torch.Generator) -> list[Case]:
    """The text in one piece, in two, and token by token."""
    weights = random_weights(lesson.DemoTransformer(CFG), generator)
    tokens = torch.randint(0, CFG.d_vocab, (3, 6), generator=generator)
    pieces = {"in one piece": [6], "a prompt, then single tokens": [4, 1, 1], "pieces of two": [2, 2, 2]}
    return [
        Case(
            label=label,
            given={"weights": weights, "tokens": tokens, "pieces": sizes},
            axes={"output": "batch seq d_vocab"},
        )
        for label, sizes in pieces.items()
    ]


def logits_in_pieces(function: Any, case: Case) -> Observations:
    """The logits for all pieces joined, and how many tokens the cache holds."""
    model, cache = make_model(case), KVCache(CFG.n_layers)
    out = [function(model, piece, cache) for piece in case.given["tokens"].split(case.given["pieces"], dim=1)]
    if not all(isinstance(piece, Tensor) and piece.ndim == 3 for piece in out):
        return {"output": out[0]}
    return {"output": torch.cat(out, dim=1).detach(), "n_seen": cache.n_seen}


def forward_by_embedding_all(model: Any, tokens: Tensor, cache: KVCache) -> Tensor:
    """Embeds positions by index, and names what is written."""
    positions = torch.arange(cache.n_seen, cache.n_seen + tokens.shape[1])
    stream = model.embed.W_E[tokens] + model.pos_embed.W_pos[positions][None]
    for i in range(len(model.blocks)):
        block = model.blocks[i]
        stream = stream + attend_by_torch(block.attn, block.ln1(stream), cache, i)
        stream = stream + block.mlp(block.ln2(stream))
    return model.unembed(model.ln_final(stream))


test_forward_with_cache = exercise(
    reference=forward_with_cache,
    cases=forward_cases,
    observe=logits_in_pieces,
    accepts=[forward_by_embedding_all],
    mistakes=[
        Mistake(
            "starts the positions at zero again",
            "model.pos_embed.W_pos[start : start + tokens.shape[1]]",
            "model.pos_embed.W_pos[: tokens.shape[1]]",
            why="new tokens stand behind the ones that the cache holds",
        ),
        Mistake(
            "starts the positions one too late",
            "model.pos_embed.W_pos[start : start + tokens.shape[1]]",
            "model.pos_embed.W_pos[start + 1 : start + 1 + tokens.shape[1]]",
            why="the first new token stands at position n_seen, as it was before this call",
        ),
        Mistake(
            "gives every block the first layer's cache",
            "cache, layer_idx)",
            "cache, 0)",
            why="each layer has keys and values of its own",
        ),
        Mistake(
            "forgets the final LayerNorm",
            "model.unembed(model.ln_final(residual))",
            "model.unembed(residual)",
            why="it is the same model as before",
        ),
        Mistake(
            "leaves the MLP out",
            "        residual = residual + block.mlp(block.ln2(residual))\n",
            "",
            why="only attention looks at other positions, so only attention needs the cache; the rest is as before",
        ),
    ],
)


def generate_cases(generator: torch.Generator) -> list[Case]:
    """Greedy for one text and for several, with a penalty, with nothing to add, up to the whole context; and at random."""
    weights = random_weights(lesson.DemoTransformer(CFG), generator, scale=1.0)

    def case(label: str, shape: tuple[int, int], n_new: int, options: SamplingConfig = GREEDY) -> Case:
        tokens = torch.randint(0, CFG.d_vocab, shape, generator=generator)
        return Case(
            label=label, given={"weights": weights, "call": (tokens, n_new, options)}, axes={"output": "batch seq"}
        )

    return [
        case("one text", (1, 3), 4),
        case("several texts", (3, 2), 5),
        case("a frequency penalty", (2, 4), 6, SamplingConfig(temperature=0.0, frequency_penalty=4.0)),
        case("up to the end of the context", (1, 2), CFG.n_ctx - 2),
        case("nothing to add", (2, 3), 0),
        case("draws at random", (2, 3), 6, SamplingConfig(temperature=5.0)),
    ]


def generated(function: Any, case: Case) -> Observations:
    """The tokens, or whether a generator alone decides them; and whether the model read any of them twice."""
    model = make_model(case)
    read: list[int] = []
    model.embed.register_forward_pre_hook(lambda module, args: read.append(args[0].numel()))
    tokens, n_new, options = case.given["call"]
    seen = outputs(function, Case(label=case.label, args=(model, tokens, n_new, options), names=case.names))
    if options.temperature > 0:
        text = seen.pop("output")
        is_longer = isinstance(text, Tensor) and text.shape == (tokens.shape[0], tokens.shape[1] + n_new)
        seen["the prompt, and so many tokens more"] = is_longer and torch.equal(text[:, : tokens.shape[1]], tokens)
        unwatched = make_model(case)
        seen |= repeats(
            function,
            lambda generator: function(unwatched, tokens.clone(), n_new, options, generator=generator),
            is_same=torch.equal,
        )
    return seen | {"reads each token at most once": sum(read) <= tokens.shape[0] * (tokens.shape[1] + n_new)}


def generate_by_list(model: Any, tokens: Tensor, max_new_tokens: int, options: Any = GREEDY) -> Tensor:
    """Each text with a cache of its own."""
    texts = []
    for text in tokens:
        cache = KVCache(model.cfg.n_layers)
        unread = text
        for _ in range(max_new_tokens):
            logits = forward_with_cache(model, unread[None], cache)[0, -1]
            unread = torch.tensor([sample_next_token(text, logits, options)])
            text = torch.cat([text, unread])
        texts.append(text)
    return torch.stack(texts)


test_generate_with_cache = exercise(
    reference=generate_with_cache,
    cases=generate_cases,
    observe=generated,
    accepts=[lambda m, t, n, o=GREEDY: generate_by_list(m, t, n, o)],
    mistakes=[
        Mistake(
            "reads the whole text again at each step",
            "    unread = tokens\n    for _ in range(max_new_tokens):\n",
            "    for _ in range(max_new_tokens):\n        cache = KVCache(model.cfg.n_layers)\n        unread = tokens\n",
            why="the result is right, but each token is read again and again: the cache is there to spare that",
        ),
        Mistake(
            "reads the first position's logits",
            "cache)[:, -1]",
            "cache)[:, 0]",
            why="the last position predicts the next token",
        ),
        Mistake(
            "returns the new tokens only",
            "    return tokens\n",
            "    return tokens[:, -max_new_tokens:]\n",
            why="the prompt is part of the result",
        ),
        Mistake(
            "stops one token early",
            "range(max_new_tokens)",
            "range(max_new_tokens - 1)",
            why="max_new_tokens are to be added, counted from the prompt",
        ),
        Mistake(
            "ignores the options",
            "sample_next_token(text, row, options, generator=generator)",
            "sample_next_token(text, row, GREEDY, generator=generator)",
            why="each token is chosen as the options say",
        ),
        IGNORES_THE_GENERATOR,
    ],
)
