"""Judges of LayerNorm and RMSNorm.

Shapes:  residual stream "batch seq d_model".
"""

from collections.abc import Callable

import einops
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from arena_lib.checking import Case, Mistake, exercise, instead_of, module_case, module_outputs_and_gradients
from arena_lib.tests.transformer_from_scratch.small_models import GPT2, LLAMA, RESIDUAL, Sizes, residuals
from arena_lib.transformer import lesson, lesson_llama

__test__ = False


def norm_cases(generator: torch.Generator, reference: Callable[..., nn.Module], cfg: Sizes) -> list[Case]:
    """Large vectors, where epsilon doesn't show, one alone, and vectors so small that it does."""
    inputs = {label: 4 * x for label, x in residuals(generator, cfg.d_model).items()} | {
        "epsilon: very small vectors": 1e-3 * torch.randn(2, 3, cfg.d_model, generator=generator),
    }
    return [module_case(label, reference, cfg, (x,), RESIDUAL, generator) for label, x in inputs.items()]


def wrong_epsilon(right: str) -> tuple[Mistake, ...]:
    """Numbers in place of the config's epsilon, or none."""
    why = "each model has its own epsilon: read it from cfg"
    numbers = ("1e-5", "1e-6", "1e-8", "torch.finfo(residual.dtype).eps")
    return (
        Mistake(
            "leaves epsilon out",
            f" + {right}",
            "",
            why="without epsilon a vector near zero, or one that hardly varies, is blown up",
        ),
        *instead_of(right, {number: (f"always adds {number} as epsilon", why) for number in numbers}),
        *instead_of(
            right, {f"{right}**2": ("squares epsilon", "epsilon itself is added under the root, not its square")}
        ),
    )


def over_other_axes(statistics: str) -> tuple[Mistake, ...]:
    """The statistics of a norm, taken over other axes than d_model alone."""
    why = "each position's vector is normalised by itself, over d_model, the last axis"
    names = {
        "1": "normalises over the positions, not over d_model",
        "(1, 2)": "normalises over the positions and d_model together",
        "(0, 1, 2)": "normalises over the whole batch at once",
        "0": "normalises over the batch, not over d_model",
    }
    return instead_of(
        statistics, {statistics.replace("dim=-1", f"dim={axes}"): (name, why) for axes, name in names.items()}
    )


def layer_norm_cases(generator: torch.Generator) -> list[Case]:
    """Large and small vectors."""
    return norm_cases(generator, lesson.LayerNorm, GPT2)


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


UNBRACKETED = (
    "divides the mean only",
    "a quotient comes before a difference: put the difference in brackets",
)

