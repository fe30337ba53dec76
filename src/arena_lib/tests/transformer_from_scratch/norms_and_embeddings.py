"""Judges of the norms, and of the ways from tokens to vectors and back; with small models for the other parts.

Shapes:  residual stream "batch seq d_model"; tokens "batch seq"; logits "batch seq d_vocab".
"""

from collections.abc import Callable

import einops
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from arena_lib.checking import Case, Mistake, exercise, module_case, module_outputs_and_gradients
from arena_lib.transformer import lesson, lesson_llama

__test__ = False

RESIDUAL = "batch seq d_model"
LOGITS = "batch seq d_vocab"
GPT2 = lesson.Config(d_model=6, d_vocab=13, n_ctx=7, n_layers=3, n_heads=2, d_head=4, d_mlp=9, layer_norm_eps=3e-5)
LLAMA = lesson_llama.LlamaConfig(
    d_model=7,
    d_vocab=13,
    n_ctx=16,
    n_layers=2,
    n_heads=6,
    n_kv_heads=2,
    d_head=4,
    d_mlp=9,
    rope_theta=50.0,
    rms_norm_eps=3e-5,
    tie_embeddings=False,
)


def residuals(generator: torch.Generator, d_model: int) -> dict[str, Tensor]:
    """Vectors at several positions and at one, with a mean well away from zero."""
    shapes = {"several sequences": (2, 3), "one vector": (1, 1)}
    return {label: 1.5 * torch.randn(*shape, d_model, generator=generator) + 0.7 for label, shape in shapes.items()}


def residual_cases(
    generator: torch.Generator,
    reference: Callable[..., nn.Module],
    cfg: lesson.Config | lesson_llama.LlamaConfig,
    axes: str = RESIDUAL,
) -> list[Case]:
    """Calls of a module that reads the residual stream, and returns `axes`."""
    inputs = residuals(generator, cfg.d_model)
    return [module_case(label, reference, cfg, (x,), axes, generator) for label, x in inputs.items()]


def tokens(generator: torch.Generator, *shape: int) -> Tensor:
    """Token ids that are valid positions too, so that confusing the two gives a wrong value, not an exception."""
    return torch.randint(0, GPT2.n_ctx, shape, generator=generator)


def layer_norm_cases(generator: torch.Generator) -> list[Case]:
    """Ordinary vectors, one alone, and vectors with a variance below epsilon."""
    inputs = residuals(generator, GPT2.d_model) | {
        "epsilon: vectors that hardly vary": 1e-3 * torch.randn(2, 3, GPT2.d_model, generator=generator),
    }
    return [module_case(label, lesson.LayerNorm, GPT2, (x,), RESIDUAL, generator) for label, x in inputs.items()]


class LayerNormByFunction(lesson.LayerNorm):
    """Calls torch's own."""

    def forward(self, residual: Tensor) -> Tensor:
        return F.layer_norm(residual, (self.cfg.d_model,), self.w, self.b, self.cfg.layer_norm_eps)


class LayerNormByMoments(lesson.LayerNorm):
    """Takes the variance as the mean square less the squared mean, and multiplies by the inverse root."""

    def forward(self, residual: Tensor) -> Tensor:
        mean = einops.reduce(residual, "batch seq d_model -> batch seq 1", "mean")
        variance = residual.var(-1, keepdim=True, unbiased=False)
        return torch.rsqrt(variance + self.cfg.layer_norm_eps) * (residual - mean) * self.w + self.b


