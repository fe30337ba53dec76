import pytest
import torch

from arena_lib.errors import TokenError
from arena_lib.transformer import lesson
from arena_lib.transformer.fast.gpt2 import GPT2, GPT2Config
from arena_lib.transformer.fast.llama import Llama
from arena_lib.transformer.kv_cache import (
    KVCache,
    attend_with_cache,
    cached_causal_mask,
    forward_with_cache,
    generate_with_cache,
)
from arena_lib.transformer.lesson_llama import LlamaConfig
from arena_lib.transformer.sampling import SamplingConfig, sample_next_token

SIZES = lesson.Config(d_model=10, d_vocab=13, n_ctx=9, n_layers=3, n_heads=2, d_head=5, d_mlp=14)


def make(module_class, seed=0):
    torch.manual_seed(seed)
    module = module_class(SIZES).double().requires_grad_(False)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, mean=0.1, std=0.6)
    return module


def random_tokens(batch=3, seq=8):
    return torch.randint(SIZES.d_vocab, (batch, seq), generator=torch.Generator().manual_seed(1))


def test_cache_appends_behind_each_layer_by_itself():
    cache = KVCache(2)
    assert cache.n_seen == 0
    first, second = torch.randn(2, 3, 4, 5), torch.randn(2, 1, 4, 5)
    k, v = cache.extend(0, first, -first)
    assert torch.equal(k, first)
    assert torch.equal(v, -first)
    assert cache.n_seen == 3
    k, v = cache.extend(0, second, -second)
    assert torch.equal(k, torch.cat([first, second], dim=1))
    assert torch.equal(v, -torch.cat([first, second], dim=1))
    assert cache.keys[0] is k
    assert cache.values[0] is v
    assert cache.n_seen == 4
    assert cache.keys[1] is cache.values[1] is None
    k, v = cache.extend(1, second, first[:, :1])
    assert torch.equal(k, second)
    assert torch.equal(v, first[:, :1])


@pytest.mark.parametrize(("seq_q", "seq_k"), [(1, 1), (1, 5), (2, 5), (4, 4)])
def test_cached_mask_is_the_last_rows_of_the_whole_mask(seq_q, seq_k):
    scores = torch.randn(2, 3, seq_k, seq_k)
    before = scores.clone()
    expected = lesson.causal_mask(scores)[:, :, seq_k - seq_q :]
    assert torch.equal(cached_causal_mask(scores[:, :, seq_k - seq_q :]), expected)
    assert torch.equal(scores, before)


def test_cached_mask_is_made_where_the_scores_are():
    assert cached_causal_mask(torch.ones(1, 2, 2, 3, device="meta")).device.type == "meta"


@pytest.mark.parametrize("pieces", [[8], [1] * 8, [3, 1, 4], [5, 3]])
def test_attention_in_pieces_is_attention_at_once(pieces):
    attn, cache = make(lesson.Attention), KVCache(2)
    x = torch.randn(3, 8, SIZES.d_model, dtype=torch.float64)
    parts = [attend_with_cache(attn, piece, cache, 1) for piece in x.split(pieces, dim=1)]
    torch.testing.assert_close(torch.cat(parts, dim=1), attn(x), rtol=0, atol=1e-12)
    assert cache.keys[0] is None
    for held, weight, bias in [(cache.keys[1], attn.W_K, attn.b_K), (cache.values[1], attn.W_V, attn.b_V)]:
        for head_idx in range(SIZES.n_heads):
            torch.testing.assert_close(held[:, :, head_idx], x @ weight[head_idx] + bias[head_idx])


@pytest.mark.parametrize("pieces", [[8], [1] * 8, [3, 1, 4]])
def test_logits_in_pieces_are_logits_at_once(pieces):
    model, cache, tokens = make(lesson.DemoTransformer), KVCache(SIZES.n_layers), random_tokens()
    parts = [forward_with_cache(model, piece, cache) for piece in tokens.split(pieces, dim=1)]
    torch.testing.assert_close(torch.cat(parts, dim=1), model(tokens), rtol=0, atol=1e-11)
    assert cache.n_seen == 8


def generate_without_cache(model, tokens, n_new, options, generator=None):
    for _ in range(n_new):
        logits = model(tokens)[:, -1]
        chosen = [sample_next_token(text, row, options, generator) for text, row in zip(tokens, logits, strict=True)]
        tokens = torch.cat([tokens, torch.tensor(chosen)[:, None]], dim=1)
    return tokens


def test_generation_is_greedy_unless_told_otherwise_and_needs_no_cache_to_agree():
    model, tokens = make(lesson.DemoTransformer), random_tokens(seq=4)
    generated = generate_with_cache(model, tokens, 5)
    assert torch.equal(generated, generate_without_cache(model, tokens, 5, SamplingConfig(temperature=0.0)))
    assert torch.equal(generated[:, :4], tokens)
    assert torch.equal(generate_with_cache(model, tokens, 0), tokens)


def test_generation_draws_as_its_options_say():
    model, tokens = make(lesson.DemoTransformer), random_tokens(seq=2)
    options = SamplingConfig(temperature=1.5, frequency_penalty=0.7)
    drawn = [
        generate(model, tokens, 6, options, torch.Generator().manual_seed(4))
        for generate in (generate_with_cache, generate_without_cache)
    ]
    assert torch.equal(*drawn)
    assert not torch.equal(drawn[0], generate_with_cache(model, tokens, 6))


def test_generation_reads_each_token_once():
    model, tokens = make(lesson.DemoTransformer), random_tokens(seq=4)
    read = []
    model.embed.register_forward_pre_hook(lambda module, args: read.append((args[0].shape[1], torch.is_grad_enabled())))
    generate_with_cache(model, tokens, 4)
    assert read == [(4, False), (1, False), (1, False), (1, False)]


def test_generation_must_fit_into_the_context():
    model, tokens = make(lesson.DemoTransformer), random_tokens(seq=4)
    assert generate_with_cache(model, tokens, 6).shape == (3, 10)
    with pytest.raises(TokenError, match="context of 9 tokens: got a prompt of 4 and max_new_tokens=7"):
        generate_with_cache(model, tokens, 7)


@pytest.mark.parametrize("pieces", [[8], [1] * 8, [3, 1, 4]])
@pytest.mark.parametrize("form", ["gpt2", "llama"])
def test_cache_serves_the_fast_forms_too(form, pieces):
    sizes = {"d_model": 10, "d_vocab": 13, "n_ctx": 9, "n_layers": 3, "d_head": 4, "d_mlp": 14, "init_range": 0.6}
    if form == "gpt2":
        model = GPT2(GPT2Config(n_heads=2, **sizes)).double()
    else:
        model = Llama(LlamaConfig(n_heads=4, n_kv_heads=2, **sizes)).double()
    cache, tokens = KVCache(3), random_tokens()
    with torch.no_grad():
        parts = [model(piece, kv_cache=cache) for piece in tokens.split(pieces, dim=1)]
        torch.testing.assert_close(torch.cat(parts, dim=1), model(tokens), rtol=0, atol=1e-11)
    assert cache.n_seen == 8
