"""Between text and token ids."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from arena_lib.errors import ConfigError, ShapeError, TokenError
from arena_lib.transformer.fast.generation import generate
from arena_lib.transformer.fast.model import Transformer
from arena_lib.transformer.tokens.tokenizer import BPETokenizer


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


def test_uneven_texts_are_refused_with_their_lengths(model: Transformer) -> None:
    assert torch.equal(model.to_tokens(["ab", "cd"]), torch.tensor([[0, 1, 2], [0, 3, 4]]))
    with pytest.raises(ShapeError, match=r"same number of tokens: got 3, 5\. Use to_padded_tokens\(texts\)"):
        model.to_tokens(["ab", "cdef"])
    with pytest.raises(ShapeError, match=r"got 2, 3, 2, 2, 2, 2, 2, 2 and others\. Use"):
        model.to_tokens(["a", "bc"] + ["d"] * 9)


def test_a_batch_needs_a_text(model: Transformer) -> None:
    for make in (model.to_tokens, model.to_padded_tokens):
        with pytest.raises(ShapeError, match="a batch must have at least one text: got none"):
            make([])


def test_uneven_texts_are_padded_on_a_side_and_come_with_their_mask(model: Transformer) -> None:
    tokens, mask = model.to_padded_tokens(["ab", "cdef"])
    assert torch.equal(tokens, torch.tensor([[0, 0, 0, 1, 2], [0, 3, 4, 5, 6]]))
    assert torch.equal(mask, torch.tensor([[False, False, True, True, True], [True] * 5]))
    model.tokenizer.eos_token_id = 25
    tokens, mask = model.to_padded_tokens(["ab", "cde"], prepend_bos=False, padding_side="right")
    assert torch.equal(tokens, torch.tensor([[1, 2, 25], [3, 4, 5]]))
    assert torch.equal(mask, torch.tensor([[True, True, False], [True] * 3]))
    model.tokenizer.pad_token_id = 26
    assert torch.equal(model.to_padded_tokens(["a", "bc"], prepend_bos=False)[0], torch.tensor([[26, 1], [2, 3]]))


def test_padding_that_cannot_work_is_refused(model: Transformer) -> None:
    with pytest.raises(TokenError, match="each text must have at least one token: got none in text 1"):
        model.to_padded_tokens(["ab", ""], prepend_bos=False)
    assert model.to_padded_tokens(["ab", ""])[1].sum() == 4


@pytest.mark.usefixtures("without_types")
def test_a_side_that_does_not_exist_is_refused(model: Transformer) -> None:
    with pytest.raises(ConfigError, match="padding_side must be 'left' or 'right': got 'middle'"):
        model.to_padded_tokens(["ab"], padding_side="middle")  # type: ignore[arg-type]


def test_padded_texts_are_written_on_as_alone(model: Transformer) -> None:
    texts = ["ab", "cdef", "g"]
    tokens, mask = model.to_padded_tokens(texts, padding_side="right")
    written = generate(model, tokens, 3, attention_mask=mask)
    for row, text in zip(written, texts, strict=True):
        assert torch.equal(row[4 - len(text) :], generate(model, model.to_tokens(text), 3)[0])


def test_tokens_become_text(model: Transformer) -> None:
    assert model.to_string(torch.tensor([8, 9])) == "hi"
    assert model.to_string(torch.tensor([[8, 9], [1, 2]])) == ["hi", "ab"]
    assert model.to_string([8, 9]) == "hi"
    assert model.to_string(torch.tensor(8)) == "h"
    assert model.to_string(8) == "h"
    assert model.to_str_tokens("hi") == ["^", "h", "i"]
    assert model.to_str_tokens("hi", prepend_bos=False) == ["h", "i"]
    assert model.to_str_tokens(torch.tensor([[8, 9]])) == ["h", "i"]
    assert model.to_str_tokens([8, 9]) == ["h", "i"]
    assert model.to_str_tokens(torch.tensor(8)) == ["h"]
    assert model.to_str_tokens([]) == model.to_str_tokens(torch.tensor([], dtype=torch.int64)) == []
    assert model.to_single_str_token(8) == "h"


def test_a_batch_becomes_a_list_for_each_text(model: Transformer) -> None:
    assert model.to_str_tokens(torch.tensor([[8, 9, 1], [1, 2, 3]])) == [["h", "i", "a"], ["a", "b", "c"]]
    assert model.to_str_tokens(["hi", "a"], prepend_bos=False) == [["h", "i"], ["a"]]
    assert model.to_str_tokens(["hi"]) == [["^", "h", "i"]]


def test_a_token_is_found_in_a_text(model: Transformer) -> None:
    assert model.get_token_position("b", "abcb") == 2
    assert model.get_token_position("b", "abcb", mode="last") == 4
    assert model.get_token_position(2, "abcb", prepend_bos=False) == 1
    assert model.get_token_position("b", torch.tensor([5, 2])) == 1
    assert model.get_token_position("b", torch.tensor([[5, 2]])) == 1
    with pytest.raises(TokenError, match=r"got 'z' \(id 26\), which isn't among its 4 tokens"):
        model.get_token_position("z", "abc")
    with pytest.raises(ShapeError, match=r"got tokens of shape \(2, 2\)"):
        model.get_token_position("a", torch.tensor([[1, 2], [2, 1]]))
    with pytest.raises(TokenError, match="the text must be one token: got 'ab'"):
        model.get_token_position("ab", "abc")
    model.tokenizer = None
    with pytest.raises(TokenError, match=r"got 9 \(id 9\)"):
        model.get_token_position(9, torch.tensor([5, 2]))


@pytest.mark.usefixtures("without_types")
def test_a_mode_that_does_not_exist_is_refused(model: Transformer) -> None:
    with pytest.raises(ConfigError, match="mode must be 'first' or 'last': got 'middle'"):
        model.get_token_position("a", "abc", mode="middle")  # type: ignore[arg-type]


def test_single_tokens_may_be_given_as_text_or_ids(model: Transformer) -> None:
    assert model.to_token_ids("c").tolist() == 3
    assert model.to_token_ids(["c", "a"]).tolist() == [3, 1]
    assert model.to_token_ids([3, 1]).tolist() == [3, 1]
    assert model.to_token_ids(torch.tensor([[3, 1]])).tolist() == [[3, 1]]
    assert model.to_token_ids([["c", "d"], ("e", "c"), ["d", "d"]]).tolist() == [[3, 4], [5, 3], [4, 4]]
    with pytest.raises(TokenError, match="the text must be one token: got 'hi'"):
        model.to_token_ids(["c", "hi"])


def test_a_single_token_must_be_one(model: Transformer) -> None:
    assert model.to_single_token("c") == 3
    with pytest.raises(TokenError, match=r"the text must be one token: got 'hi', which is 2: \['h', 'i'\]"):
        model.to_single_token("hi")


def test_attributions_take_text(model: Transformer, tokens: torch.Tensor) -> None:
    _, cache = model.run_with_cache(tokens)
    stack = cache.decompose_resid(pos_slice=-1)
    by_text = cache.logit_attrs(stack, "c", "d", pos_slice=-1)
    assert torch.equal(by_text, cache.logit_attrs(stack, 3, 4, pos_slice=-1))
    by_texts = cache.logit_attrs(stack, ["c", "d", "e"], "d", pos_slice=-1)
    assert torch.equal(by_texts, cache.logit_attrs(stack, torch.tensor([3, 4, 5]), 4, pos_slice=-1))


def test_without_a_tokenizer_text_is_refused(make_random: Callable[..., Transformer]) -> None:
    with pytest.raises(ConfigError, match=r"text needs a tokenizer: got a model without one\. Set model\.tokenizer"):
        make_random("gpt2").to_tokens("hello")
    with pytest.raises(ConfigError, match="text needs a tokenizer"):
        make_random("gpt2").to_string([3])


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


BEGIN, END = 36, 35
WORDS = {f"w{idx}": idx for idx in range(35)} | {"<e>": END, "<s>": BEGIN}


def make_tokenizer(kind: str) -> Any:
    """A tokenizer of another library that adds by itself what `kind` says, as Llama's adds its begin token."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(models.WordLevel(WORDS, unk_token="w0"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    template = {"begin": "<s> $A", "end": "$A <e>", "both": "<s> $A <e>"}.get(kind.removeprefix("plain "))
    if template:
        words.post_processor = processors.TemplateProcessing(template, special_tokens=[("<s>", BEGIN), ("<e>", END)])
    if kind.startswith("plain"):
        return words
    return PreTrainedTokenizerFast(tokenizer_object=words, bos_token="<s>", eos_token="<e>", unk_token="w0")


