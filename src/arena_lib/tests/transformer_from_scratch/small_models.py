"""The sizes of the small models of section 1.1's judges, and what goes into them.

Shapes:  residual stream "batch seq d_model"; tokens "batch seq"; logits "batch seq d_vocab".
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from arena_lib.checking import Case, Mistake, instead_of, module_case
from arena_lib.transformer import lesson, lesson_llama

__test__ = False

RESIDUAL = "batch seq d_model"
LOGITS = "batch seq d_vocab"
GPT2 = lesson.Config(d_model=7, d_vocab=13, n_ctx=9, n_layers=3, n_heads=3, d_head=6, d_mlp=8, layer_norm_eps=3e-5)
LLAMA = lesson_llama.LlamaConfig(
    d_model=7,
    d_vocab=13,
    n_ctx=16,
    n_layers=3,
    n_heads=6,
    n_kv_heads=2,
    d_head=8,
    d_mlp=9,
    rope_theta=50.0,
    rms_norm_eps=3e-5,
    tie_embeddings=False,
)

Sizes = lesson.Config | lesson_llama.LlamaConfig


def residuals(generator: torch.Generator, d_model: int) -> dict[str, Tensor]:
    """Vectors at several positions and at one, with a mean well away from zero."""
    shapes = {"several sequences": (2, 4), "one vector": (1, 1)}
    return {label: 1.5 * torch.randn(*shape, d_model, generator=generator) + 0.7 for label, shape in shapes.items()}


def residual_cases(
    generator: torch.Generator, reference: Callable[..., nn.Module], cfg: Sizes, axes: str = RESIDUAL
) -> list[Case]:
    """Calls of a module that reads the residual stream, and returns `axes`."""
    inputs = residuals(generator, cfg.d_model)
    return [module_case(label, reference, cfg, (x,), axes, generator) for label, x in inputs.items()]


def tokens(generator: torch.Generator, *shape: int) -> Tensor:
    """Token ids that are valid positions too, so that confusing the two gives a wrong value, not an exception."""
    return torch.randint(0, GPT2.n_ctx, shape, generator=generator)


def wrong_results(wrong: Mapping[str, tuple[str, str]]) -> tuple[Mistake, ...]:
    """What can be done wrongly to a module's result, as code after it: a name and why. Other mistakes may come along."""
    step = "@lambda forward: lambda self, x: forward(self, x)"
    return instead_of("def forward(", {f"{step}{end}\n    def forward(": words for end, words in wrong.items()})
