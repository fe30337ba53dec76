"""What learners hand in for the KV cache exercises: right in other ways, and wrong."""

import importlib

import torch

from arena_lib.checking import run
from arena_lib.transformer.kv_cache import KVCache, forward_with_cache
from arena_lib.transformer.sampling import GREEDY, sample_next_token

judges = importlib.import_module("arena_lib.tests.transformer_from_scratch")


class CacheWithHstack:
    """Returns a list, and joins along the positions by hstack."""

    def __init__(self, n_layers):
        self.keys, self.values = [None] * n_layers, [None] * n_layers

    @property
    def n_seen(self):
        return 0 if self.keys[0] is None else self.keys[0].size(1)

    def extend(self, layer, k, v):
        for store, new in ((self.keys, k), (self.values, v)):
            store[layer] = new if store[layer] is None else torch.hstack((store[layer], new))
        return [self.keys[layer], self.values[layer]]


class CacheThatReturnsTheNewPart(CacheWithHstack):
    def extend(self, layer, k, v):
        super().extend(layer, k, v)
        return k, v


def attend_heads_first(attn, x, cache, layer, with_key_bias=True, root=lambda d: d**0.5):
    q, k, v = (
        x.unsqueeze(1) @ getattr(attn, f"W_{n}") + getattr(attn, f"b_{n}").unsqueeze(1) * (n != "K" or with_key_bias)
        for n in "QKV"
    )
    n_old = 0 if cache.keys[layer] is None else cache.keys[layer].shape[1]
    k, v = (t.transpose(1, 2) for t in cache.extend(layer, k.transpose(1, 2), v.transpose(1, 2)))
    position = torch.arange(n_old, n_old + x.shape[1])
    hidden = torch.arange(k.shape[2]) > position[:, None]
    scores = (q @ k.mT / root(attn.cfg.d_head)).masked_fill(hidden, -torch.inf)
    return (scores.softmax(-1) @ v @ attn.W_O).sum(1) + attn.b_O


def generate(model, tokens, n, options=GREEDY, generator=None):
    cache, unread = KVCache(len(model.blocks)), tokens
    with torch.no_grad():
        for _ in range(n):
            logits = forward_with_cache(model, unread, cache)[:, -1, :]
            chosen = [
                sample_next_token(*pair, options, generator=generator) for pair in zip(tokens, logits, strict=True)
            ]
            unread = torch.tensor(chosen)[:, None]
            tokens = torch.hstack([tokens, unread])
    return tokens


def generate_without_generator(model, tokens, n, options=GREEDY, generator=None):
    return generate(model, tokens, n, options)


def test_correct_ones_pass():
    assert run(judges.test_kv_cache, CacheWithHstack).status == "passed"
    assert run(judges.test_attend_with_cache, attend_heads_first).status == "passed"
    assert run(judges.test_generate_with_cache, generate).status == "passed"


def test_returning_the_new_part_is_named():
    assert run(judges.test_kv_cache, CacheThatReturnsTheNewPart).diagnosis.mistake == "returns the new part only"


def test_keys_kept_without_their_bias_are_seen():
    result = run(judges.test_attend_with_cache, lambda a, x, c, i: attend_heads_first(a, x, c, i, with_key_bias=False))
    assert result.diagnosis.mistake == "stores keys without their bias"


def test_an_ignored_generator_is_named():
    result = run(judges.test_generate_with_cache, generate_without_generator)
    assert result.diagnosis.mistake == "ignores the generator"


def extend_along(dim):
    def extend(self, layer, k, v):
        for store, new in ((self.keys, k), (self.values, v)):
            store[layer] = new if store[layer] is None else torch.cat((store[layer], new), dim)
        return self.keys[layer], self.values[layer]

    return type("KVCache", (CacheWithHstack,), {"extend": extend})


def test_a_cache_that_joins_along_another_axis_is_named():
    assert run(judges.test_kv_cache, extend_along(-3)).status == "passed"
    assert run(judges.test_kv_cache, extend_along(0)).diagnosis.mistake == "joins along the batch"
    assert run(judges.test_kv_cache, extend_along(-2)).diagnosis.mistake == "joins along the heads"


def test_scores_divided_by_half_of_d_head_fail():
    result = run(judges.test_attend_with_cache, lambda *args: attend_heads_first(*args, root=lambda d: d * 0.5))
    assert result.status == "failed"
