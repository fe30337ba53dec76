"""Which logits score which token, temperature, chunks and padding."""

import pytest
import torch

from arena_lib.errors import ConfigError, ShapeError
from arena_lib.rlhf.logprobs import compute_response_logprobs, get_logprobs
from arena_lib.transformer.fast.gpt2 import GPT2, GPT2Config
from arena_lib.transformer.fast.llama import Llama, LlamaConfig

SIZES = {"d_model": 10, "d_vocab": 13, "n_ctx": 9, "n_layers": 2, "n_heads": 2, "d_head": 4, "d_mlp": 14}
TOKENS = torch.tensor([[1, 12, 3, 4, 0], [7, 0, 2, 2, 9], [5, 6, 11, 8, 3]])


def make_model(form: str = "llama") -> torch.nn.Module:
    generator = torch.Generator().manual_seed(0)
    if form == "llama":
        return Llama(LlamaConfig(init_range=0.7, n_kv_heads=1, **SIZES), generator=generator)
    model = GPT2(GPT2Config(init_range=0.7, **SIZES), generator=generator)
    with torch.no_grad():
        model.unembed.b_U.normal_(generator=generator)
    return model


@pytest.mark.parametrize("prefix_len", [1, 2, 4])
def test_each_token_is_scored_by_the_logits_before_it(prefix_len):
    logits = torch.randn(3, 5, 13, generator=torch.Generator().manual_seed(1))
    ours = get_logprobs(logits, TOKENS, prefix_len)
    assert ours.shape == (3, 5 - prefix_len)
    for batch in range(3):
        for i in range(5 - prefix_len):
            row = logits[batch, prefix_len + i - 1].double()
            expected = row[TOKENS[batch, prefix_len + i]] - row.exp().sum().log()
            assert ours[batch, i].item() == pytest.approx(expected.item(), rel=1e-5)


def test_without_a_prefix_all_but_the_first_token_count():
    logits = torch.randn(3, 5, 13, generator=torch.Generator().manual_seed(1))
    assert torch.equal(get_logprobs(logits, TOKENS), get_logprobs(logits, TOKENS, 1))


@pytest.mark.parametrize("prefix_len", [0, -1, 5, 6])
def test_a_prefix_that_leaves_nothing_to_score_is_refused(prefix_len):
    with pytest.raises(ShapeError, match=rf"of 5: got prefix_len = {prefix_len}\. Pass"):
        get_logprobs(torch.zeros(3, 5, 13), TOKENS, prefix_len)
    with pytest.raises(ShapeError, match="of 5"):
        compute_response_logprobs(make_model(), TOKENS, prefix_len)


@pytest.mark.parametrize("form", ["llama", "gpt2"])
@pytest.mark.parametrize("temperature", [1.0, 0.6])
@pytest.mark.parametrize("chunk", [4, 100])
def test_chunks_give_the_values_and_gradients_of_the_whole_logits(form, temperature, chunk):
    results = []
    for is_chunked in (True, False):
        model = make_model(form)
        if is_chunked:
            logprobs = compute_response_logprobs(model, TOKENS, 2, temperature=temperature, chunk=chunk)
        else:
            logprobs = get_logprobs(model(TOKENS) / temperature, TOKENS, 2)
        (logprobs * torch.linspace(-1, 2, 9).reshape(3, 3)).sum().backward()
        results.append((logprobs, [weight.grad for weight in model.parameters() if weight.grad is not None]))
    (ours, our_grads), (expected, grads) = results
    torch.testing.assert_close(ours, expected)
    torch.testing.assert_close(our_grads, grads)


def test_padded_prompts_are_scored_as_alone():
    model = make_model()
    tokens = torch.tensor([[0, 0, 5, 6, 11], [7, 1, 2, 2, 9]])
    mask = torch.tensor([[0, 0, 1, 1, 1], [1, 1, 1, 1, 1]])
    together = compute_response_logprobs(model, tokens, 3, attention_mask=mask)
    torch.testing.assert_close(together[0], compute_response_logprobs(model, tokens[:1, 2:], 1)[0])
    torch.testing.assert_close(together[1], compute_response_logprobs(model, tokens[1:], 3)[0])


@pytest.mark.parametrize("temperature", [0.0, -1.0, torch.inf, torch.nan])
def test_a_temperature_at_which_nothing_has_a_probability_is_refused(temperature):
    with pytest.raises(ConfigError, match="temperature must be finite and above 0"):
        compute_response_logprobs(make_model(), TOKENS, 2, temperature=temperature)
