import math

import pytest
import torch
import torch.nn.functional as F

from arena_lib.transformer.loss import cross_entropy_next_token, next_token_logprobs


def make_case(batch=2, seq=5, d_vocab=7):
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(batch, seq, d_vocab, generator=generator, dtype=torch.float64)
    return logits, torch.randint(d_vocab, (batch, seq), generator=generator)


def test_logprobs_are_those_of_the_token_that_follows():
    logits, tokens = make_case()
    logprobs = next_token_logprobs(logits, tokens)
    assert logprobs.shape == (2, 4)
    for batch_idx in range(2):
        for position in range(4):
            probabilities = logits[batch_idx, position].softmax(dim=-1)
            expected = probabilities[tokens[batch_idx, position + 1]].log()
            torch.testing.assert_close(logprobs[batch_idx, position], expected)


def test_loss_agrees_with_torch():
    logits, tokens = make_case()
    expected = F.cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten())
    torch.testing.assert_close(cross_entropy_next_token(logits, tokens), expected)


def test_loss_is_the_mean_of_the_logprobs_with_its_sign_turned():
    logits, tokens = make_case()
    torch.testing.assert_close(cross_entropy_next_token(logits, tokens), -next_token_logprobs(logits, tokens).mean())


def test_guessing_all_tokens_alike_costs_log_d_vocab():
    assert cross_entropy_next_token(torch.full((1, 3, 7), 4.0), torch.tensor([[1, 6, 0]])).item() == pytest.approx(
        math.log(7)
    )


def test_last_logits_and_first_token_do_not_matter():
    logits, tokens = make_case()
    loss = cross_entropy_next_token(logits, tokens)
    logits[:, -1] += torch.arange(7)
    tokens[:, 0] = (tokens[:, 0] + 1) % 7
    assert cross_entropy_next_token(logits, tokens) == loss


def test_gradients_reach_the_logits():
    logits, tokens = make_case()
    logits.requires_grad_()
    cross_entropy_next_token(logits, tokens).backward()
    assert (logits.grad[:, :-1] != 0).all()
    assert (logits.grad[:, -1] == 0).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_averaged_in_single(dtype: torch.dtype) -> None:
    logits = torch.randn(4, 50, 300, generator=torch.Generator().manual_seed(0)).to(dtype)
    tokens = torch.randint(300, (4, 50), generator=torch.Generator().manual_seed(1))
    exact = cross_entropy_next_token(logits.double(), tokens)
    assert exact.dtype == torch.float64
    torch.testing.assert_close(cross_entropy_next_token(logits, tokens), exact.float())
    logprobs = next_token_logprobs(logits, tokens)
    torch.testing.assert_close(logprobs, next_token_logprobs(logits.double(), tokens).float())
