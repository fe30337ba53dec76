import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import TopKLogitsWarper, TopPLogitsWarper

from arena_lib.errors import ConfigError, TokenError
from arena_lib.transformer import lesson, sampling
from arena_lib.transformer.sampling import SamplingConfig, TransformerSampler

N_DRAWS = 1600
# Five standard deviations of the frequency of a token of probability 1/2; the draws are seeded.
TOLERANCE = 5 * (0.25 / N_DRAWS) ** 0.5


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def random_logits(d_vocab=7, seed=0):
    return 1.5 * torch.randn(d_vocab, generator=generator(seed), dtype=torch.float64)


def frequencies(draw, d_vocab):
    """How often each token is drawn; `draw` is called with a generator."""
    source = generator(1)
    drawn = [draw(source) for _ in range(N_DRAWS)]
    assert all(type(token) is int for token in drawn)
    return torch.bincount(torch.tensor(drawn), minlength=d_vocab).double() / N_DRAWS


def assert_draws_like(observed, logits):
    """Frequencies are those of softmax(logits), and a token of probability 0 never occurs."""
    expected = logits.softmax(dim=-1)
    torch.testing.assert_close(observed, expected, rtol=0, atol=TOLERANCE)
    assert (observed[expected == 0] == 0).all()


def test_greedy_search_takes_the_largest_logit():
    assert sampling.greedy_search(torch.tensor([-5.0, -1.0, -2.0])) == 1


def test_sample_basic_draws_with_softmax():
    logits = random_logits()
    assert_draws_like(frequencies(lambda source: sampling.sample_basic(logits, generator=source), 7), logits)


@pytest.mark.parametrize(
    "draw",
    [
        lambda logits, source: sampling.sample_basic(logits, generator=source),
        lambda logits, source: sampling.sample_top_k(logits, 60, generator=source),
        lambda logits, source: sampling.sample_top_p(logits, 0.99, generator=source),
        lambda logits, source: sampling.sample_next_token(
            torch.tensor([1]), logits, SamplingConfig(), generator=source
        ),
    ],
)
def test_the_generator_is_the_only_source_of_randomness(draw):
    logits = torch.zeros(100)
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first = [draw(logits, generator(3)) for _ in range(3)]
    assert torch.equal(torch.random.get_rng_state(), before)
    assert len(set(first)) == 1
    assert len({draw(logits, generator(seed)) for seed in range(9)}) > 3


@pytest.mark.parametrize(("temperature", "expected"), [(2.0, [1.0, -2.0]), (0.25, [8.0, -16.0])])
def test_temperature_divides(temperature, expected):
    logits = torch.tensor([2.0, -4.0])
    assert sampling.apply_temperature(logits, temperature).tolist() == expected
    assert logits.tolist() == [2.0, -4.0]


def test_frequency_penalty_counts_occurrences():
    logits = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0])
    penalised = sampling.apply_frequency_penalty(torch.tensor([1, 3, 1, 1]), logits, 0.5)
    assert penalised.tolist() == [1.0, 0.5, 3.0, 3.5, 5.0]
    assert logits.tolist() == [1.0, 2.0, 3.0, 4.0, 5.0]
    nothing_yet = torch.tensor([], dtype=torch.long)
    assert torch.equal(sampling.apply_frequency_penalty(nothing_yet, logits, 2.0), logits)


@pytest.mark.parametrize("k", [1, 2, 4, 7, 50])
def test_top_k_draws_like_the_warper_of_transformers(k):
    logits = random_logits()
    observed = frequencies(lambda source: sampling.sample_top_k(logits, k, generator=source), 7)
    warped = TopKLogitsWarper(k)(torch.empty(1, 0, dtype=torch.long), logits[None])[0]
    assert_draws_like(observed, warped)
    assert (observed > 0).sum() == min(k, 7)


