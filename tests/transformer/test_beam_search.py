import itertools
import math

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, NoRepeatNGramLogitsProcessor

from arena_lib.errors import ConfigError, TokenError
from arena_lib.transformer import lesson
from arena_lib.transformer.beam_search import Beams, ban_repeated_ngrams, beam_search, extend_beams


def make_model(d_vocab=6, n_ctx=12, scale=1.2, seed=0):
    """A small model with opinions: weights far from zero."""
    torch.manual_seed(seed)
    cfg = lesson.Config(
        d_model=8, d_vocab=d_vocab, n_ctx=n_ctx, n_layers=1, n_heads=2, d_head=3, d_mlp=10, init_range=scale
    )
    return lesson.DemoTransformer(cfg).double().requires_grad_(False)


def start(model, tokens, eos_token_id=None):
    tokens = torch.tensor([tokens])
    return Beams(
        model=model, tokens=tokens, logprob_sums=torch.zeros(1, dtype=torch.float64), eos_token_id=eos_token_id
    )


def logprob(model, prompt, added):
    """Log-probability of `added` behind `prompt`, by one forward pass."""
    logprobs = model(torch.tensor([[*prompt, *added]]))[0].log_softmax(dim=-1)
    return sum(logprobs[len(prompt) - 1 + i, token].item() for i, token in enumerate(added))


@pytest.mark.parametrize("ngram_size", [1, 2, 3, 4])
def test_ngram_ban_agrees_with_transformers(ngram_size):
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(3, (4, 9), generator=generator)
    logprobs = torch.randn(4, 5, generator=generator)
    before = logprobs.clone()
    expected = NoRepeatNGramLogitsProcessor(ngram_size)(tokens, logprobs.clone())
    assert torch.equal(ban_repeated_ngrams(logprobs, tokens, ngram_size), expected)
    assert torch.equal(logprobs, before)
    assert ngram_size == 4 or (expected == -torch.inf).any()


def test_ngram_ban_by_hand_looks_at_each_beam_by_itself():
    tokens = torch.tensor([[0, 1, 2, 0, 1], [2, 2, 2, 0, 1]])
    banned = ban_repeated_ngrams(torch.zeros(2, 4), tokens, 3) == -torch.inf
    assert banned.tolist() == [[False, False, True, False], [False] * 4]


def test_a_text_of_one_ngram_can_ban_already():
    banned = ban_repeated_ngrams(torch.zeros(1, 4), torch.tensor([[2, 2]]), 2) == -torch.inf
    assert banned.tolist() == [[False, False, True, False]]


def test_texts_shorter_than_an_ngram_ban_nothing():
    logprobs = torch.randn(1, 4)
    result = ban_repeated_ngrams(logprobs, torch.tensor([[1, 1]]), 3)
    assert torch.equal(result, logprobs)
    assert result is not logprobs


def test_generate_extends_each_beam_by_its_likeliest_tokens():
    model = make_model()
    beams = Beams(
        model=model,
        tokens=torch.tensor([[1, 2, 3], [4, 5, 0]]),
        logprob_sums=torch.tensor([-1.0, -2.0], dtype=torch.float64),
        eos_token_id=5,
    )
    longer = beams.generate(3)
    assert longer.tokens.shape == (6, 4)
    assert longer.eos_token_id == 5
    assert longer.model is model
    for parent_idx, (prompt, so_far) in enumerate([([1, 2, 3], -1.0), ([4, 5, 0], -2.0)]):
        ranked = sorted(range(6), key=lambda token, prompt=prompt: -logprob(model, prompt, [token]))
        for rank in range(3):
            child = 3 * parent_idx + rank
            assert longer.tokens[child].tolist() == [*prompt, ranked[rank]]
            expected = so_far + logprob(model, prompt, [ranked[rank]])
            assert longer.logprob_sums[child].item() == pytest.approx(expected)


def test_generate_takes_at_most_the_vocabulary_and_leaves_out_banned_tokens():
    beams = start(make_model(), [1, 2, 1])
    assert sorted(beams.generate(50).tokens[:, -1].tolist()) == [0, 1, 2, 3, 4, 5]
    assert sorted(beams.generate(50, 2).tokens[:, -1].tolist()) == [0, 1, 3, 4, 5]
    assert sorted(beams.generate(50, no_repeat_ngram_size=1).tokens[:, -1].tolist()) == [0, 3, 4, 5]


