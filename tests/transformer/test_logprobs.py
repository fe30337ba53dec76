import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from arena_lib.errors import ConfigError
from arena_lib.transformer.fast.gpt2 import GPT2, GPT2Config
from arena_lib.transformer.fast.llama import Llama
from arena_lib.transformer.lesson_llama import LlamaConfig
from arena_lib.transformer.logprobs import compute_target_logprobs, compute_token_logprobs
from arena_lib.transformer.loss import next_token_logprobs

SIZES = {"d_model": 10, "d_vocab": 13, "n_ctx": 9, "n_layers": 2, "n_heads": 2, "d_head": 4, "d_mlp": 14}
TOKENS = torch.tensor([[1, 12, 3, 4, 0], [7, 0, 2, 2, 9], [5, 6, 11, 8, 3]])


def make_model(form):
    generator = torch.Generator().manual_seed(0)
    if form == "gpt2":
        return GPT2(GPT2Config(init_range=0.7, **SIZES), generator=generator)
    return Llama(LlamaConfig(init_range=0.7, n_kv_heads=1, **SIZES), generator=generator)


@pytest.mark.parametrize("form", ["gpt2", "llama"])
@pytest.mark.parametrize("chunk", [1, 5, 13, 100])
def test_values_and_gradients_are_those_of_the_whole_logits(form, chunk):
    results = []
    for is_chunked in (True, False):
        model = make_model(form)
        if model.unembed.b_U is not None:
            model.unembed.b_U.requires_grad_()
        logprobs = (
            compute_token_logprobs(model, TOKENS, chunk) if is_chunked else next_token_logprobs(model(TOKENS), TOKENS)
        )
        (logprobs * torch.linspace(-1, 2, 12).reshape(3, 4)).sum().backward()
        results.append((logprobs, {name: weight.grad for name, weight in model.named_parameters()}))
    (ours, our_grads), (expected, grads) = results
    torch.testing.assert_close(ours, expected)
    assert {name for name, grad in our_grads.items() if grad is not None} == {
        name for name, grad in grads.items() if grad is not None
    }
    for name, grad in grads.items():
        if grad is not None:
            torch.testing.assert_close(our_grads[name], grad, msg=name)


class Sizes(TorchDispatchMode):
    """Notes how many numbers each result of torch's has, also in the backward pass."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor):
            self.seen.append(result.numel())
        return result


def test_only_a_chunk_of_the_vocabulary_has_logits_at_a_time_and_none_are_kept():
    model, kept = GPT2(GPT2Config(**{**SIZES, "d_vocab": 1009})), []
    with Sizes() as sizes, torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.shape) or t, lambda t: t):
        compute_token_logprobs(model, TOKENS, 20).sum().backward()
    assert max(sizes.seen) == 10 * 1009  # the unembedding's own gradient; all logits would be 12 * 1009
    assert (12, 10) in kept
    assert (12, 20) not in kept
    with torch.no_grad():
        assert not compute_token_logprobs(model, TOKENS, 20).requires_grad


def test_frozen_weights_get_no_gradient_and_what_comes_before_does():
    model = make_model("llama").requires_grad_(False)
    model.embed.W_E.requires_grad_()
    for logprobs in (compute_token_logprobs(model, TOKENS, 5), -next_token_logprobs(model(TOKENS), TOKENS)):
        logprobs.sum().backward()
    torch.testing.assert_close(model.embed.W_E.grad, torch.zeros_like(model.embed.W_E), rtol=0, atol=1e-5)


def test_a_second_derivative_is_refused():
    logprobs = compute_token_logprobs(model := make_model("gpt2"), TOKENS)
    with pytest.raises(ConfigError, match=r"first derivative only: got .* create_graph=True\. Use next_token_logprobs"):
        torch.autograd.grad(logprobs.sum(), model.unembed.W_U, create_graph=True)


@pytest.mark.parametrize("chunk", [0, -5])
def test_a_chunk_of_no_tokens_is_refused(chunk):
    with pytest.raises(ConfigError, match=f"chunk must be at least 1 token of the vocabulary: got {chunk}"):
        compute_token_logprobs(make_model("gpt2"), TOKENS, chunk)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_in_half_precision_values_and_gradients_are_those_of_the_whole_logits(dtype):
    model = make_model("gpt2").to(dtype)
    grads = []
    for logprobs in (compute_token_logprobs(model, TOKENS, 5), next_token_logprobs(model(TOKENS), TOKENS)):
        grads += torch.autograd.grad(logprobs.sum(), model.unembed.W_U)
    torch.testing.assert_close(*grads, rtol=0.02, atol=0.02 * float(grads[1].abs().max()))


def test_half_precision_is_summed_in_single():
    model = make_model("gpt2").bfloat16()
    assert compute_token_logprobs(model, TOKENS).dtype == torch.float32


def test_double_precision_stays_double():
    model = make_model("gpt2").double()
    torch.testing.assert_close(
        compute_token_logprobs(model, TOKENS), next_token_logprobs(model(TOKENS), TOKENS), rtol=0, atol=1e-12
    )


@pytest.mark.parametrize("form", ["gpt2", "llama"])
@pytest.mark.parametrize("side", ["left", "right"])
def test_padded_texts_get_what_each_gets_alone_and_padding_counts_nothing(form, side):
    model, lengths = make_model(form).double(), (5, 2, 3)
    mask = torch.tensor([[place < n for place in range(5)] for n in lengths])
    rows = torch.where(mask, TOKENS, 12)
    if side == "left":
        mask, rows = mask.flip(1), TOKENS
    ours = compute_token_logprobs(model, rows, 4, attention_mask=mask)
    losses = model(rows, return_type="loss", loss_per_token=True, attention_mask=mask)
    torch.testing.assert_close(ours, -losses, rtol=0, atol=1e-12)
    for row, tokens, is_real in zip(ours, rows, mask, strict=True):
        alone = compute_token_logprobs(model, tokens[is_real][None])[0]
        is_counted = is_real[1:] & is_real[:-1]
        torch.testing.assert_close(row[is_counted], alone, rtol=0, atol=1e-12)
        assert not row[~is_counted].any()
    mean = model(rows, return_type="loss", attention_mask=mask)
    grads = [
        torch.autograd.grad(value, model.embed.W_E)[0]
        for value in (mean, -ours.sum() / (mask[:, 1:] & mask[:, :-1]).sum())
    ]
    torch.testing.assert_close(*grads, rtol=0, atol=1e-12)


def test_logprobs_of_targets_are_those_of_the_softmax_of_their_own_vectors():
    generator = torch.Generator().manual_seed(0)
    x, W_U, b_U = (torch.randn(shape, generator=generator) for shape in ((2, 3, 5), (5, 7), (7,)))
    targets = torch.tensor([[0, 6, 3], [2, 2, 5]])
    expected = (x @ W_U + b_U).log_softmax(-1).gather(-1, targets[..., None])[..., 0]
    torch.testing.assert_close(compute_target_logprobs(x, W_U, b_U, targets, chunk=3), expected)
