"""A word-level tokenizer and small random models for the tests of indirect object identification."""

import re

import pytest
import torch

from arena_lib.interp.ioi import IOIWords
from arena_lib.transformer.fast.gpt2 import GPT2, GPT2Config
from arena_lib.transformer.fast.llama import Llama, LlamaConfig

NAMES = ("Ann", "Bob", "Cid", "Dan", "Eve", "Fay")
WORDS = IOIWords(
    templates=(
        "When {A} and {B} met in the {place}, {S} gave the {object} to",
        "Then {A} saw {B} and they left the {place}, so {S} gave the {object} to",
    ),
    names=NAMES,
    places=("park", "shop"),
    objects=("ball", "cup", "hat"),
)


class WordTokenizer:
    """One token for each word with its space, one for each comma; token 0 begins a text. "Otto" is two."""

    bos_token_id = 0
    eos_token_id = 0

    def __init__(self):
        text = " ".join(template for template in WORDS.templates)
        words = re.findall(r"[A-Za-z]+", re.sub(r"{\w+}", "", text))
        words += [*NAMES, *WORDS.places, *WORDS.objects, "Ot", "to"]
        self.vocab = {word: idx for idx, word in enumerate(dict.fromkeys(["<s>", ",", *(f" {w}" for w in words)]))}

    def encode(self, text):
        pieces = re.findall(r" ?[A-Za-z]+|,", text if text[0] == " " else f" {text}")
        pieces = [part for piece in pieces for part in ([" Ot", " to"] if piece == " Otto" else [piece])]
        return [self.vocab[piece] for piece in pieces]

    def decode(self, ids):
        words = list(self.vocab)
        return "".join(words[idx] for idx in ids)


@pytest.fixture
def tokenizer():
    return WordTokenizer()


def randomize(model, seed):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.5 * torch.randn(parameter.shape, generator=generator))
    return model.double().eval().requires_grad_(False)


def make_model(form="llama", seed=0):
    sizes = {"d_model": 12, "d_vocab": len(WordTokenizer().vocab), "n_ctx": 44, "n_layers": 3, "n_heads": 4}
    if form == "llama":
        model = Llama(LlamaConfig(**sizes, d_head=6, n_kv_heads=2, d_mlp=15))
    else:
        model = GPT2(GPT2Config(**sizes, d_head=5, d_mlp=15))
    model = randomize(model, seed)
    model.tokenizer = WordTokenizer()
    return model


@pytest.fixture(params=["llama", "gpt2"])
def model(request):
    return make_model(request.param)


@pytest.fixture
def words():
    return WORDS