def test_filter_parts_the_best_beams_by_their_last_token():
    beams = Beams(
        model=lambda tokens: tokens,
        tokens=torch.tensor([[0, 1], [9, 2], [0, 9], [0, 4], [0, 9]]),
        logprob_sums=torch.tensor([-4.0, -2.0, -3.0, -1.0, -5.0]),
        eos_token_id=9,
    )
    unfinished, finished = beams.filter(4)
    assert unfinished.tokens.tolist() == [[0, 4], [9, 2], [0, 1]]
    assert unfinished.logprob_sums.tolist() == [-1.0, -2.0, -4.0]
    assert finished.tokens.tolist() == [[0, 9]]
    assert finished.logprob_sums.tolist() == [-3.0]
    unfinished, finished = beams.filter(20)
    assert finished.logprob_sums.tolist() == [-3.0, -5.0]
    assert unfinished.eos_token_id == finished.eos_token_id == 9


def test_filter_finishes_nothing_without_an_end_token():
    beams = Beams(model=lambda tokens: tokens, tokens=torch.tensor([[0], [1]]), logprob_sums=torch.tensor([-2.0, -1.0]))
    unfinished, finished = beams.filter(1)
    assert unfinished.tokens.tolist() == [[1]]
    assert finished.tokens.shape == (0, 1)


def all_texts(model, prompt, n_new, eos_token_id=None):
    """Every text of n_new tokens, or that ends before, with its log-probability, best first."""
    d_vocab = model.cfg.d_vocab
    texts = set()
    for added in itertools.product(range(d_vocab), repeat=n_new):
        end = added.index(eos_token_id) + 1 if eos_token_id in added else n_new
        texts.add(added[:end])
    return sorted([(logprob(model, prompt, added), [*prompt, *added]) for added in texts], reverse=True)


@pytest.mark.parametrize("eos_token_id", [None, 2])
def test_wide_search_finds_the_likeliest_of_all_texts(eos_token_id):
    model = make_model(d_vocab=4)
    found = beam_search(start(model, [1, 3], eos_token_id), n_beams=64, max_new_tokens=3, n_return=30)
    expected = all_texts(model, [1, 3], 3, eos_token_id)[:30]
    assert [text for _, text in found] == [text for _, text in expected]
    assert [score for score, _ in found] == pytest.approx([score for score, _ in expected])
    if eos_token_id is not None:
        assert len({len(text) for _, text in found}) > 1


def test_one_beam_is_greedy():
    model = make_model()
    tokens = torch.tensor([[1, 2]])
    for _ in range(5):
        tokens = torch.cat([tokens, model(tokens)[:, -1].argmax(dim=-1, keepdim=True)], dim=1)
    [(score, text)] = beam_search(start(model, [1, 2]), n_beams=1, max_new_tokens=5)
    assert text == tokens[0].tolist()
    assert score == pytest.approx(logprob(model, [1, 2], text[2:]))


@pytest.mark.parametrize(("n_beams", "no_repeat_ngram_size"), [(2, None), (4, None), (4, 2), (3, 1)])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_search_agrees_with_transformers(n_beams, no_repeat_ngram_size, seed):
    torch.manual_seed(seed)
    hf_model = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=11,
            n_positions=16,
            n_embd=8,
            n_layer=1,
            n_head=2,
            initializer_range=1.0,
            bos_token_id=None,
            eos_token_id=None,
            pad_token_id=0,
        )
    ).double()
    hf_model.eval()
    prompt = [3, 1, 4]
    theirs = hf_model.generate(
        torch.tensor([prompt]),
        attention_mask=torch.ones(1, 3, dtype=torch.long),
        num_beams=n_beams,
        num_return_sequences=n_beams,
        max_new_tokens=6,
        length_penalty=0.0,
        do_sample=False,
        no_repeat_ngram_size=no_repeat_ngram_size,
        return_dict_in_generate=True,
        output_scores=True,
    )
    with torch.no_grad():
        found = beam_search(
            start(lambda tokens: hf_model(tokens).logits, prompt), n_beams, 6, n_beams, no_repeat_ngram_size
        )
    assert [text for _, text in found] == theirs.sequences.tolist()
    torch.testing.assert_close(
        torch.tensor([score for score, _ in found]), theirs.sequences_scores.float(), rtol=0, atol=1e-5
    )


