"""What the paths of patching share: two sets of prompts, a metric, and quiet runs of the peers.

The metric is the logit difference of two tokens at the last position, less what it is without a patch: so
results are effects, and agreement is asked of the effects, not of the large number that they ride on.
"""

import contextlib
import io
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from arena_lib.transformer.fast.gpt2 import GPT2, GPT2Config
from benchmarks.harness.declaring import Place, Run
from benchmarks.sizes import TINY, Shape, make_gpt2, make_tokens

NARROW = GPT2Config(
    d_model=192, d_vocab=8192, n_ctx=1024, n_layers=12, n_heads=12, d_head=16, d_mlp=768, tie_embeddings=True
)
"""GPT-2 small's 12 x 12 heads at a quarter of its width, for loops that would take minutes with all of it."""

SPREAD, NARROW_SPREAD = 5.0, 20.0
"""Weights drawn at GPT-2's size make heads that hardly act; larger ones by this act on the logits, far above rounding."""

DTYPES = {"cpu": ("float32",), "cuda": ("float32",)}
"""Effects are differences of nearly equal numbers, which bfloat16 would round away."""


@dataclass(frozen=True)
class Task:
    """What is patched into what, and the metric."""

    model: GPT2
    orig: Int[Tensor, "batch seq"]
    """The prompts that run."""
    new: Int[Tensor, "batch seq"]
    """The prompts that activations are taken from."""
    answers: Int[Tensor, "batch 2"]
    base: Float[Tensor, ""]
    """The logit difference without a patch."""

    def metric(self, logits: Float[Tensor, "batch seq d_vocab"]) -> Float[Tensor, ""]:
        """How much higher the first answer's logit is than the second's, less what it is without a patch."""
        return measure(logits[:, -1], self.answers) - self.base

    def caches(self, model: Any) -> tuple[Any, Any]:
        """Every activation of a model's two runs, the original's first."""
        with torch.no_grad():
            return model.run_with_cache(self.orig)[1], model.run_with_cache(self.new)[1]


def measure(logits: Float[Tensor, "*any batch d_vocab"], answers: Int[Tensor, "batch 2"]) -> Float[Tensor, "*any"]:
    """The mean logit difference."""
    right, wrong = logits.gather(-1, answers.expand(*logits.shape[:-1], 2)).unbind(-1)
    return (right - wrong).mean(-1)


def make_task(place: Place, cfg: GPT2Config, shape: Shape) -> Task:
    """The same prompts and weights each time; the tiny model at size `tiny`."""
    cfg, shape = (TINY, Shape(2, 9)) if place.size == "tiny" else (cfg, shape)
    model = make_gpt2(place, cfg).requires_grad_(False)
    for name, parameter in model.named_parameters():
        if name.startswith("blocks") and parameter.ndim > 1:
            parameter.mul_(NARROW_SPREAD if cfg is NARROW else SPREAD)
    tokens = make_tokens(place, Shape(3 * shape.batch, shape.seq), cfg)
    orig, new, others = tokens.chunk(3)
    answers = others[:, :2]
    with torch.no_grad():
        base = measure(model(orig)[:, -1], answers)
    return Task(model, orig, new, answers, base)


def quietly(run: Run) -> Run:
    """A run without its progress bars, on whichever side."""

    def run_quietly() -> Any:
        os.environ["ARENA_QUIET"] = "1"
        with contextlib.redirect_stderr(io.StringIO()):
            return run()

    return run_quietly


def set_up(make_run: Callable[[Any], Run], make_peer: Callable[[], Any]) -> Callable[[], Run]:
    """A peer's set-up: its model, then its run on it, quiet."""
    return lambda: quietly(make_run(make_peer()))
