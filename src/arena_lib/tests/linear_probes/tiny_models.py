"""A tiny model of transformers with random weights, and a tokenizer of single words, made without any file.

Shapes:  texts of these words -> tokens "batch seq"
"""

from typing import Any

import torch

__test__ = False

PAD = "<|endoftext|>"
"""Pads, and begins a text too: so only the attention mask tells which is which."""
WORDS = (
    *(PAD, "cats", "dogs", "owls", "see", "hear", "like", "red", "green", "lamps", "at", "night", ".", "true", "false"),
    *("This", "statement", "is:", "is", "Pretend", "you", "are", "an", "honest", "person,", "a", "liar,", "and", "say"),
    *("something", "true.", "false.", "user", "assistant", "system", "<end>"),
)
"""The words that some function here puts into its prompts are among them, so that none is left out unseen."""
N_LAYERS, D_MODEL = 5, 12
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ message['role'] }} {% generation %}{{ message['content'] }}"
    "{% endgeneration %} <end> {% endfor %}"
)
"""Each message between its speaker's role and a marker of its end."""


def make_tokenizer(padding_side: str = "right", chat_template: str | None = None) -> Any:
    """A tokenizer of transformers that splits at blanks, with a chat template if one is given."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import WhitespaceSplit
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token=PAD))
    words.pre_tokenizer = WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token=PAD, bos_token=PAD, eos_token=PAD, padding_side=padding_side
    )
    tokenizer.chat_template = chat_template
    return tokenizer


def make_model(seed: int = 0) -> Any:
    """A Llama of transformers, in evaluation mode; its weights are those of the seed."""
    from transformers import LlamaConfig, LlamaForCausalLM

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


def count_hooks(model: Any) -> int:
    """Forward hooks on the model, without those that transformers attaches once when hidden states are asked for."""
    hooks = [
        hook
        for module in model.modules()
        for hook in (*module._forward_hooks.values(), *module._forward_pre_hooks.values())
    ]
    return sum(not getattr(hook, "__module__", "").startswith("transformers.") for hook in hooks)


def _weights(seed: int, model: Any) -> dict[str, torch.Tensor]:
    """Weights large enough that every part is heard in the residual stream; no gain is 1."""
    generator = torch.Generator().manual_seed(seed)
    return {
        name: (1.0 if tensor.ndim == 1 else 0.0) + 0.4 * torch.randn(tensor.shape, generator=generator)
        for name, tensor in model.state_dict().items()
    }
