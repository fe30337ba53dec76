"""The small random models that this section's judges run.

Shapes:  tokens "batch seq" -> logits "batch seq d_vocab".
"""

import types
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from arena_lib.checking.observing import count_hooks, hooks_in_words
from arena_lib.transformer.fast.attention_only import AttentionOnly, AttentionOnlyConfig
from arena_lib.transformer.fast.model import Transformer

__test__ = False

BOS = 4
"""The token that begins a text: neither the first nor the last of the vocabulary."""
HOOKS_LEFT = "hooks left on the model"
WEIGHTS = "change in the sum of the model's weights"


def make_model(generator: torch.Generator, **sizes: int) -> AttentionOnly:
    """Two layers of three heads, unless `sizes` says otherwise; no weight, bias or gain is zero or one."""
    chosen: dict[str, Any] = {"d_model": 10, "d_vocab": 13, "n_ctx": 40, "n_layers": 2, "n_heads": 3, "d_head": 4}
    model = AttentionOnly(AttentionOnlyConfig(**(chosen | sizes)))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.6 * torch.randn(parameter.shape, generator=generator))
    model.tokenizer = types.SimpleNamespace(bos_token_id=BOS)
    return model


def make_repeated(model: Transformer, n: int, batch: int, generator: torch.Generator) -> Int[Tensor, "batch seq"]:
    """The first token, and twice the same n."""
    drawn = torch.randint(0, model.cfg.d_vocab, (batch, n), generator=generator)
    return torch.cat([torch.full((batch, 1), BOS), drawn, drawn], dim=1)


def random_patterns(*shape: int, generator: torch.Generator) -> Float[Tensor, "..."]:
    """Attention patterns of this shape: each query looks at itself and the positions before it, unevenly."""
    scores = 2 * torch.randn(shape, generator=generator)
    return scores.masked_fill(torch.ones(shape[-2:]).triu(1).bool(), -torch.inf).softmax(dim=-1)


def state_of(model: Transformer) -> tuple[int, float]:
    """What a run may change: how many hooks there are, and the sum of all weights."""
    return count_hooks(model), float(sum(parameter.detach().double().sum() for parameter in model.parameters()))


def left_behind(before: tuple[int, float], after: tuple[int, float]) -> dict[str, Any]:
    """What a run has left on the model, from `state_of` before and after it."""
    return {HOOKS_LEFT: hooks_in_words(after[0] - before[0]), WEIGHTS: after[1] - before[1]}
