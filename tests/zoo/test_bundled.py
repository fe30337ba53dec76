"""The language models that ship with arena_lib: each is what its card says and opens everywhere."""

import pytest
import torch

from arena_lib import zoo
from arena_lib.transformer.fast.attention_only import AttentionOnly
from arena_lib.transformer.fast.gpt2 import GPT2
from arena_lib.transformer.fast.llama import Llama
from arena_lib.zoo.cards import LANGUAGE_MODELS

BUNDLED = [
    name for name in zoo.names() if zoo.info(name).source == "bundled" and zoo.info(name).form in LANGUAGE_MODELS
]
OPEN_ELSEWHERE = [name for name in BUNDLED if zoo.info(name).form != "attention-only"]
FORMS = {"gpt2": GPT2, "llama": Llama, "attention-only": AttentionOnly}
MOST_BYTES = 40_000_000  # all together, in the wheel


def make_tokens(model) -> torch.Tensor:
    return torch.randint(0, model.cfg.d_vocab, (2, 11), generator=torch.Generator().manual_seed(0))


def test_all_together_they_keep_the_wheel_small():
    bundled = [name for name in zoo.names() if zoo.info(name).source == "bundled"]
    sizes = [file.stat().st_size for name in bundled for file in zoo.path(name).iterdir()]
    assert sum(sizes) <= MOST_BYTES


@pytest.mark.parametrize("name", BUNDLED)
def test_the_model_is_what_its_card_says(name):
    card, model = zoo.info(name), zoo.load(name)
    assert type(model) is FORMS[card.form]
    assert sum(weight.numel() for weight in model.parameters()) == card.parameters
    assert (zoo.path(name) / "model.safetensors").stat().st_size == card.size


@pytest.mark.parametrize("name", BUNDLED)
def test_the_tokenizer_fits_the_model(name):
    model = zoo.load(name)
    assert len(model.tokenizer) == model.cfg.d_vocab
    assert (zoo.path(name) / "tokenizer_config.json").exists()  # without it transformers may build another tokenizer
    text = "Mary gave the red ball to John."
    assert model.tokenizer.decode(model.tokenizer.encode(text)).strip() == text


@pytest.mark.parametrize("name", OPEN_ELSEWHERE)
def test_other_libraries_open_it_with_the_same_logits(name):
    from transformers import AutoModelForCausalLM

    model = zoo.load(name)
    tokens = make_tokens(model)
    with torch.no_grad():
        expected = model(tokens)
        logits = [
            AutoModelForCausalLM.from_pretrained(zoo.path(name), dtype=torch.float32)(tokens).logits,
            zoo.load_bridge(name)(tokens),
        ]
        traced_model = zoo.load_nnsight(name)
        with traced_model.trace(tokens):
            traced = traced_model.output.logits.save()
    for other in (*logits, traced):
        torch.testing.assert_close(other, expected, rtol=1e-4, atol=1e-4)
