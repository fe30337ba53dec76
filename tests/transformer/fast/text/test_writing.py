"""Models that write: text or tokens in, the same out."""

from collections.abc import Callable, Iterator

import pytest
import torch

from arena_lib import zoo
from arena_lib.errors import ConfigError, TokenError, UnknownNameError
from arena_lib.transformer.fast.generation import WritingConfig, generate
from arena_lib.transformer.fast.model import Transformer
from arena_lib.transformer.huggingface import to_huggingface

PROMPTS = torch.tensor([[1, 12, 3], [7, 30, 2]])
BEGIN, END = 0, 36


class Letters:
    """Token 0 begins a text, 1 to 26 are letters, the rest capitals; 36 ends a text."""

    bos_token_id = BEGIN
    eos_token_id = END

    def encode(self, text: str) -> list[int]:
        return [ord(letter) - 96 for letter in text]

    def decode(self, ids: list[int]) -> str:
        return "".join(
            "^" if idx == BEGIN else "$" if idx == END else chr(idx + 96 if idx < 27 else idx + 38) for idx in ids
        )


@pytest.fixture(params=["gpt2", "llama"])
def model(request: pytest.FixtureRequest, make_random: Callable[..., Transformer]) -> Transformer:
    made = make_random(request.param)
    made.tokenizer = Letters()
    return made


def written_by_transformers(model: Transformer, tokens: torch.Tensor, **options: object) -> torch.Tensor:
    """What transformers' generate gives, by its own code throughout."""
    theirs = to_huggingface(model)
    options = {"pad_token_id": END, "max_new_tokens": 7, "do_sample": False} | options
    return theirs.generate(tokens, attention_mask=torch.ones_like(tokens), **options)


def test_greedy_writing_is_transformers(model: Transformer) -> None:
    ours = model.generate(PROMPTS, 7, stop_at_eos=False)
    assert torch.equal(ours, written_by_transformers(model, PROMPTS, eos_token_id=None))


@pytest.mark.parametrize("penalty", [0.5, 1.3, 4.0])
def test_the_repetition_penalty_is_transformers(model: Transformer, penalty: float) -> None:
    ours = model.generate(PROMPTS, 7, repetition_penalty=penalty, stop_at_eos=False)
    expected = written_by_transformers(model, PROMPTS, repetition_penalty=penalty, eos_token_id=None)
    assert torch.equal(ours, expected)


def test_several_end_tokens_end_where_transformers_does(model: Transformer) -> None:
    free = model.generate(PROMPTS, 7, stop_at_eos=False)
    ends = [int(free[0, 4]), int(free[1, 6])]
    ours = model.generate(PROMPTS, 7, eos_token_id=ends)
    assert torch.equal(ours, written_by_transformers(model, PROMPTS, eos_token_id=ends, pad_token_id=ends[0]))
    assert ours.shape[1] < 10


def test_the_tokenizers_end_token_ends_a_text_unless_it_should_not(model: Transformer) -> None:
    free = model.generate(PROMPTS[:1], 6, stop_at_eos=False)
    model.tokenizer.eos_token_id = int(free[0, 5])
    first = free[0, 3:].tolist().index(model.tokenizer.eos_token_id)
    assert torch.equal(model.generate(PROMPTS[:1], 6), free[:, : 4 + first])
    assert torch.equal(model.generate(PROMPTS[:1], 6, stop_at_eos=False), free)
    assert torch.equal(model.generate(PROMPTS[:1], 6, eos_token_id=[]), free)
    text = model.generate(PROMPTS[:1], 6, return_type="str")
    assert text == [model.tokenizer.decode(free[0, : 3 + first].tolist())]


def test_text_gives_text_and_tokens_give_tokens(model: Transformer) -> None:
    text = model.generate("abc", 3, stop_at_eos=False)
    ids = generate(model, model.to_tokens("abc"), 3)
    assert text == model.tokenizer.decode(ids[0, 1:].tolist())
    assert text.startswith("abc")
    assert torch.equal(model.generate("abc", 3, return_type="tokens", stop_at_eos=False), ids)
    plain = model.generate("abc", 3, prepend_bos=False, stop_at_eos=False)
    assert plain == model.tokenizer.decode(generate(model, torch.tensor([[1, 2, 3]]), 3)[0].tolist())
    assert model.generate("abc", 0) == "abc"


def test_uneven_texts_are_written_on_as_alone(model: Transformer) -> None:
    texts = ["ab", "cdefg", "h"]
    assert model.generate(texts, 3) == [model.generate(text, 3) for text in texts]
    tokens, mask = model.to_padded_tokens(texts, padding_side="right")
    expected = generate(model, tokens, 3, eos_token_id=END, attention_mask=mask)
    assert torch.equal(model.generate(tokens, 3, attention_mask=mask), expected)
    assert torch.equal(model.generate(texts, 3, return_type="tokens")[0, -6:], expected[0, -6:])
    assert model.generate(tokens, 3, attention_mask=mask, return_type="str") == model.generate(texts, 3)


def test_without_a_choice_the_likeliest_token_is_taken(model: Transformer) -> None:
    greedy = model.generate(PROMPTS, 5)
    assert torch.equal(greedy, model.generate(PROMPTS, 5, temperature=0.0))
    assert torch.equal(greedy, model.generate(PROMPTS, 5, top_k=1))
    draws = [
        model.generate(PROMPTS, 5, generator=torch.Generator().manual_seed(seed), **options)
        for options in ({"top_k": 30}, {"top_k": 30, "temperature": 1.0})
        for seed in (0, 0, 1)
    ]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    assert torch.equal(draws[0], draws[3])


