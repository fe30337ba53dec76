"""The word-level tokenizer, as our own table and as `tokenizers` reads it."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from arena_lib.storyworld import lexicon
from arena_lib.storyworld.choice import Chooser
from arena_lib.storyworld.corpus import MIXTURE, tell
from arena_lib.storyworld.tokenizer import (
    END_OF_TEXT,
    byte_token,
    encode_words,
    list_vocabulary_words,
    save_tokenizer,
    spell,
    tokenizer_json,
    vocabulary,
)

TOKENIZER = Tokenizer.from_str(json.dumps(tokenizer_json()))


def test_the_vocabulary_is_end_of_text_then_bytes_then_words() -> None:
    table = vocabulary()
    assert table[END_OF_TEXT] == 0
    assert (table["<0x00>"], table["<0xFF>"]) == (1, 256)
    assert sorted(table.values()) == list(range(len(table)))
    assert len(table) == 257 + len(list_vocabulary_words()) == TOKENIZER.get_vocab_size() == 929
    assert len(list_vocabulary_words()) >= 600


@pytest.mark.parametrize("kind", MIXTURE)
def test_documents_have_the_same_ids_as_their_text(kind: str) -> None:
    choose = Chooser("tokenizer", kind)
    for _ in range(10):
        words = tell(kind, choose).words
        text = "".join(spell(word) for word in words)
        if kind != "spelling":
            assert TOKENIZER.encode(text).ids == encode_words(words)
            assert TOKENIZER.decode(encode_words(words)) == text


def test_every_name_is_one_token_with_or_without_its_space() -> None:
    for name in lexicon.ALL_NAMES:
        assert TOKENIZER.encode(name).ids == TOKENIZER.encode(" " + name).ids == [vocabulary()[name]]


def test_punctuation_stands_without_a_space() -> None:
    assert TOKENIZER.encode("hot: cold, big.").tokens == [" hot", ":", " cold", ",", " big", "."]
    assert (spell("."), spell("hot"), spell("<0x41>")) == (".", " hot", "<0x41>")


def test_other_words_are_spelled_in_bytes() -> None:
    assert TOKENIZER.encode("Zoë").tokens == ["<0x20>", "<0x5A>", "<0x6F>", "<0xC3>", "<0xAB>"]
    assert byte_token(171) == "<0xAB>"


def test_the_end_of_text_is_one_token_and_skipped_in_decoding() -> None:
    ids = TOKENIZER.encode(END_OF_TEXT + "Mary had a hat.").ids
    assert ids[0] == 0
    assert TOKENIZER.decode(ids) == " Mary had a hat."


@given(st.text(max_size=40))
@settings(max_examples=100, deadline=None)
def test_any_text_comes_back_up_to_the_space_in_front(text: str) -> None:
    if END_OF_TEXT in text:
        return
    assert TOKENIZER.decode(TOKENIZER.encode(text).ids).removeprefix(" ") == text.removeprefix(" ")


def test_transformers_opens_what_is_saved(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    save_tokenizer(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id) == (0, 0, 0)
    assert len(tokenizer) == 929
    assert tokenizer("Mary gave the ball to John.")["input_ids"] == encode_words(
        ["Mary", "gave", "the", "ball", "to", "John", "."]
    )
    assert tokenizer.decode([0, *encode_words(["Mary"])], skip_special_tokens=True) == " Mary"
