"""Tiny random models in nnsight, and tiny in-context tasks in Storyworld's words, for the judges of this section.

Shapes:  3 layers, 4 query heads on 2 of keys and values, d_head 6, d_model 24, Storyworld's vocabulary.
"""

from functools import cache
from typing import Any

import torch
from nnsight import TransformersModel
from transformers import LlamaConfig, LlamaForCausalLM

from arena_lib import zoo
from arena_lib.interp.steering.icl import RULE_LIST, ICLDataset

__test__ = False

SIZES: dict[str, Any] = {
    "hidden_size": 24,
    "intermediate_size": 20,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 6,
    "max_position_embeddings": 128,
}
N_BYTE_TOKENS = 257
"""The end of a text and the single bytes come first in Storyworld's vocabulary."""
PAIRS = [
    ("hot", "cold"),
    ("big", "small"),
    ("wet", "dry"),
    ("tall", "short"),
    ("old", "young"),
    ("rich", "poor"),
    ("loud", "quiet"),
    ("dark", "bright"),
]

OF_SEVERAL_TOKENS = [("dim", "bright"), ("hot", "cold"), ("ox", "big"), ("wet", "dry")]
"""Pairs of which some words are spelled in bytes, so that prompts differ in length."""

FROM_THE_LEFT = (
    "finds the last position by counting from the left",
    "shorter prompts are padded on the left, so the last position of every prompt is -1",
)


class TinyModel(TransformersModel):
    """A model whose name is short where a message shows it."""

    def __repr__(self) -> str:
        return "a tiny Llama in nnsight: 3 layers, 4 heads, d_head 6, random weights"


@cache
def tiny_model(seed: int = 0, sharpness: float = 1.0, has_biases: bool = False) -> TinyModel:
    """A random model in Llama's form that speaks Storyworld's words; its logits are multiplied by `sharpness`.

    With `has_biases` the maps of attention have biases, the output projection too.
    """
    tokenizer = zoo.load_tokenizer("tiny-llama")
    special: dict[str, Any] = dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id"), 0)
    how: dict[str, Any] = {"tie_word_embeddings": False, "attention_bias": has_biases} | SIZES | special
    model = LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), **how))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            mean, std = (1.0, 0.2) if "norm" in name else (0.0, 0.4)
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * std + mean)
        model.lm_head.weight.mul_(sharpness)
        model.lm_head.weight[:N_BYTE_TOKENS] = 0.0  # it never ends a text, and says words, which messages show
    return TinyModel(model.eval(), tokenizer=tokenizer, task="text-generation")


def dataset(size: int, n_prepended: int, seed: int = 0, **options: Any) -> ICLDataset:
    """A few lists of opposites."""
    return ICLDataset(PAIRS, size, n_prepended, seed=seed, form=RULE_LIST, **options)


def uneven_dataset(size: int, n_prepended: int, seed: int = 0) -> ICLDataset:
    """Prompts of different lengths, which nnsight pads on the left."""
    return ICLDataset(OF_SEVERAL_TOKENS, size, n_prepended, bidirectional=False, seed=seed, form=RULE_LIST)


def half_right_dataset(model: TinyModel) -> ICLDataset:
    """Questions alone, of which the model answers every other one as the data set does."""
    asked = ICLDataset(PAIRS, len(PAIRS), 0, bidirectional=False, form=RULE_LIST)
    with torch.no_grad(), model.trace(asked.prompts):
        guesses = model.lm_head.output[:, -1].argmax(dim=-1).save()
    words = {
        seq[0][0]: text.strip()
        for seq, text in zip(asked.seqs, model.tokenizer.batch_decode(guesses[:, None]), strict=True)
    }
    pairs = [(x, words[x] if i % 2 else y) for i, (x, y) in enumerate(PAIRS)]
    return ICLDataset(pairs, len(pairs), 0, bidirectional=False, form=RULE_LIST)
