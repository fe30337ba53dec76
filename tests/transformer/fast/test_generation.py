import pytest
import torch

from arena_lib.errors import DtypeError, ShapeError, TokenError
from arena_lib.transformer import lesson
from arena_lib.transformer.fast.generation import StaticKVCache, choose_tokens, generate
from arena_lib.transformer.fast.gpt2 import GPT2, GPT2Config
from arena_lib.transformer.fast.llama import Llama
from arena_lib.transformer.kv_cache import KVCache, generate_with_cache
from arena_lib.transformer.lesson_llama import LlamaConfig
from arena_lib.transformer.sampling import SamplingConfig, sample_next_token

SIZES = {"d_model": 10, "d_vocab": 13, "n_ctx": 9, "n_layers": 2, "n_heads": 2, "d_head": 4, "d_mlp": 14}
PROMPTS = torch.tensor([[1, 12, 3, 4], [7, 0, 2, 2], [5, 6, 11, 8]])


def make_gpt2():
    return GPT2(GPT2Config(init_range=0.7, **SIZES), generator=torch.Generator().manual_seed(0)).double()


def by_rereading(model, tokens, n_new):
    with torch.no_grad():
        for _ in range(n_new):
            tokens = torch.cat([tokens, model(tokens)[:, -1].argmax(dim=-1, keepdim=True)], dim=1)
    return tokens


@pytest.mark.parametrize("form", ["gpt2", "llama"])
def test_generation_agrees_with_reading_everything_again(form):
    llama = Llama(LlamaConfig(init_range=0.7, n_kv_heads=1, **SIZES), generator=torch.Generator().manual_seed(1))
    model = make_gpt2() if form == "gpt2" else llama.double()
    generated = generate(model, PROMPTS, 6)
    assert torch.equal(generated, by_rereading(model, PROMPTS, 6))
    assert torch.equal(generate(model, PROMPTS, 0), PROMPTS)


