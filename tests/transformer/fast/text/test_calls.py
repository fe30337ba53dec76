"""Models called on text, and asked for losses."""

from collections.abc import Callable

import pytest
import torch

from arena_lib import zoo
from arena_lib.errors import ConfigError
from arena_lib.transformer.fast.model import Transformer
from arena_lib.transformer.fast.text.calls import Output
from arena_lib.transformer.loss import cross_entropy_next_token, next_token_logprobs


class Letters:
    """Token 0 begins a text, 1 to 26 are letters."""

    bos_token_id = 0

    def encode(self, text: str) -> list[int]:
        return [ord(letter) - 96 for letter in text]

    def decode(self, ids: list[int]) -> str:
        return "".join("^" if idx == 0 else chr(idx + 96) for idx in ids)


@pytest.fixture(params=["gpt2", "llama", "attention_only"])
def model(request: pytest.FixtureRequest, make_random: Callable[..., Transformer]) -> Transformer:
    made = make_random(request.param)
    made.tokenizer = Letters()
    return made


@torch.no_grad()
def test_a_text_is_read_as_its_tokens(model: Transformer) -> None:
    for prepend_bos in (None, True, False):
        tokens = model.to_tokens("hello", prepend_bos=prepend_bos)
        assert torch.equal(model("hello", prepend_bos=prepend_bos), model(tokens))
        assert torch.equal(model.run_with_hooks("hello", prepend_bos=prepend_bos), model(tokens))
        logits, cache = model.run_with_cache("hello", prepend_bos=prepend_bos)
        assert torch.equal(logits, model(tokens))
        assert torch.equal(cache["embed"], model.embed(tokens))
    assert torch.equal(model(["ab", "cd"]), model(model.to_tokens(["ab", "cd"])))


@torch.no_grad()
def test_uneven_texts_get_what_each_gets_alone(model: Transformer) -> None:
    texts = ["ab", "cdefg"]
    logits, cache = model.run_with_cache(texts)
    assert torch.equal(cache.attention_mask, model.to_padded_tokens(texts)[1])
    for given in (logits, model(texts), model.run_with_hooks(texts)):
        torch.testing.assert_close(given[0, 3:], model("ab")[0])
        torch.testing.assert_close(given[1], model("cdefg")[0])
    assert model.run_with_cache(["ab", "cd"])[1].attention_mask is None


@torch.no_grad()
def test_the_loss_is_that_of_the_next_tokens(model: Transformer, tokens: torch.Tensor) -> None:
    logits = model(tokens)
    loss = cross_entropy_next_token(logits, tokens)
    torch.testing.assert_close(model(tokens, return_type="loss"), loss)
    each = model(tokens, return_type="loss", loss_per_token=True)
    torch.testing.assert_close(each, -next_token_logprobs(logits, tokens))
    both = model(tokens, return_type="both")
    assert isinstance(both, Output)
    assert torch.equal(both.logits, logits)
    torch.testing.assert_close(both.loss, loss)
    torch.testing.assert_close(model.run_with_hooks(tokens, return_type="loss"), loss)
    (cached_logits, cached_loss), _ = model.run_with_cache(tokens, return_type="both")
    torch.testing.assert_close(cached_logits, logits)
    torch.testing.assert_close(cached_loss, loss)


@torch.no_grad()
def test_nothing_is_unembedded_where_nothing_is_asked_for(model: Transformer, tokens: torch.Tensor) -> None:
    read: list[object] = []
    model.unembed.register_forward_hook(lambda *args: read.append(args))
    assert model(tokens, return_type=None) is None
    output, cache = model.run_with_cache(tokens, return_type=None)
    assert output is None
    assert read == []
    assert "ln_final.hook_normalized" in cache
    assert model(tokens, return_type=None, stop_at_layer=1).shape[:2] == (3, 7)


@torch.no_grad()
@pytest.mark.parametrize("padding_side", ["left", "right"])
def test_padding_adds_nothing_to_the_loss(model: Transformer, padding_side: str) -> None:
    texts = ["ab", "cdefg", "h"]
    tokens, mask = model.to_padded_tokens(texts, padding_side=padding_side)
    alone = [model(text, return_type="loss", loss_per_token=True)[0] for text in texts]
    each = model(tokens, return_type="loss", loss_per_token=True, attention_mask=mask)
    is_counted = mask[:, 1:] & mask[:, :-1]
    for row, counted, expected in zip(each, is_counted, alone, strict=True):
        torch.testing.assert_close(row[counted], expected)
        assert not row[~counted].any()
    mean = torch.cat(alone).mean()
    torch.testing.assert_close(model(tokens, return_type="loss", attention_mask=mask), mean)
    torch.testing.assert_close(model(texts, return_type="loss"), mean)


def test_losses_and_padded_losses_are_the_bridges() -> None:
    """A bridge counts padding's positions as the tokenizer says, so the mask is given to both."""
    ours, bridge = zoo.load("tiny-llama"), zoo.load_bridge("tiny-llama")
    text = "When Tina and Jack went to the garden , Jack gave the lamp to Tina"
    tokens = ours.to_tokens([text, text])
    mask = torch.ones_like(tokens)
    mask[1, -5:] = 0
    with torch.no_grad():
        for options in ({}, {"loss_per_token": True}):
            expected = bridge(tokens[:1], return_type="loss", **options)
            torch.testing.assert_close(ours(text, return_type="loss", **options), expected, rtol=1e-5, atol=1e-5)
            given = ours(tokens, return_type="loss", attention_mask=mask, **options)
            expected = bridge(tokens, return_type="loss", attention_mask=mask, **options)
            torch.testing.assert_close(given, expected, rtol=1e-5, atol=1e-5)


def test_a_loss_has_a_gradient(model: Transformer) -> None:
    model(["ab", "cdefg"], return_type="loss").backward()
    grad = model.embed.W_E.grad
    assert grad is not None
    assert grad.isfinite().all()


def test_options_that_do_not_go_together_are_refused(model: Transformer, tokens: torch.Tensor) -> None:
    with pytest.raises(ConfigError, match=r"prepend_bos=True goes with text: got tokens"):
        model(tokens, prepend_bos=True)
    assert torch.equal(model(tokens, prepend_bos=False), model(tokens))
    with pytest.raises(ConfigError, match="texts bring their own attention_mask"):
        model("ab", attention_mask=torch.ones(1, 3, dtype=torch.bool))
    with pytest.raises(ConfigError, match="loss_per_token needs a loss: got return_type='logits'"):
        model(tokens, loss_per_token=True)
    for name, value in (("start_at_layer", 0), ("stop_at_layer", 0), ("last_only", True)):
        with pytest.raises(ConfigError, match=f"got return_type='loss' with {name}"):
            model(tokens, return_type="loss", **{name: value})


@pytest.mark.usefixtures("without_types")
def test_an_unknown_return_type_is_refused(model: Transformer, tokens: torch.Tensor) -> None:
    with pytest.raises(ConfigError, match="return_type must be 'logits', 'loss', 'both' or None: got 'losses'"):
        model(tokens, return_type="losses")