def test_a_stream_gives_what_generate_adds(model: Transformer) -> None:
    options = {"stop_at_eos": False, "repetition_penalty": 1.5}
    ids = list(model.stream(PROMPTS, 4, **options))
    assert torch.equal(torch.stack(ids, dim=1), model.generate(PROMPTS, 4, **options)[:, 3:])
    pieces = list(model.stream("abc", 4, **options))
    assert len(pieces) == 4
    assert "abc" + "".join(pieces) == model.generate("abc", 4, **options)
    texts = ["ab", "cdef"]
    columns = zip(*model.stream(texts, 4, **options), strict=True)
    assert [text + "".join(column) for text, column in zip(texts, columns, strict=True)] == model.generate(
        texts, 4, **options
    )


def test_a_stream_stops_where_the_text_ends(model: Transformer) -> None:
    free = model.generate("abc", 6, return_type="tokens", stop_at_eos=False)
    end = int(free[0, 6])
    pieces = list(model.stream("abc", 6, eos_token_id=end))
    assert "abc" + "".join(pieces) == model.generate("abc", 6, eos_token_id=end)
    assert pieces[-1] == ""


def test_a_stream_makes_each_piece_when_it_is_asked_for(model: Transformer) -> None:
    read: list[object] = []
    model.embed.register_forward_hook(lambda *args: read.append(args))
    stream: Iterator[object] = model.stream("abc", 5, stop_at_eos=False)
    assert read == []
    next(stream)
    assert len(read) == 1
    assert not torch.is_inference_mode_enabled()


class Halves(Letters):
    """Two tokens 5 in a row are one character, as the bytes of a rare character are."""

    def decode(self, ids: list[int]) -> str:
        text = Letters().decode(ids)
        whole = text.replace("ee", "é")
        return whole[:-1] + "\ufffd" if whole.endswith("e") else whole


def test_a_character_of_two_tokens_comes_whole(model: Transformer, monkeypatch: pytest.MonkeyPatch) -> None:
    model.tokenizer = Halves()
    steps = iter([5, 5, 2])
    monkeypatch.setattr(
        "arena_lib.transformer.fast.generation.choose_tokens", lambda *args: torch.tensor([next(steps)])
    )
    assert list(model.stream("abc", 3)) == ["", "é", "b"]


def test_top_k_and_top_p_together_cut_to_k_first() -> None:
    from arena_lib.transformer.fast.generation import choose_tokens

    # Of 0.4, 0.3, 0.2, 0.1 the best three share 0.444, 0.333, 0.222, so 0.7 needs two of them.
    logits = torch.tensor([0.1, 0.4, 0.2, 0.3]).log().expand(4000, -1)
    options = WritingConfig(top_k=3, top_p=0.7)
    drawn = choose_tokens(torch.zeros(4000, 1, dtype=torch.int64), logits, options, torch.Generator().manual_seed(0))
    shares = torch.bincount(drawn, minlength=4) / 4000
    torch.testing.assert_close(shares, torch.tensor([0.0, 4 / 7, 0.0, 3 / 7]), rtol=0, atol=0.03)
    assert (shares > 0).tolist() == [False, True, False, True]


def test_penalties_leave_padding_out(model: Transformer) -> None:
    tokens, mask = model.to_padded_tokens(["ab", "cdefg"])
    options = {"repetition_penalty": 3.0, "frequency_penalty": 0.5, "return_type": "tokens", "stop_at_eos": False}
    together = model.generate(tokens, 5, attention_mask=mask, **options)
    assert torch.equal(together[0, 3:], model.generate("ab", 5, **options)[0])


def test_options_that_cannot_work_are_refused(model: Transformer) -> None:
    with pytest.raises(UnknownNameError, match=r"'freq_penalty'.*frequency_penalty"):
        model.generate("abc", 2, freq_penalty=1.0)
    for penalty in (0.0, -1.0, float("inf")):
        with pytest.raises(ConfigError, match=f"repetition_penalty must be finite and above 0: got {penalty}"):
            model.generate("abc", 2, repetition_penalty=penalty)
    with pytest.raises(TokenError, match="context of 11 tokens: got a prompt of 4"):
        model.generate("abc", 20)
    model.tokenizer = None
    with pytest.raises(ConfigError, match="text needs a tokenizer"):
        model.generate(PROMPTS, 2, return_type="str")
    assert model.generate(PROMPTS, 2).shape == (2, 5)


@pytest.mark.usefixtures("without_types")
def test_an_unknown_return_type_is_refused(model: Transformer) -> None:
    with pytest.raises(ConfigError, match="return_type must be 'tokens', 'str' or None: got 'text'"):
        model.generate("abc", 2, return_type="text")


def test_a_real_models_text_goes_on_as_the_bridge_writes() -> None:
    ours, bridge = zoo.load("tiny-llama"), zoo.load_bridge("tiny-llama")
    prompt = "When Tina and Jack went to the garden , Jack gave the lamp to"
    expected = bridge.generate(prompt, max_new_tokens=12, do_sample=False, verbose=False)
    assert expected.startswith(f" {prompt}")  # its tokenizer decodes a space in front
    assert " " + ours.generate(prompt, 12) == expected
    assert ours.generate([prompt, "Tina"], 12)[0] == ours.generate(prompt, 12)
    assert prompt + "".join(ours.stream(prompt, 12)) == ours.generate(prompt, 12)