@pytest.mark.parametrize(
    "options",
    [
        SamplingConfig(),
        SamplingConfig(temperature=1.7),
        SamplingConfig(frequency_penalty=0.8, temperature=0.6),
        SamplingConfig(top_k=3),
        SamplingConfig(top_k=1, temperature=2.0),
        SamplingConfig(top_k=99),
        SamplingConfig(top_p=0.6),
        SamplingConfig(top_p=0.9, temperature=1.5, frequency_penalty=-0.5),
        SamplingConfig(top_p=1e-9),
        SamplingConfig(temperature=0.0, frequency_penalty=2.0),
    ],
    ids=str,
)
def test_each_token_is_chosen_as_often_as_for_one_text(options):
    n = 20_000
    logits, text = torch.tensor([0.3, 2.0, -1.0, 1.2, 0.9]), torch.tensor([1, 4, 1])
    chosen = choose_tokens(text.expand(n, -1), logits.expand(n, -1), options, torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(1)
    singly = torch.tensor([sample_next_token(text, logits, options, generator) for _ in range(n // 4)])
    shares, expected = (torch.bincount(draws, minlength=5) / len(draws) for draws in (chosen, singly))
    assert (shares > 0).tolist() == (expected > 0).tolist()
    # Three standard deviations of the difference of two shares.
    torch.testing.assert_close(shares, expected, rtol=0, atol=3 * (0.25 / n + 0.25 / (n // 4)) ** 0.5)


def test_each_text_has_its_own_logits_and_its_own_penalty():
    logits = torch.tensor([[0.0, 3.0, 2.0], [5.0, 1.0, 4.0]])
    greedy = SamplingConfig(temperature=0.0, frequency_penalty=1.5)
    assert choose_tokens(torch.tensor([[1, 1], [2, 1]]), logits, greedy).tolist() == [2, 0]
    assert choose_tokens(torch.tensor([[1, 1], [2, 1]], dtype=torch.int32), logits, greedy).tolist() == [2, 0]
    options = SamplingConfig(top_k=1)
    assert choose_tokens(torch.tensor([[1], [2]]), logits, options).tolist() == [1, 0]
    assert choose_tokens(torch.tensor([[1], [2]]), logits, SamplingConfig(top_p=0.1)).tolist() == [1, 0]


def test_draws_follow_the_generator_and_nothing_else():
    model, options = make_gpt2(), SamplingConfig(temperature=2.0)
    state = torch.get_rng_state()
    texts = [generate(model, PROMPTS, 5, options, generator=torch.Generator().manual_seed(i)) for i in (3, 3, 4)]
    assert torch.equal(texts[0], texts[1])
    assert not torch.equal(texts[0], texts[2])
    assert torch.equal(torch.get_rng_state(), state)


def test_greedy_generation_is_the_lesson_forms():
    model = make_gpt2()
    plain = lesson.DemoTransformer(lesson.Config(**SIZES)).double()
    plain.load_state_dict(model.state_dict())
    options = SamplingConfig(temperature=0.0, frequency_penalty=0.5)
    assert torch.equal(generate(model, PROMPTS, 5, options), generate_with_cache(plain, PROMPTS, 5, options))


def test_the_cache_takes_its_memory_once():
    cache = StaticKVCache(n_layers=2, n_max=5)
    assert cache.n_seen == 0
    parts = [torch.randn(3, n, 2, 4, generator=torch.Generator().manual_seed(n)) for n in (2, 1, 2)]
    for n_seen, part in zip((2, 3, 5), parts, strict=True):
        keys, values = cache.extend(0, part, -part)
        assert keys.shape == (3, n_seen, 2, 4)
        assert cache.n_seen == n_seen
    assert torch.equal(keys, torch.cat(parts, dim=1))
    assert torch.equal(values, -torch.cat(parts, dim=1))
    first = cache.extend(1, parts[0], parts[0])[0]
    assert cache.extend(1, parts[1], parts[1])[0].data_ptr() == first.data_ptr() != keys.data_ptr()


def test_generation_reads_each_token_once():
    model, read = make_gpt2(), []
    model.embed.register_forward_pre_hook(lambda module, args: read.append(args[0].shape[1]))
    generate(model, PROMPTS, 4)
    assert read == [4, 1, 1, 1]


def test_each_sequence_ends_with_its_first_new_end_token():
    model = make_gpt2()
    options = SamplingConfig(temperature=5.0)
    free = generate(model, PROMPTS, 6, options, generator=torch.Generator().manual_seed(0))
    eos_token_id = int(free[0, 5])
    ended = generate(model, PROMPTS, 6, options, eos_token_id, torch.Generator().manual_seed(0))
    ends = []
    for row in range(3):
        is_end = free[row, 4:].tolist()
        ends.append(4 + is_end.index(eos_token_id) + 1 if eos_token_id in is_end else 10)
        assert torch.equal(ended[row, : ends[row]], free[row, : ends[row]])
        assert (ended[row, ends[row] :] == eos_token_id).all()
    assert len(set(ends)) > 1
    assert ended.shape[1] == max(ends)


def test_generation_stops_when_every_sequence_has_ended():
    model = make_gpt2()
    first = int(generate(model, PROMPTS[:1], 1)[0, -1])
    assert generate(model, PROMPTS[:1], 6, eos_token_id=first).shape == (1, 5)


def test_an_end_token_in_the_prompt_ends_nothing():
    model = make_gpt2()
    assert generate(model, PROMPTS[:1], 2, eos_token_id=12).shape == (1, 6)


def test_generation_must_fit_into_the_context():
    with pytest.raises(TokenError, match="context of 9 tokens: got a prompt of 4 and max_new_tokens=7"):
        generate(make_gpt2(), PROMPTS, 7)


def test_what_is_written_can_be_trained_on():
    model = make_gpt2()
    plain = lesson.DemoTransformer(lesson.Config(**SIZES)).double()
    for written_by, written in ((model, generate(model, PROMPTS, 3)), (plain, generate_with_cache(plain, PROMPTS, 3))):
        written[:, 0] = 2
        written_by(written).sum().backward()
        assert written_by.embed.W_E.grad.any()
    ended = generate(model, PROMPTS[:1], 3, eos_token_id=int(generate(model, PROMPTS[:1], 1)[0, -1]))
    assert ended.shape == (1, 5)
    model(ended).sum().backward()


@pytest.mark.usefixtures("without_types")
def test_a_prompt_needs_a_batch_axis_and_whole_numbers():
    with pytest.raises(ShapeError, match=r"must have the axes 'batch seq': got a tensor of shape \(4,\)"):
        generate(make_gpt2(), PROMPTS[0], 3)
    with pytest.raises(DtypeError, match=r"token ids must be int64 or int32: got torch\.int16"):
        generate(make_gpt2(), PROMPTS.short(), 3)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_top_p_keeps_at_least_top_p_whatever_the_dtype(dtype):
    logits = (torch.randn(1, 20_000, generator=torch.Generator().manual_seed(0)) * 0.1).to(dtype)
    probabilities = logits.double().softmax(dim=-1)[0]
    kept = []
    original = torch.multinomial

    def watch(drawn_from, **kwargs):
        kept.append(int((drawn_from[0] > 0).sum()))
        return original(drawn_from, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "multinomial", watch)
        for top_p in (0.9, 0.99, 1.0):
            choose_tokens(torch.tensor([[0]]), logits, SamplingConfig(top_p=top_p))
    sums = probabilities.sort(descending=True).values.cumsum(dim=0)
    assert all(sums[n - 1] > top_p - 1e-5 for n, top_p in zip(kept, (0.9, 0.99, 1.0), strict=True))
    assert kept[2] == 20_000


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
@pytest.mark.parametrize("temperature", [1e-3, 1e-30])
def test_a_tiny_temperature_is_the_most_likely_token(dtype, temperature):
    logits = torch.tensor([[80.0, 90.0, -5.0]], dtype=dtype)
    for choice in ({}, {"top_k": 2}, {"top_p": 0.9}):
        options = SamplingConfig(temperature=temperature, **choice)
        assert choose_tokens(torch.tensor([[0]]), logits, options).tolist() == [1]


@pytest.mark.parametrize("make_cache", [KVCache, lambda n_layers: StaticKVCache(n_layers, 9)])
def test_a_cache_that_does_not_fit_is_refused(make_cache):
    model = make_gpt2()
    cache = make_cache(2)
    model(PROMPTS, kv_cache=cache)
    with pytest.raises(ShapeError, match="must hold as many texts as the batch has, 2: got 3"):
        model(PROMPTS[:2], kv_cache=cache)
    with pytest.raises(ShapeError, match="must have room for every layer: got one of 1 layer for layer 1"):
        model(PROMPTS, kv_cache=make_cache(1))


@pytest.mark.parametrize("make_cache", [KVCache, lambda n_layers: StaticKVCache(n_layers, 9)])
def test_a_cache_that_a_failed_pass_left_is_refused(make_cache):
    model, cache = make_gpt2(), make_cache(2)

    def fail(tensor, hook):
        raise RuntimeError("stop here")

    with pytest.raises(RuntimeError, match="stop here"), model.hooks([("blocks.1.attn.hook_q", fail)]):
        model(PROMPTS, kv_cache=cache)
    with pytest.raises(ShapeError, match=r"got 4 in layer 0 and 0 in layer 1\. A pass that failed or stopped early"):
        model(PROMPTS[:, :1], kv_cache=cache)
    resumed = make_cache(2)
    for part in (PROMPTS, PROMPTS[:, :1]):
        model(part, kv_cache=resumed, stop_at_layer=1)
    assert resumed.n_seen == 5