test_layer_norm = exercise(
    reference=lesson.LayerNorm,
    cases=layer_norm_cases,
    observe=module_outputs_and_gradients,
    keep=["__init__"],
    accepts=[LayerNormByFunction, LayerNormByMoments],
    mistakes=[
        Mistake(
            "does not subtract the mean",
            "centred = residual - residual.mean(dim=-1, keepdim=True)",
            "centred = residual",
            why="a LayerNorm centres each vector first: its normalised entries sum to zero",
        ),
        Mistake(
            "divides by d_model - 1 in the variance",
            "centred.pow(2).mean(dim=-1, keepdim=True)",
            "centred.var(dim=-1, keepdim=True)",
            why="torch.var is unbiased unless it is told otherwise; LayerNorm takes the plain mean of the squares",
        ),
        Mistake(
            "divides by the variance",
            ".sqrt()",
            "",
            why="it is the standard deviation, the root of the variance, that brings a vector to unit size",
        ),
        Mistake(
            "leaves epsilon out",
            " + self.cfg.layer_norm_eps",
            "",
            why="a vector that hardly varies would be blown up by the division",
        ),
        Mistake(
            "adds epsilon behind the root",
            "(variance + self.cfg.layer_norm_eps).sqrt()",
            "(variance.sqrt() + self.cfg.layer_norm_eps)",
            why="epsilon belongs to the variance, under the root: outside, it is a thousand times too strong or too weak",
        ),
        Mistake(
            "normalises over the positions",
            "centred = residual - residual.mean(dim=-1, keepdim=True)\n        variance = centred.pow(2).mean(dim=-1, keepdim=True)",
            "centred = residual - residual.mean(dim=1, keepdim=True)\n        variance = centred.pow(2).mean(dim=1, keepdim=True)",
            why="each position's vector is normalised by itself, over d_model: positions must not see each other here",
        ),
        Mistake("forgets the gain w", " * self.w", "", why="after normalising, each direction gets its learned scale"),
        Mistake("forgets the shift b", " + self.b", "", why="after scaling, each direction gets its learned shift"),
        Mistake(
            "cuts the gradient of the variance",
            "centred.pow(2)",
            "centred.detach().pow(2)",
            why="the variance depends on the input, and its gradient is part of LayerNorm's",
        ),
    ],
)
test_layer_norm_epsilon = test_layer_norm.part("epsilon")


def rms_norm_cases(generator: torch.Generator) -> list[Case]:
    """Ordinary vectors, one alone, and vectors so small that epsilon shows."""
    inputs = residuals(generator, LLAMA.d_model) | {
        "epsilon: very short vectors": 1e-3 * torch.randn(2, 3, LLAMA.d_model, generator=generator),
    }
    return [module_case(label, lesson_llama.RMSNorm, LLAMA, (x,), RESIDUAL, generator) for label, x in inputs.items()]


class RMSNormByTorch(lesson_llama.RMSNorm):
    """Calls torch's own."""

    def forward(self, residual: Tensor) -> Tensor:
        return F.rms_norm(residual, (self.cfg.d_model,), self.w, self.cfg.rms_norm_eps)


class RMSNormByNorm(lesson_llama.RMSNorm):
    """Multiplies by the inverse root of the squared norm over its length."""

    def forward(self, residual: Tensor) -> Tensor:
        squared = einops.einsum(residual, residual, "b s d, b s d -> b s")[..., None] / residual.shape[-1]
        return self.w * (residual * torch.rsqrt(squared + self.cfg.rms_norm_eps))