def chain(probabilities):
    """A model whose next token depends on the last one alone: row i of the table follows token i."""
    return lambda tokens: torch.tensor(probabilities, dtype=torch.float64).log()[tokens]


def test_search_stops_once_nothing_can_get_better():
    calls = []

    def model(tokens):
        calls.append(tokens.shape)
        return chain([[0.0, 0.3, 0.7], [0.0, 0.5, 0.5], [0.0, 0.0, 1.0]])(tokens)

    beams = start(model, [0], eos_token_id=2)
    [(score, text)] = beam_search(beams, n_beams=2, max_new_tokens=9)
    assert text == [0, 2]
    assert score == pytest.approx(torch.tensor(0.7).log().item())
    assert len(calls) == 1


def test_search_goes_on_while_an_unfinished_text_is_likelier():
    model = chain([[0.0, 0.6, 0.4], [0.0, 0.05, 0.95], [0.0, 0.0, 1.0]])
    [(score, text)] = beam_search(start(model, [0], eos_token_id=2), n_beams=2, max_new_tokens=9)
    assert text == [0, 1, 2]
    assert score == pytest.approx(torch.tensor(0.57).log().item())


def test_search_for_several_goes_on_until_the_last_of_them_is_settled():
    model = chain([[0.0, 0.35, 0.2, 0.45], [0.0, 0.0, 0.7, 0.3], [0.0, 0.0, 0.0, 1.0], [0.0, 0.0, 0.0, 1.0]])
    texts = beam_search(start(model, [0], eos_token_id=3), n_beams=3, max_new_tokens=9, n_return=2)
    assert [text for _, text in texts] == [[0, 3], [0, 1, 2, 3]]  # [0, 2, 3] ended before, and is less likely
    assert [score for score, _ in texts] == pytest.approx([math.log(0.45), math.log(0.35 * 0.7)])


def test_search_ends_when_every_text_is_finished_or_banned():
    model = chain([[0.0, 0.0, 1.0], [0.0, 0.5, 0.5], [0.0, 0.0, 1.0]])
    found = beam_search(start(model, [0], eos_token_id=2), n_beams=3, max_new_tokens=9, n_return=3)
    assert [text for _, text in found] == [[0, 2]]
    found = beam_search(start(make_model(d_vocab=3), [0, 1, 2]), 2, 4, 2, no_repeat_ngram_size=1)
    assert found == []


def test_searches_that_cannot_work_are_rejected():
    beams = start(make_model(n_ctx=8), [1, 2, 3])
    with pytest.raises(ConfigError, match=r"n_beams must be at least 1: got 0\. Pass n_beams=1"):
        beam_search(beams, 0, 2)
    with pytest.raises(ConfigError, match=r"got n_return=3 and n_beams=2\. Pass n_beams=3 or more"):
        beam_search(beams, 2, 2, 3)
    with pytest.raises(ConfigError, match="got n_return=0 and n_beams=2"):
        beam_search(beams, 2, 2, 0)
    with pytest.raises(ConfigError, match=r"no_repeat_ngram_size must be at least 1: got 0\. Pass None"):
        beam_search(beams, 2, 2, no_repeat_ngram_size=0)
    with pytest.raises(TokenError, match="context of 8 tokens: got a prompt of 3 and max_new_tokens=7"):
        beam_search(beams, 2, 7)
    assert len(beam_search(beams, 2, 6)[0][1]) == 9


def test_half_precision_is_summed_in_single():
    model = make_model().bfloat16()
    beams = extend_beams(Beams(model=model, tokens=torch.tensor([[1, 2]]), logprob_sums=torch.zeros(1)), 6)
    exact = model(torch.tensor([[1, 2]]))[0, -1].double().log_softmax(dim=-1).sort(descending=True).values
    torch.testing.assert_close(beams.logprob_sums, exact.float())