test_layer_norm = exercise(
    reference=lesson.LayerNorm,
    cases=layer_norm_cases,
    observe=module_outputs_and_gradients,
    keep=["__init__"],
    accepts=[LayerNormByFunction, LayerNormByMoments],
    mistakes=[
        *instead_of(
            "return centred / (variance + self.cfg.layer_norm_eps).sqrt()",
            {
                "return residual - residual.mean(dim=-1, keepdim=True) / (variance + self.cfg.layer_norm_eps).sqrt()": (
                    UNBRACKETED
                ),
                "return (residual - residual.mean(dim=-1, keepdim=True) / (variance + self.cfg.layer_norm_eps).sqrt())": (
                    UNBRACKETED
                ),
                "return centred / (variance + self.cfg.layer_norm_eps) ** 2": (
                    "squares where it should take the root",
                    "the standard deviation is the root of the variance: ** 0.5, not ** 2",
                ),
                "return centred * (variance + self.cfg.layer_norm_eps).sqrt()": (
                    "multiplies by the standard deviation",
                    "dividing by the standard deviation gives the variance one",
                ),
            },
        ),
        *instead_of(
            "return centred",
            {
                "return residual + centred": (
                    "adds the residual stream itself",
                    "the normalised copy is asked for: it is what attention and the MLP read",
                ),
            },
        ),
        *instead_of(
            "centred = residual - residual.mean(dim=-1, keepdim=True)",
            {
                "centred = residual": (
                    "does not subtract the mean",
                    "a LayerNorm centres each vector first: its normalised entries sum to zero",
                ),
            },
        ),
        *instead_of(
            "centred.pow(2).mean(dim=-1, keepdim=True)",
            {
                "centred.pow(2).mean()": (
                    "takes one variance for all vectors",
                    "each position's vector is normalised by itself, over d_model, the last axis",
                ),
                "centred.var(dim=-1, keepdim=True)": (
                    "divides by d_model - 1 in the variance",
                    "LayerNorm divides by d_model; torch.var and torch.std divide by d_model - 1 unless unbiased=False",
                ),
                "residual.pow(2).mean(dim=-1, keepdim=True)": (
                    "uses the mean square of the input as the variance",
                    "the variance is the mean square of what is left after the mean is subtracted",
                ),
                "centred.detach().pow(2).mean(dim=-1, keepdim=True)": (
                    "cuts the gradient of the variance",
                    "the variance depends on the input, and its gradient is part of LayerNorm's",
                ),
            },
        ),
        *instead_of(
            "(variance + self.cfg.layer_norm_eps).sqrt()",
            {
                "centred.norm(dim=-1, keepdim=True)": (
                    "divides by the length of the vector",
                    "the standard deviation is the root of the mean of the squares, not of their sum",
                ),
                "variance": ("divides by the variance, without epsilon", "it is the root of the variance plus epsilon"),
                "variance.clamp(min=self.cfg.layer_norm_eps).sqrt()": (
                    "takes epsilon for the least variance",
                    "epsilon is added to the variance, however large that is",
                ),
                "(centred.abs().mean(dim=-1, keepdim=True) + self.cfg.layer_norm_eps)": (
                    "divides by the mean absolute deviation",
                    "the standard deviation is the root of the mean of the squares",
                ),
                "(variance.sqrt() + self.cfg.layer_norm_eps**0.5)": (
                    "takes the roots of the variance and of epsilon apart",
                    "epsilon is added to the variance, before the root is taken of both",
                ),
                "(variance.sqrt() + self.cfg.layer_norm_eps)": (
                    "adds epsilon outside the root",
                    "epsilon is added to the variance, before the root is taken",
                ),
                "(variance + self.cfg.layer_norm_eps)": (
                    "divides by the variance",
                    "dividing by the standard deviation, the root of the variance, gives the variance one",
                ),
            },
        ),
        *wrong_epsilon("self.cfg.layer_norm_eps"),
        *over_other_axes(
            "residual.mean(dim=-1, keepdim=True)\n        variance = centred.pow(2).mean(dim=-1, keepdim=True)"
        ),
        *instead_of(
            "residual.mean(dim=-1, keepdim=True)",
            {
                "residual.mean(dim=-1)": (
                    "drops d_model from the mean or the variance",
                    "keepdim=True keeps the axis with length 1, so that each vector's own mean and variance are used for it",
                ),
                "residual.mean(dim=-1, keepdim=True).detach()": (
                    "cuts the gradient of the mean",
                    "the mean depends on the input, and its gradient is part of LayerNorm's",
                ),
            },
        ),
        Mistake(
            "divides the input without its mean subtracted",
            "centred / (",
            "residual / (",
            why="the mean is subtracted before the division",
        ),
        *instead_of(
            " * self.w + self.b",
            {
                " + self.b": ("forgets the gain w", "after normalising, each direction gets its learned scale"),
                " * self.w": ("forgets the shift b", "after scaling, each direction gets its learned shift"),
                "": ("forgets the gain w and the shift b", "the normalised vector is scaled by w and shifted by b"),
                " * self.w + self.b * self.w": ("adds b before multiplying by w", "w scales first, then b is added"),
                " * self.b + self.w": ("swaps w and b", "w is the gain that multiplies, b the shift that is added"),
                " * (1 + self.w) + self.b": ("multiplies by 1 + w", "w starts at one: it is the whole gain"),
                " * (self.w + self.b)": ("multiplies by w + b", "w scales first, then b is added: x * w + b"),
                " @ self.w + self.b": (
                    "multiplies with w as with a matrix",
                    "each direction has a scale of its own: x * w, not x @ w",
                ),
            },
        ),
    ],
)
test_layer_norm_epsilon = test_layer_norm.part("epsilon")