test_rms_norm = exercise(
    reference=lesson_llama.RMSNorm,
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


def embed_cases(generator: torch.Generator) -> list[Case]:
    """Repeated tokens in uneven batches, and every token of the vocabulary once."""
    inputs = {
        "several sequences": tokens(generator, 2, 5),
        "the whole vocabulary": torch.randperm(GPT2.d_vocab, generator=generator)[None],
    }
    return [module_case(label, lesson.Embed, GPT2, (x,), RESIDUAL, generator) for label, x in inputs.items()]


class EmbedByOneHot(lesson.Embed):
    """Multiplies one-hot vectors with the matrix."""

    def forward(self, tokens: Tensor) -> Tensor:
        return F.one_hot(tokens, self.cfg.d_vocab).to(self.W_E.dtype) @ self.W_E


test_embed = exercise(
    reference=lesson.Embed,
    cases=embed_cases,
    observe=module_outputs_and_gradients,
    keep=["__init__"],
    accepts=[EmbedByOneHot],
    mistakes=[
        Mistake(
            "reads the row before the token's",
            "self.W_E[tokens]",
            "self.W_E[tokens - 1]",
            why="row 0 belongs to token 0: no shift is needed",
        ),
        Mistake(
            "cuts the gradient to W_E",
            "self.W_E[tokens]",
            "self.W_E.detach()[tokens]",
            why="the embedding is learned; .data, detach and no_grad leave it as it started",
        ),
        Mistake(
            "multiplies by the root of d_model",
            "self.W_E[tokens]",
            "self.W_E[tokens] * self.cfg.d_model**0.5",
            why="the first transformer did that; GPT-2 takes the row as it is",
        ),
        Mistake(
            "reads the rows of the positions",
            "self.W_E[tokens]",
            "self.W_E[torch.arange(tokens.shape[1]).expand(tokens.shape)]",
            why="the embedding depends on which token stands there, not on where it stands",
        ),
    ],
)


def pos_embed_cases(generator: torch.Generator) -> list[Case]:
    """A short batch, a full context, and one token."""
    shapes = {"shorter than the context": (2, 5), "the whole context": (3, GPT2.n_ctx), "a single token": (1, 1)}
    return [
        module_case(label, lesson.PosEmbed, GPT2, (tokens(generator, *shape),), RESIDUAL, generator)
        for label, shape in shapes.items()
    ]


class PosEmbedByIndex(lesson.PosEmbed):
    """Looks the positions up, and lets expand make the batch."""

    def forward(self, tokens: Tensor) -> Tensor:
        batch, seq = tokens.shape
        return F.embedding(torch.arange(seq, device=tokens.device), self.W_pos).expand(batch, -1, -1)


test_pos_embed = exercise(
    reference=lesson.PosEmbed,
    cases=pos_embed_cases,
    observe=module_outputs_and_gradients,
    keep=["__init__"],
    accepts=[PosEmbedByIndex],
    mistakes=[
        Mistake(
            "looks up the tokens in W_pos",
            'einops.repeat(self.W_pos[:seq], "seq d_model -> batch seq d_model", batch=batch)',
            "self.W_pos[tokens]",
            why="the vector depends on where a token stands, not on which token it is",
        ),
        Mistake(
            "takes the last positions of the context",
            "self.W_pos[:seq]",
            "self.W_pos[-seq:]",
            why="the first token stands at position 0, however long the sequence is",
        ),
        Mistake(
            "leaves the batch to broadcasting",
            'einops.repeat(self.W_pos[:seq], "seq d_model -> batch seq d_model", batch=batch)',
            "self.W_pos[:seq]",
            why="it works while something with a batch axis is added to it, and the shape asked for has one",
        ),
        Mistake(
            "gives every position the first vector",
            "self.W_pos[:seq]",
            "self.W_pos[:1].expand(seq, -1)",
            why="then the model could not tell one position from another",
        ),
        Mistake(
            "cuts the gradient to W_pos",
            "self.W_pos[:seq]",
            "self.W_pos[:seq].detach()",
            why="positions are learned; .data, detach and no_grad leave them as they started",
        ),
        Mistake(
            "numbers the positions backwards",
            "self.W_pos[:seq]",
            "self.W_pos[:seq].flip(0)",
            why="row i belongs to position i, counted from the start of the text",
        ),
    ],
)


def unembed_cases(generator: torch.Generator) -> list[Case]:
    """Several positions, and one."""
    return residual_cases(generator, lesson.Unembed, GPT2, axes=LOGITS)


class UnembedByProduct(lesson.Unembed):
    """A matrix product and in-place addition."""

    def forward(self, normalized_resid_final: Tensor) -> Tensor:
        logits = normalized_resid_final @ self.W_U
        logits += self.b_U
        return logits


test_unembed = exercise(
    reference=lesson.Unembed,
    cases=unembed_cases,
    observe=module_outputs_and_gradients,
    keep=["__init__"],
    accepts=[UnembedByProduct],
    mistakes=[
        Mistake("forgets b_U", " + self.b_U", "", why="the bias says how common each token is, whatever came before"),
        Mistake(
            "returns probabilities",
            "return einops.einsum(normalized_resid_final, self.W_U, project) + self.b_U",
            "return (einops.einsum(normalized_resid_final, self.W_U, project) + self.b_U).softmax(dim=-1)",
            why="logits are asked for; whoever needs probabilities takes the softmax later",
        ),
        Mistake(
            "returns log-probabilities",
            "return einops.einsum(normalized_resid_final, self.W_U, project) + self.b_U",
            "return (einops.einsum(normalized_resid_final, self.W_U, project) + self.b_U).log_softmax(dim=-1)",
            why="logits are asked for, before any normalisation",
        ),
        Mistake(
            "scales the logits by the root of d_model",
            "return einops.einsum(normalized_resid_final, self.W_U, project)",
            "return einops.einsum(normalized_resid_final, self.W_U, project) / self.cfg.d_model**0.5",
            why="only attention scores are scaled; the unembedding is a plain linear map",
        ),
    ],
)
