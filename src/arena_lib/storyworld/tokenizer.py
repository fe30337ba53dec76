"""One token a word, bytes for every other text, in a tokenizer.json that `tokenizers` reads.

A word's token begins with its space, as in GPT-2; text gets one in front if it
has none, so `Mary` and ` Mary` are the same token. Punctuation has none.

Shapes:  text -> tokens "seq"
"""

import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from arena_lib.storyworld.frames import list_frames, split_frame
from arena_lib.storyworld.lexicon import NUMBERS, PUNCTUATION, list_words

END_OF_TEXT = "<|endoftext|>"
"""Stands before every document and at the end of a text."""


def byte_token(value: int) -> str:
    """The token of one byte.

    >>> byte_token(65)
    '<0x41>'
    """
    return f"<0x{value:02X}>"


@cache
def list_vocabulary_words() -> tuple[str, ...]:
    """Every word that a document can have, sorted; bytes apart."""
    words = set(list_words()) | {number.capitalize() for number in NUMBERS}
    for frame in list_frames():
        words |= {piece for piece in split_frame(frame) if piece[0] != "{"}
    return tuple(sorted(words | {"was", "were", "has", "have", "it", "them", "a", "an", "some"}))


@cache
def vocabulary() -> dict[str, int]:
    """Word (as documents have it: no space) or byte token to id; the end of text is 0."""
    tokens = [END_OF_TEXT, *(byte_token(value) for value in range(256)), *list_vocabulary_words()]
    return {token: idx for idx, token in enumerate(tokens)}


def spell(word: str) -> str:
    """A word as the tokenizer has it: with its space, unless it is punctuation or a byte."""
    return word if word in PUNCTUATION or word.startswith("<") else " " + word


def encode_words(words: Iterable[str]) -> list[int]:
    """Ids of the words of a document."""
    table = vocabulary()
    return [table[word] for word in words]


def tokenizer_json() -> dict[str, Any]:
    """The tokenizer as `tokenizers` saves it: whole words by `ignore_merges`, everything else by bytes."""
    words = {spell(word) if word != END_OF_TEXT else word: idx for word, idx in vocabulary().items()}
    special = {
        "id": 0,
        "content": END_OF_TEXT,
        "single_word": False,
        "lstrip": False,
        "rstrip": False,
        "normalized": False,
        "special": True,
    }
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [special],
        "normalizer": {"type": "Replace", "pattern": {"Regex": r"\A(?=\p{L})"}, "content": " "},
        "pre_tokenizer": {
            "type": "Split",
            "pattern": {"Regex": r" ?\p{L}+|[^\p{L}]"},
            "behavior": "Isolated",
            "invert": False,
        },
        "post_processor": None,
        "decoder": {"type": "Sequence", "decoders": [{"type": "ByteFallback"}, {"type": "Fuse"}]},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": True,
            "ignore_merges": True,
            "vocab": words,
            "merges": [],
        },
    }


def save_tokenizer(folder: Path) -> None:
    """Write tokenizer.json and tokenizer_config.json, which `transformers` opens."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer_json(), ensure_ascii=False, indent=0), encoding="utf-8")
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": END_OF_TEXT,
        "eos_token": END_OF_TEXT,
        "pad_token": END_OF_TEXT,
        "unk_token": END_OF_TEXT,
        "clean_up_tokenization_spaces": False,
        "model_max_length": 10**9,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")
