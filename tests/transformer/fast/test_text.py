"""Between text and token ids."""

from collections.abc import Callable

import pytest
import torch

from arena_lib.errors import ConfigError, TokenError
from arena_lib.transformer.fast.model import Transformer


class Letters:
    """Token 0 begins a text, 1 to 26 are letters; no other methods than ours has."""

    bos_token_id = 0

    def encode(self, text: str) -> list[int]:
        return [ord(letter) - 96 for letter in text]

    def decode(self, ids: list[int]) -> str:
        return "".join("^" if idx == 0 else chr(idx + 96) for idx in ids)


@pytest.fixture
def model(make_random: Callable[..., Transformer]) -> Transformer:
    made = make_random("gpt2")
    made.tokenizer = Letters()
    return made


def test_text_becomes_tokens_with_a_beginning(model: Transformer) -> None:
    assert torch.equal(model.to_tokens("abc"), torch.tensor([[0, 1, 2, 3]]))
    assert torch.equal(model.to_tokens("abc", prepend_bos=False), torch.tensor([[1, 2, 3]]))
    model.default_prepend_bos = False
    assert torch.equal(model.to_tokens("abc"), torch.tensor([[1, 2, 3]]))
    assert torch.equal(model.to_tokens("abc", prepend_bos=True), torch.tensor([[0, 1, 2, 3]]))


def test_uneven_texts_are_padded_on_the_right(model: Transformer) -> None:
    assert torch.equal(model.to_tokens(["ab", "cdef"]), torch.tensor([[0, 1, 2, 0, 0], [0, 3, 4, 5, 6]]))
    model.tokenizer.pad_token_id = 26
    assert torch.equal(model.to_tokens(["ab", "cde"], prepend_bos=False), torch.tensor([[1, 2, 26], [3, 4, 5]]))


def test_tokens_become_text(model: Transformer) -> None:
    assert model.to_string(torch.tensor([8, 9])) == "hi"
    assert model.to_string(torch.tensor([[8, 9], [1, 2]])) == ["hi", "ab"]
    assert model.to_string([8, 9]) == "hi"
    assert model.to_string(torch.tensor(8)) == "h"
    assert model.to_str_tokens("hi") == ["^", "h", "i"]
    assert model.to_str_tokens("hi", prepend_bos=False) == ["h", "i"]
    assert model.to_str_tokens(torch.tensor([[8, 9]])) == ["h", "i"]


def test_a_single_token_must_be_one(model: Transformer) -> None:
    assert model.to_single_token("c") == 3
    with pytest.raises(TokenError, match=r"the text must be one token: got 'hi', which is 2: \['h', 'i'\]"):
        model.to_single_token("hi")


def test_attributions_take_text(model: Transformer, tokens: torch.Tensor) -> None:
    _, cache = model.run_with_cache(tokens)
    stack = cache.decompose_resid(pos_slice=-1)
    by_text = cache.logit_attrs(stack, "c", "d", pos_slice=-1)
    assert torch.equal(by_text, cache.logit_attrs(stack, 3, 4, pos_slice=-1))


def test_without_a_tokenizer_text_is_refused(make_random: Callable[..., Transformer]) -> None:
    with pytest.raises(ConfigError, match=r"text needs a tokenizer: got a model without one\. Set model\.tokenizer"):
        make_random("gpt2").to_tokens("hello")


def test_tokenizers_of_transformers_and_of_tokenizers_work(
    model: Transformer, save_word_tokenizer: Callable[..., object], tmp_path: object
) -> None:
    of_transformers = save_word_tokenizer(tmp_path, 37)
    for tokenizer in (of_transformers, of_transformers._tokenizer):  # type: ignore[attr-defined]
        model.tokenizer = tokenizer
        assert torch.equal(model.to_tokens("w3 w5", prepend_bos=False), torch.tensor([[3, 5]]))
        assert model.to_str_tokens("w3 w5", prepend_bos=False) == ["w3", "w5"]
    model.tokenizer = of_transformers
    assert torch.equal(model.to_tokens("w3 w5"), torch.tensor([[36, 3, 5]]))
