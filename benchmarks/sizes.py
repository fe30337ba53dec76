"""The models that the transformer's paths run, and how their results are compared.

`tiny` is for agreement alone. The published sizes have GPT-2 small's shape, whose
weights are drawn at random: speed doesn't depend on them, and nothing is downloaded.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from arena_lib.transformer.fast.gpt2 import GPT2, GPT2Config
from benchmarks.harness.declaring import Disagreement, Place

TINY = GPT2Config(d_model=32, d_vocab=97, n_ctx=48, n_layers=3, n_heads=4, d_head=8, d_mlp=64, tie_embeddings=True)
GPT2_SMALL = GPT2Config(
    d_model=768, d_vocab=50257, n_ctx=1024, n_layers=12, n_heads=12, d_head=64, d_mlp=3072, tie_embeddings=True
)
TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-4, torch.bfloat16: 5e-2}
"""The largest difference that two correct results may have, as a fraction of the largest entry, by dtype."""


@dataclass(frozen=True)
class Shape:
    """How many sequences of how many tokens."""

    batch: int
    seq: int


def make_gpt2(place: Place, cfg: GPT2Config | None = None) -> GPT2:
    """Our model for this size, in eval mode."""
    cfg = cfg or (TINY if place.size == "tiny" else GPT2_SMALL)
    model = GPT2(cfg, generator=torch.Generator().manual_seed(0))
    return model.to(place.device, place.dtype).eval()


def make_tokens(place: Place, shape: Shape, cfg: GPT2Config) -> Int[Tensor, "batch seq"]:
    """Random tokens, the same each time."""
    generator = torch.Generator().manual_seed(1)
    return torch.randint(cfg.d_vocab, (shape.batch, shape.seq), generator=generator).to(place.device)


def compare_tensors(ours: Tensor, theirs: Tensor) -> float:
    """The largest difference as a fraction of the largest entry; `Disagreement` above the dtype's tolerance."""
    if ours.shape != theirs.shape:
        raise Disagreement(f"the results have different shapes: {tuple(ours.shape)} and {tuple(theirs.shape)}")
    if ours.dtype.is_floating_point:
        scale = theirs.abs().max().double().clamp_min(1e-30)
        difference = float((ours.double() - theirs.double()).abs().max() / scale)
        allowed = TOLERANCE[ours.dtype]
    else:
        difference, allowed = float((ours != theirs).double().mean()), 0.0
    if not difference <= allowed:
        raise Disagreement(
            f"the results differ by {difference:.2g} of the largest entry; at most {allowed:.2g} is rounding"
        )
    return difference


def count_forward_flops(cfg: GPT2Config, shape: Shape, n_unembedded: int | None = None) -> float:
    """Two for each weight and token, and both products of attention over the full square, as the kernels count."""
    d_heads = cfg.n_heads * cfg.d_head
    per_token = 2 * cfg.n_layers * (4 * cfg.d_model * d_heads + 2 * cfg.d_model * cfg.d_mlp)
    attention = 4 * cfg.n_layers * d_heads * shape.seq
    n_tokens = shape.batch * shape.seq
    n_unembedded = n_tokens if n_unembedded is None else n_unembedded
    return float(n_tokens * (per_token + attention) + 2 * n_unembedded * cfg.d_model * cfg.d_vocab)


def count_weight_bytes(model: GPT2) -> float:
    """What reading every weight once takes."""
    return float(sum(weight.numel() * weight.element_size() for weight in model.parameters()))
