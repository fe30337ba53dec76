"""Small models that the judges of section 2.4 share."""

from typing import Any

import torch

from arena_lib.checking import random_weights
from arena_lib.transformer.fast.gpt2 import GPT2, GPT2Config
from arena_lib.transformer.fast.llama import Llama, LlamaConfig
from arena_lib.transformer.fast.model import Transformer

__test__ = False

SIZES: dict[str, Any] = {
    "d_model": 16,
    "d_vocab": 13,
    "n_ctx": 12,
    "n_layers": 2,
    "n_heads": 2,
    "d_head": 6,
    "d_mlp": 20,
}


def make_policy(kind: str = "llama", seed: int = 0, scale: float = 0.3) -> Transformer:
    """A transformer of random weights, of which no gain is 1 and no bias 0."""
    generator = torch.Generator().manual_seed(seed)
    model: Transformer = (
        GPT2(GPT2Config(**SIZES), generator=generator)
        if kind == "gpt2"
        else Llama(LlamaConfig(n_kv_heads=1, **SIZES), generator=generator)
    )
    weights = random_weights(model, generator, scale)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(weights[name])
    return model