@pytest.mark.parametrize("kind", ["begin", "end", "both", "neither", "plain begin", "plain neither"])
def test_the_begin_token_comes_once_or_not_at_all_whatever_a_tokenizer_adds(model: Transformer, kind: str) -> None:
    model.tokenizer = make_tokenizer(kind)
    with_begin = [3, 5] if kind.startswith("plain") else [BEGIN, 3, 5]
    assert model.to_tokens("w3 w5").tolist() == [with_begin]
    assert model.to_tokens("w3 w5", prepend_bos=True).tolist() == [with_begin]
    assert model.to_tokens("w3 w5", prepend_bos=False).tolist() == [[3, 5]]
    assert model.to_padded_tokens(["w3 w5"])[0].tolist() == [with_begin]
    assert model.to_str_tokens("w3 w5", prepend_bos=False) == ["w3", "w5"]
    assert model.to_single_token("w4") == 4
    model.default_prepend_bos = False
    assert model.to_tokens("w3 w5").tolist() == [[3, 5]]


def test_our_own_tokenizer_adds_nothing_by_itself(model: Transformer) -> None:
    model.tokenizer = BPETokenizer.train(["low lower lowest low"], d_vocab=260, special_tokens=["<s>"])
    assert model.to_tokens("low").tolist() == [[258]]
    model.tokenizer.bos_token_id = 0
    assert model.to_tokens("low").tolist() == [[0, 258]]
    assert model.to_tokens("low", prepend_bos=False).tolist() == [[258]]
    assert model.to_single_token("low") == 258


class AddsAndHands:
    """Hands its keywords on, so that its signature doesn't name them."""

    def __init__(self) -> None:
        self.inner = make_tokenizer("begin")

    def encode(self, text: str, **options: bool) -> list[int]:
        return self.inner.encode(text, **options)


def test_a_wrapper_that_hands_its_options_on_is_asked_the_same(model: Transformer) -> None:
    model.tokenizer = AddsAndHands()
    assert model.to_tokens("w3 w5").tolist() == [[3, 5]]
