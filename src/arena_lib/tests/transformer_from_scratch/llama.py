"""Judges of what else turns GPT-2 into Llama: RMSNorm, the gated MLP, and the whole model.

Shapes:  residual stream "batch seq d_model"; tokens "batch seq"; logits "batch seq d_vocab".
Raises:  see `arena_lib.checking`.
Source:  own design.
"""

import einops
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from arena_lib.checking import Case, Mistake, exercise, module_case, module_outputs_and_gradients
from arena_lib.tests.transformer_from_scratch._small_models import LLAMA, LOGITS, RESIDUAL, residual_cases, residuals
from arena_lib.transformer import lesson_llama as lesson

__test__ = False


def rms_norm_cases(generator: torch.Generator) -> list[Case]:
    """Ordinary vectors, one alone, and vectors so small that epsilon shows."""
    inputs = residuals(generator, LLAMA.d_model) | {
        "epsilon: very short vectors": 1e-3 * torch.randn(2, 3, LLAMA.d_model, generator=generator),
    }
    return [module_case(label, lesson.RMSNorm, LLAMA, (x,), RESIDUAL, generator) for label, x in inputs.items()]


class RMSNormByTorch(lesson.RMSNorm):
    """Calls torch's own."""

    def forward(self, residual: Tensor) -> Tensor:
        return F.rms_norm(residual, (self.cfg.d_model,), self.w, self.cfg.rms_norm_eps)


class RMSNormByNorm(lesson.RMSNorm):
    """Multiplies by the inverse root of the squared norm over its length."""

    def forward(self, residual: Tensor) -> Tensor:
        squared = einops.einsum(residual, residual, "b s d, b s d -> b s")[..., None] / residual.shape[-1]
        return self.w * (residual * torch.rsqrt(squared + self.cfg.rms_norm_eps))


test_rms_norm = exercise(
    reference=lesson.RMSNorm,
    cases=rms_norm_cases,
    observe=module_outputs_and_gradients,
    keep=["__init__"],
    accepts=[RMSNormByTorch, RMSNormByNorm],
    mistakes=[
        Mistake(
            "subtracts the mean",
            "residual.pow(2).mean(dim=-1, keepdim=True)",
            "residual.var(dim=-1, keepdim=True, unbiased=False)",
            why="that is LayerNorm's variance; RMSNorm takes the mean of the plain squares",
        ),
        Mistake(
            "divides by the norm, not by the root mean square",
            "residual.pow(2).mean(",
            "residual.pow(2).sum(",
            why="the mean makes the result independent of d_model: its entries have size one, not its length",
        ),
        Mistake("divides by the mean square", ".sqrt()", "", why="it is its root that has the unit of the vector"),
        Mistake(
            "leaves epsilon out",
            " + self.cfg.rms_norm_eps",
            "",
            why="a zero vector would divide by zero, and short ones would be blown up",
        ),
        Mistake(
            "adds epsilon behind the root",
            "(mean_square + self.cfg.rms_norm_eps).sqrt()",
            "(mean_square.sqrt() + self.cfg.rms_norm_eps)",
            why="epsilon belongs to the mean square, under the root",
        ),
        Mistake("forgets the gain w", " * self.w", "", why="each direction gets its learned scale"),
        Mistake(
            "averages over the positions",
            "mean(dim=-1, keepdim=True)",
            "mean(dim=1, keepdim=True)",
            why="each position's vector is normalised by itself, over d_model",
        ),
        Mistake(
            "cuts the gradient of the mean square",
            "residual.pow(2)",
            "residual.detach().pow(2)",
            why="the divisor depends on the input, and its gradient is part of RMSNorm's",
        ),
    ],
)


def gated_mlp_cases(generator: torch.Generator) -> list[Case]:
    """Several positions, and one."""
    return residual_cases(generator, lesson.GatedMLP, LLAMA)


class GatedMLPByProduct(lesson.GatedMLP):
    """Matrix products, and SiLU spelled out."""

    def forward(self, normalized_resid_mid: Tensor) -> Tensor:
        gate = normalized_resid_mid @ self.W_gate
        return ((normalized_resid_mid @ self.W_in) * gate * torch.sigmoid(gate)) @ self.W_out


