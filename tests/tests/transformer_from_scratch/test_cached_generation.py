"""What learners hand in for writing texts with the KV cache: right in other ways, and wrong."""

import importlib

import torch

from arena_lib.checking import run
from arena_lib.transformer.kv_cache import KVCache, forward_with_cache
from arena_lib.transformer.sampling import GREEDY, sample_next_token

judges = importlib.import_module("arena_lib.tests.transformer_from_scratch")


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


def test_correct_loop_passes():
    assert run(judges.test_generate_with_cache, generate).status == "passed"


def test_an_ignored_generator_is_named():
    result = run(judges.test_generate_with_cache, generate_without_generator)
    assert result.diagnosis.mistake == "ignores the generator"
