"""LayerNorm and RMSNorm with their two hook points: what they divide by, and the result before the gain.

Shapes:  resid "batch seq d_model" -> "batch seq d_model"
Source:  Ba et al. 2016, arXiv:1607.06450, equation 4; Zhang and Sennrich 2019, arXiv:1910.07467,
         equation 4.
Differs: torch's fused operation does the work while nothing is attached to the hook points. Step by
         step, all is computed in float32 at least, as the fused operation does inside: both hook points
         of a half-precision model hold float32, and the output has the input's dtype.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from arena_lib.core.device import at_least_float32
from arena_lib.transformer.activations.hooks import HookPoint


def root_mean_square(x: Float[Tensor, "*any d_model"], eps: float) -> Float[Tensor, "*any 1"]:
    """sqrt(mean(x^2) + eps) over d_model, by way of the vector's length, which torch finds in one step."""
    length = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    return (length.square() / x.shape[-1] + eps).sqrt()


class LayerNorm(nn.Module):
    """(x - mean) / sqrt(variance + eps) * w + b, over the last axis."""

    def __init__(self, d_model: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.w = nn.Parameter(torch.ones(d_model))
        self.b = nn.Parameter(torch.zeros(d_model))
        self.hook_scale, self.hook_normalized = HookPoint(), HookPoint()

    def centre(self, x: Float[Tensor, "*any d_model"]) -> Float[Tensor, "*any d_model"]:
        """X less its mean over d_model."""
        x = at_least_float32(x)
        return x - x.mean(dim=-1, keepdim=True)

    def scale(self, x: Float[Tensor, "*any d_model"]) -> Float[Tensor, "*any 1"]:
        """Standard deviation over d_model, with eps inside the root."""
        return root_mean_square(self.centre(x), self.eps)

    def normalized(self, x: Float[Tensor, "*any d_model"]) -> Float[Tensor, "*any d_model"]:
        """The vectors before the gain."""
        centred = self.centre(x)
        return centred / root_mean_square(centred, self.eps)

    def gain(self, normalized: Float[Tensor, "*any d_model"]) -> Float[Tensor, "*any d_model"]:
        """The last step: times w, plus b."""
        return at_least_float32(normalized) * self.w + self.b

    def plain(self, x: Float[Tensor, "*any d_model"]) -> Float[Tensor, "*any d_model"]:
        """The normalised vectors by torch's fused operation, past the hook points."""
        w = self.w  # torch takes longer to find a parameter than to add two vectors
        return torch.layer_norm(x, w.shape, w, self.b, self.eps)

    def forward(self, x: Float[Tensor, "*any d_model"]) -> Float[Tensor, "*any d_model"]:
        """The normalised vectors."""
        if self.hook_scale.is_idle and self.hook_normalized.is_idle:
            return self.plain(x)
        centred = self.centre(x)
        scale = self.hook_scale(root_mean_square(centred, self.eps))
        return self.gain(self.hook_normalized(centred / scale)).to(x.dtype)


class RMSNorm(nn.Module):
    """X / sqrt(mean(x^2) + eps) * w, over the last axis."""

    def __init__(self, d_model: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.w = nn.Parameter(torch.ones(d_model))
        self.hook_scale, self.hook_normalized = HookPoint(), HookPoint()

    def centre(self, x: Float[Tensor, "*any d_model"]) -> Float[Tensor, "*any d_model"]:
        """X itself: RMSNorm takes no mean away."""
        return at_least_float32(x)

    def scale(self, x: Float[Tensor, "*any d_model"]) -> Float[Tensor, "*any 1"]:
        """Root of the mean square over d_model, with eps inside the root."""
        return root_mean_square(self.centre(x), self.eps)

    def normalized(self, x: Float[Tensor, "*any d_model"]) -> Float[Tensor, "*any d_model"]:
        """The vectors before the gain."""
        centred = self.centre(x)
        return centred / root_mean_square(centred, self.eps)

    def gain(self, normalized: Float[Tensor, "*any d_model"]) -> Float[Tensor, "*any d_model"]:
        """The last step: times w."""
        return at_least_float32(normalized) * self.w

    def plain(self, x: Float[Tensor, "*any d_model"]) -> Float[Tensor, "*any d_model"]:
        """The normalised vectors by torch's fused operation, past the hook points."""
        w = self.w
        return torch.rms_norm(x, w.shape, w, self.eps)

    def forward(self, x: Float[Tensor, "*any d_model"]) -> Float[Tensor, "*any d_model"]:
        """The normalised vectors."""
        if self.hook_scale.is_idle and self.hook_normalized.is_idle:
            return self.plain(x)
        centred = self.centre(x)
        scale = self.hook_scale(root_mean_square(centred, self.eps))
        return self.gain(self.hook_normalized(centred / scale)).to(x.dtype)