test_gated_mlp = exercise(
    reference=lesson.GatedMLP,
    cases=gated_mlp_cases,
    observe=module_outputs_and_gradients,
    keep=["__init__"],
    accepts=[GatedMLPByProduct],
    mistakes=[
        Mistake(
            "swaps gate and input",
            "gate = F.silu(einops.einsum(normalized_resid_mid, self.W_gate, widen))\n        post = gate * einops.einsum(normalized_resid_mid, self.W_in, widen)",
            "gate = F.silu(einops.einsum(normalized_resid_mid, self.W_in, widen))\n        post = gate * einops.einsum(normalized_resid_mid, self.W_gate, widen)",
            why="the activation acts on what W_gate gives; W_in stays linear",
        ),
        Mistake(
            "leaves the gate out",
            "post = gate * einops",
            "post = einops",
            why="the gate decides how much of each hidden value passes",
        ),
        Mistake(
            "adds the gate",
            "post = gate * einops",
            "post = gate + einops",
            why="a gate multiplies: where it is zero nothing passes",
        ),
        Mistake(
            "uses a sigmoid in place of SiLU",
            "F.silu(",
            "torch.sigmoid(",
            why="silu(a) = a * sigmoid(a)",
        ),
        Mistake("uses GELU in place of SiLU", "F.silu(", "F.gelu(", why="Llama's gate is SiLU: a * sigmoid(a)"),
        Mistake(
            "has no activation",
            "F.silu(einops.einsum(normalized_resid_mid, self.W_gate, widen))",
            "einops.einsum(normalized_resid_mid, self.W_gate, widen)",
            why="the gate is bent by SiLU before it multiplies",
        ),
    ],
)


def demo_llama_cases(generator: torch.Generator) -> list[Case]:
    """Embeddings of their own and tied ones, several sequences, and one token."""
    tied = lesson.LlamaConfig(**{**vars(LLAMA), "tie_embeddings": True})
    shapes = {"several sequences": (2, 4), "a single token": (3, 1)}
    return [
        module_case(
            f"{label}, {kind}",
            lesson.DemoLlama,
            cfg,
            (torch.randint(0, LLAMA.d_vocab, shape, generator=generator),),
            LOGITS,
            generator,
        )
        for label, shape in shapes.items()
        for kind, cfg in [("tied embeddings", tied), ("an unembedding of its own", LLAMA)]
    ]


class DemoLlamaBySequential(lesson.DemoLlama):
    """A chain of modules, and the unembedding as one matrix."""

    def forward(self, tokens: Tensor) -> Tensor:
        x = nn.Sequential(self.embed, *self.blocks, self.ln_final)(tokens)
        return x @ (self.embed.W_E.T if self.cfg.tie_embeddings else self.unembed.W_U)


test_demo_llama = exercise(
    reference=lesson.DemoLlama,
    cases=demo_llama_cases,
    observe=module_outputs_and_gradients,
    keep=["__init__"],
    accepts=[DemoLlamaBySequential],
    mistakes=[
        Mistake(
            "forgets the final RMSNorm",
            "x = self.ln_final(residual)",
            "x = residual",
            why="the stream has grown with every block; it is normalised once more before it is read",
        ),
        Mistake(
            "leaves the last block out",
            "in self.blocks:",
            "in self.blocks[:-1]:",
            why="every block takes its turn",
        ),
        Mistake(
            "adds each block's output to the stream again",
            "residual = block(residual)",
            "residual = residual + block(residual)",
            why="a block returns the whole stream already",
        ),
        Mistake(
            "scales the embedding by the root of d_model",
            "residual = self.embed(tokens)",
            "residual = self.embed(tokens) * self.cfg.d_model**0.5",
            why="some models of other families do that; Llama takes the row as it is",
        ),
        Mistake(
            "cuts the gradient of a tied unembedding",
            "einops.einsum(x, self.embed.W_E,",
            "einops.einsum(x, self.embed.W_E.detach(),",
            why="a tied embedding learns from both of its uses",
        ),
        Mistake(
            "returns log-probabilities of tied embeddings",
            '"batch seq d_model, d_vocab d_model -> batch seq d_vocab")',
            '"batch seq d_model, d_vocab d_model -> batch seq d_vocab").log_softmax(dim=-1)',
            why="logits are asked for, before any normalisation",
        ),
    ],
)
