"""Small random transformers that the judges of section 2.4's last parts run; their sizes are pairwise different."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from arena_lib.checking import random_weights
from arena_lib.transformer.fast.gpt2 import GPT2, GPT2Config
from arena_lib.transformer.fast.llama import Llama, LlamaConfig
from arena_lib.transformer.fast.model import Transformer

__test__ = False

D_VOCAB = 17
GPT2_CONFIG = GPT2Config(d_vocab=D_VOCAB, n_ctx=16, d_model=10, n_layers=2, n_heads=3, d_head=6, d_mlp=14)
LLAMA_CONFIG = LlamaConfig(
    d_vocab=D_VOCAB, n_ctx=16, d_model=12, n_layers=3, n_heads=4, n_kv_heads=2, d_head=6, d_mlp=9
)


def build(cfg: Any, weights: Mapping[str, Tensor] | None = None) -> Transformer:
    """The form that belongs to a config, with these weights."""
    model = Llama(cfg) if isinstance(cfg, LlamaConfig) else GPT2(cfg)
    if weights is not None:
        fill(model, weights)
    return model


def draw_weights(cfg: Any, generator: torch.Generator, scale: float = 0.3) -> dict[str, Tensor]:
    """Weights for `build`: no gain is one and no bias zero."""
    return random_weights(build(cfg), generator, scale)


@torch.no_grad()
def fill(module: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Copy these into the parameters of the same names; the module takes their dtype."""
    module.to(next(iter(weights.values())).dtype)
    for name, weight in weights.items():
        module.get_parameter(name).copy_(weight)


def draw_tokens(batch: int, seq: int, generator: torch.Generator) -> Tensor:
    """Random tokens."""
    return torch.randint(0, D_VOCAB, (batch, seq), generator=generator)


def gradients_of(total: Any, wanted: Mapping[str, Tensor]) -> dict[str, Any]:
    """The gradient of `total` for each of these; zeros where none flows."""
    if not (isinstance(total, Tensor) and total.requires_grad):
        return {"gradients": "none"}
    found = torch.autograd.grad(total, list(wanted.values()), allow_unused=True)
    return {
        f"gradient of {name}": torch.zeros_like(leaf) if gradient is None else gradient
        for (name, leaf), gradient in zip(wanted.items(), found, strict=True)
    }
