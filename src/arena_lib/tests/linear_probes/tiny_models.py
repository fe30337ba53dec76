"""A tiny model of transformers with random weights, and tokenizers of words and of pieces, made without any file.

Shapes:  texts of these words -> tokens "batch seq"
"""

from typing import Any

import torch
from tokenizers import Regex, Tokenizer, decoders
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Metaspace, Sequence, Split
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

__test__ = False

PAD = "<|endoftext|>"
"""Pads, and begins a text too: so only the attention mask tells which is which."""
WORDS = (
    *(PAD, "cats", "dogs", "owls", "see", "hear", "like", "red", "green", "lamps", "at", "night", ".", "true", "false"),
    *("This", "statement", "is:", "is", "Pretend", "you", "are", "an", "honest", "person,", "a", "liar,", "and", "say"),
    *("something", "true.", "false.", "user", "assistant", "system", "<end>"),
)
"""The words that some function here puts into its prompts are among them, so that none is left out unseen."""
PIECES = (
    *(PAD, "assistant ow", "assistant ", "user ", "gs <", "end> ", " <end> ", "do", "gs", "ow", "ls", "cats", "see"),
    *("hear", "red", "lam", "ps", " "),
)
"""The first that fits is the next token: "assistant ow" and "gs <" lie across a border, "assistant " and " <end> " touch it."""
N_LAYERS, D_MODEL = 5, 12
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ message['role'] }} {% generation %}{{ message['content'] }}"
    "{% endgeneration %} <end>{{ '' if loop.last else ' ' }}{% endfor %}"
)
"""Each message between its speaker's role and a marker of its end."""


def make_tokenizer(padding_side: str = "right", chat_template: str | None = None) -> Any:
    """A tokenizer of transformers that splits at single spaces, with a chat template if one is given.

    A space too many, in front of another or at the end, makes a word that it doesn't know.
    """
    words = Tokenizer(WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token=PAD))
    words.pre_tokenizer = Split(Regex(r" (?=\S)"), "removed")
    return _for_transformers(words, chat_template, padding_side)


def make_piece_tokenizer(chat_template: str | None = None) -> Any:
    """A tokenizer of pieces, which lie across a turn's border or touch it; the vocabulary writes a space as an underscore."""
    vocabulary = {piece.replace(" ", "_"): i for i, piece in enumerate(PIECES)}
    pieces = Tokenizer(WordLevel(vocabulary, unk_token=PAD))
    space: dict[str, Any] = {"replacement": "_", "prepend_scheme": "never", "split": False}
    pieces.pre_tokenizer = Sequence([Split(Regex("|".join(PIECES)), "isolated"), Metaspace(**space)])
    pieces.decoder = decoders.Metaspace(**space)
    return _for_transformers(pieces, chat_template)


def _for_transformers(backend: Any, chat_template: str | None, padding_side: str = "right") -> Any:
    special = dict.fromkeys(("pad_token", "bos_token", "eos_token"), PAD)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, padding_side=padding_side, **special)
    tokenizer.chat_template = chat_template
    return tokenizer


def make_model(seed: int = 0) -> Any:
    """A Llama of transformers, in evaluation mode; its weights are those of the seed."""
    config = LlamaConfig(
        vocab_size=len(WORDS),
        hidden_size=D_MODEL,
        intermediate_size=20,
        num_hidden_layers=N_LAYERS,
        num_attention_heads=3,
        num_key_value_heads=3,
        max_position_embeddings=64,
        pad_token_id=0,
        bos_token_id=0,
        eos_token_id=0,
    )
    model = LlamaForCausalLM(config).eval()
    model.load_state_dict(_weights(seed, model))
    return model


def _weights(seed: int, model: Any) -> dict[str, torch.Tensor]:
    """Weights large enough that every part is heard in the residual stream; no gain is 1."""
    generator = torch.Generator().manual_seed(seed)
    return {
        name: (1.0 if tensor.ndim == 1 else 0.0) + 0.4 * torch.randn(tensor.shape, generator=generator)
        for name, tensor in model.state_dict().items()
    }
