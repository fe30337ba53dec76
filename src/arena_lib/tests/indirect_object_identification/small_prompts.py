"""Prompts in a language of two dozen words, and random models that read it, for this section's judges.

Shapes:  toks "batch seq"; the two templates have different lengths, so ends and names stand in different places.
"""

import re
from dataclasses import replace
from typing import Any

import torch

from arena_lib.interp.ioi.prompts import IOIDataset, IOIWords, make_ioi_dataset
from arena_lib.tests.indirect_object_identification.small_models import GPT2_CONFIG, LLAMA_CONFIG, make_model
from arena_lib.transformer.fast.model import Transformer

__test__ = False

WORDS = IOIWords(
    templates=(
        "In {place} {A} met {B}, {S} gave {object} to",
        "{place}: {A} saw {B}, then {S} in turn gave {object} to",
    ),
    names=("Ann", "Bob", "Cid", "Dan", "Eve", "Fay"),
    places=("Oslo", "Rome"),
    objects=("tea", "hats", "pie"),
)


class WordTokenizer:
    """One token for each word, another for each mark; token 0 begins a text."""

    bos_token_id = 0
    eos_token_id = 0

    def __init__(self) -> None:
        fixed = re.findall(r"[a-zA-Z]+", re.sub(r"{\w+}", "", " ".join(WORDS.templates)))
        words = [*fixed, *WORDS.names, *WORDS.places, *WORDS.objects]
        self.tokens = list(dict.fromkeys(["<s>", ",", ":", *(f" {word}" for word in words)]))

    def encode(self, text: str) -> list[int]:
        """The ids; the first word needs no space."""
        return [self.tokens.index(piece) for piece in re.findall(r" [a-zA-Z]+|[,:]", f" {text.strip()}")]

    def decode(self, ids: list[int]) -> str:
        """The text of these ids."""
        return "".join(self.tokens[token_id] for token_id in ids)


def make_prompts(n_prompts: int, generator: torch.Generator) -> tuple[IOIDataset, IOIDataset]:
    """Prompts, and what stands in for them with other names."""
    dataset = make_ioi_dataset(WordTokenizer(), n_prompts, generator=generator, words=WORDS)
    return dataset, dataset.abc(generator, WORDS.names)


def make_reader(form: str, generator: torch.Generator) -> Transformer:
    """A random model of GPT-2's or Llama's form that reads these prompts."""
    cfg: Any = {"gpt2": GPT2_CONFIG, "llama": LLAMA_CONFIG}[form]
    tokenizer = WordTokenizer()
    model = make_model(replace(cfg, d_vocab=len(tokenizer.tokens), n_ctx=16), generator)
    model.tokenizer = tokenizer
    return model