def rms_norm_cases(generator: torch.Generator) -> list[Case]:
    """Large and small vectors."""
    return norm_cases(generator, lesson_llama.RMSNorm, LLAMA)


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
        *instead_of(
            "return residual",
            {
                "return residual + residual": (
                    "adds the residual stream itself",
                    "the normalised copy is asked for: it is what attention and the MLP read",
                ),
            },
        ),
        *instead_of(
            "residual.pow(2).mean(dim=-1, keepdim=True)",
            {
                "residual.var(dim=-1, keepdim=True, unbiased=False)": (
                    "uses the variance instead of the mean square",
                    "RMSNorm takes the mean of the squares, without subtracting the mean as LayerNorm does",
                ),
                "residual.var(dim=-1, keepdim=True)": (
                    "uses the unbiased variance instead of the mean square",
                    "RMSNorm subtracts no mean and divides by d_model",
                ),
                "residual.pow(2).sum(dim=-1, keepdim=True)": (
                    "divides by the norm, not by the root mean square",
                    "RMSNorm divides by the root of the mean of the squares, not of their sum, so that entries have size about one",
                ),
                "residual.mean(dim=-1, keepdim=True).pow(2)": (
                    "squares the mean",
                    "squares are taken first, then their mean",
                ),
                "residual.abs().mean(dim=-1, keepdim=True).pow(2)": (
                    "divides by the mean absolute value",
                    "RMSNorm divides by the root of the mean square",
                ),
                "residual.detach().pow(2).mean(dim=-1, keepdim=True)": (
                    "cuts the gradient of the mean square",
                    "the divisor depends on the input, and its gradient is part of RMSNorm's",
                ),
            },
        ),
        *over_other_axes("residual.pow(2).mean(dim=-1, keepdim=True)"),
        *instead_of(
            "residual.pow(2)",
            {
                "(residual := residual - residual.mean(dim=-1, keepdim=True)).pow(2)": (
                    "subtracts the mean",
                    "RMSNorm doesn't subtract the mean, as LayerNorm does",
                ),
            },
        ),
        *instead_of(
            " / (mean_square + self.cfg.rms_norm_eps).sqrt()",
            {
                " / mean_square": (
                    "divides by the mean square, without epsilon",
                    "it is the root of the mean square plus epsilon",
                ),
                " / mean_square.clamp(min=self.cfg.rms_norm_eps).sqrt()": (
                    "takes epsilon for the least mean square",
                    "epsilon is added to the mean square, however large that is",
                ),
                " / residual.norm(dim=-1, keepdim=True)": (
                    "divides by the length of the vector, without epsilon",
                    "the mean makes the result independent of d_model: it is the root of the mean square plus epsilon",
                ),
                " / (mean_square.sqrt() + self.cfg.rms_norm_eps)": (
                    "adds epsilon outside the root",
                    "epsilon is added to the mean square, before the root is taken",
                ),
                " / (mean_square + self.cfg.rms_norm_eps)": (
                    "divides by the mean square",
                    "RMSNorm divides by the root of the mean square, which gives entries of size about one",
                ),
                " * (mean_square + self.cfg.rms_norm_eps).sqrt()": (
                    "multiplies by the root mean square",
                    "RMSNorm divides by the root mean square",
                ),
            },
        ),
        *wrong_epsilon("self.cfg.rms_norm_eps"),
        *instead_of(
            " * self.w",
            {
                "": ("forgets the gain w", "each direction gets its learned scale"),
                " + self.w": ("adds w", "w is a gain: it multiplies"),
                " / self.w": ("divides by w", "w is a gain: it multiplies"),
                " * (1 + self.w)": ("multiplies by 1 + w", "w starts at one: it is the whole gain"),
            },
        ),
    ],
)