@pytest.mark.parametrize(("top_p", "min_tokens_to_keep"), [(0.0, 1), (0.3, 1), (0.7, 1), (0.9, 1), (0.3, 4), (1.0, 1)])
def test_top_p_draws_like_the_warper_of_transformers(top_p, min_tokens_to_keep):
    logits = random_logits()
    observed = frequencies(lambda source: sampling.sample_top_p(logits, top_p, min_tokens_to_keep, generator=source), 7)
    warper = TopPLogitsWarper(top_p, min_tokens_to_keep=min_tokens_to_keep)
    warped = warper(torch.empty(1, 0, dtype=torch.long), logits[None])[0]
    assert_draws_like(observed, warped)
    assert (observed > 0).sum() == (warped > -torch.inf).sum()


@pytest.mark.parametrize(("top_p", "kept"), [(0.5, {2}), (0.51, {2, 0}), (0.75, {2, 0}), (0.76, {2, 0, 3})])
def test_top_p_keeps_the_token_that_reaches_the_line_exactly(top_p, kept):
    logits = torch.tensor([0.25, 0.0625, 0.5, 0.1875]).log()
    observed = frequencies(lambda source: sampling.sample_top_p(logits, top_p, generator=source), 4)
    assert set(observed.nonzero().flatten().tolist()) == kept


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_top_p_keeps_at_least_top_p_whatever_the_dtype(dtype, monkeypatch):
    logits = (torch.randn(20_000, generator=torch.Generator().manual_seed(0)) * 0.1).to(dtype)
    kept = []
    monkeypatch.setattr(sampling, "sample_basic", lambda kept_logits, generator: kept.append(len(kept_logits)) or 0)
    for top_p in (0.9, 0.99, 1.0):
        sampling.sample_top_p(logits, top_p)
    sums = logits.double().softmax(dim=-1).sort(descending=True).values.cumsum(dim=0)
    assert all(sums[n - 1] > top_p - 1e-4 for n, top_p in zip(kept, (0.9, 0.99, 1.0), strict=True))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"temperature": -0.5}, r"temperature must be finite and at least 0: got -0\.5"),
        ({"temperature": float("nan")}, "temperature must be finite and at least 0: got nan"),
        ({"temperature": float("inf")}, "temperature must be finite and at least 0: got inf"),
        ({"temperature": 1e-38}, "temperature must be 0 or at least 1e-30, .*: got 1e-38"),
        ({"frequency_penalty": float("nan")}, "frequency_penalty must be finite: got nan"),
        ({"frequency_penalty": float("-inf")}, "frequency_penalty must be finite: got -inf"),
        ({"top_k": -1}, "top_k must be a whole number of at least 0: got -1"),
        ({"top_p": 1.1}, r"top_p must be between 0 and 1: got 1\.1"),
        ({"top_p": -0.1}, r"top_p must be between 0 and 1: got -0\.1"),
        ({"top_k": 3, "top_p": 0.5}, r"not be used together: got top_k=3 and top_p=0\.5"),
    ],
)
def test_options_that_cannot_work_are_rejected(fields, message):
    with pytest.raises(ConfigError, match=message):
        SamplingConfig(**fields)


def test_options_at_their_bounds_work():
    assert SamplingConfig(temperature=0.0, top_p=1.0).top_p == 1.0
    with pytest.raises(TypeError):
        SamplingConfig(0.5)


def test_next_token_is_greedy_at_temperature_zero_after_the_penalty():
    logits = torch.tensor([1.0, 5.0, 4.0])
    seen = torch.tensor([1, 1, 0])
    assert sampling.sample_next_token(seen, logits, sampling.GREEDY) == 1
    assert sampling.sample_next_token(seen, logits, SamplingConfig(temperature=0.0, frequency_penalty=0.6)) == 2


@pytest.mark.parametrize(
    ("fields", "warp"),
    [
        ({}, lambda logits: logits),
        ({"temperature": 0.5}, lambda logits: logits / 0.5),
        ({"temperature": 2.0, "top_k": 3}, lambda logits: TopKLogitsWarper(3)(None, logits[None] / 2)[0]),
        ({"temperature": 2.0, "top_p": 0.6}, lambda logits: TopPLogitsWarper(0.6)(None, logits[None] / 2)[0]),
        (
            {"temperature": 0.5, "frequency_penalty": 1.5},
            lambda logits: (logits - 1.5 * torch.tensor([0, 2, 0, 0, 1, 0, 0])) / 0.5,
        ),
    ],
)
def test_next_token_applies_penalty_then_temperature_then_the_cut(fields, warp):
    logits, seen = random_logits(), torch.tensor([1, 4, 1])
    observed = frequencies(
        lambda source: sampling.sample_next_token(seen, logits, SamplingConfig(**fields), generator=source), 7
    )
    assert_draws_like(observed, warp(logits))


class Letters:
    """Each letter of the alphabet is a token."""

    eos_token_id = 25

    def encode(self, text: str) -> list[int]:
        return [ord(letter) - ord("a") for letter in text]

    def decode(self, ids: list[int]) -> str:
        return "".join(chr(token + ord("a")) for token in ids)


def next_letter_model(tokens):
    """Certain that each letter is followed by the next one of the alphabet."""
    return 100.0 * torch.nn.functional.one_hot((tokens + 1) % 26, 26).float()


def test_sampler_appends_until_it_has_enough():
    sampler = TransformerSampler(next_letter_model, Letters())
    assert sampler.sample("ab", max_tokens_generated=3) == "abcde"
    assert sampler.sample("ab", 0) == "ab"


def test_sampler_stops_at_the_end_token_and_leaves_it_out():
    assert TransformerSampler(next_letter_model, Letters()).sample("w", max_tokens_generated=9) == "wxy"


def test_sampler_passes_its_options_on():
    sampler = TransformerSampler(lambda tokens: torch.zeros(*tokens.shape, 26), Letters())
    texts = {sampler.sample("a", 12, generator=generator(seed)) for seed in range(3)}
    assert len(texts) == 3
    assert sampler.sample("abc", 4, temperature=0.0, frequency_penalty=1.0)[3] not in "abc"
    once_each = sampler.sample("a", 20, temperature=0.0, frequency_penalty=1.0)
    assert len(set(once_each)) == len(once_each)
    with pytest.raises(TypeError, match="top_q"):
        sampler.sample("a", top_q=3)


def test_sampler_shows_the_model_at_most_n_ctx_tokens():
    cfg = lesson.Config(d_model=4, d_vocab=26, n_ctx=5, n_layers=1, n_heads=1, d_head=2, d_mlp=3)
    torch.manual_seed(0)
    model = lesson.DemoTransformer(cfg)
    lengths = []
    model.register_forward_pre_hook(lambda module, args: lengths.append(args[0].shape))
    tokenizer = Letters()
    tokenizer.eos_token_id = None
    text = TransformerSampler(model, tokenizer).sample("abcd", 4, temperature=0.0)
    assert lengths == [(1, 4), (1, 5), (1, 5), (1, 5)]
    expected = sampling.greedy_search(model(torch.tensor([tokenizer.encode(text[2:7])]))[0, -1])
    assert tokenizer.encode(text)[7] == expected


def test_sampler_takes_tokenizers_of_the_tokenizers_library():
    words = Tokenizer(models.WordLevel({letter: idx for idx, letter in enumerate("abcdef")}, unk_token="a"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    sampler = TransformerSampler(next_letter_model, words)
    assert sampler.encode("c d").tolist() == [2, 3]
    assert sampler.sample("a b", 2) == "a b c d"


def test_sampler_needs_a_prompt():
    with pytest.raises(TokenError, match="a prompt must hold at least one token: got ''"):
        TransformerSampler(next_letter_model, Letters()).sample("")


def test_verbose_draws_a_bar_and_changes_nothing_else(capsys, monkeypatch):
    monkeypatch.setenv("ARENA_QUIET", "0")
    sampler = TransformerSampler(next_letter_model, Letters())
    sampler.sample("ab", 3)
    assert capsys.readouterr() == ("", "")
    assert sampler.sample("ab", 3, True) == "abcde"
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "sampling" in shown.err


def test_sampler_finds_likely_texts_by_beam_search():
    sampler = TransformerSampler(next_letter_model, Letters())
    [(logprob, text)] = sampler.beam_search("ab", n_beams=3, max_tokens_generated=4)
    assert text == "abcdef"
    assert logprob == pytest.approx(0.0, abs=1e-4)
    texts = [text for _, text in sampler.beam_search("v", n_beams=3, max_tokens_generated=9, n_return=2)]
    assert texts[0] == "vwxyz"
    assert len(texts) == 2
