"""Transcoders: they read what a layer reads, and say sparsely what it writes; skip transcoders add a linear map.

Any variant becomes a transcoder with `d_out` and `subtract_b_dec=False`. `Transcoder` is the first paper's, ReLU with L1;
a skip transcoder of each kind lets a dense linear map of the input explain what is linear, and latents the rest.

Shapes:  acts "*batch d_in", latents "*batch d_sae", recon "*batch d_out", W_skip "d_in d_out"
Raises:  ConfigError without d_out.
Source:  Dunefsky et al. 2024, arXiv:2406.11944 (transcoders); Paulo et al. 2025, arXiv:2501.18823 (the skip
         connection, which starts at 0, on TopK).
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from arena_lib.errors import ConfigError
from arena_lib.saes.autoencoders.base import SAE, SAEConfig
from arena_lib.saes.autoencoders.jumprelu import JumpReLUSAE, JumpReLUSAEConfig
from arena_lib.saes.autoencoders.relu import ReLUSAE, ReLUSAEConfig
from arena_lib.saes.autoencoders.topk import TopKSAE, TopKSAEConfig


def require_target_width(cfg: SAEConfig) -> None:
    """Raise ConfigError unless `d_out` says how wide the target is."""
    if cfg.d_out is None:
        raise ConfigError(
            "a transcoder must know how wide its target is: got d_out=None. Pass d_out, the width of what the layer "
            f"writes (d_out={cfg.d_in} where it is as wide as what it reads)."
        )


@dataclass(frozen=True, kw_only=True)
class TranscoderConfig(ReLUSAEConfig):
    """Sizes, `d_out` among them, and how much sparsity counts."""

    subtract_b_dec: bool = False
    """A transcoder's b_dec belongs to its output."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_target_width(self)


class Transcoder(ReLUSAE):
    """Latents are relu(pre_acts) of what a layer reads, and decode to what it writes."""

    cfg: TranscoderConfig

    def __init__(self, cfg: TranscoderConfig, generator: torch.Generator | None = None) -> None:
        super().__init__(cfg, generator)


class WithSkip(SAE):
    """Adds acts @ W_skip to the reconstruction; comes before the variant in a class's bases."""

    def __init__(self, cfg: SAEConfig, generator: torch.Generator | None = None) -> None:
        require_target_width(cfg)
        super().__init__(cfg, generator)
        self.W_skip = nn.Parameter(torch.zeros(cfg.d_in, cfg.d_target))

    def add_skip(
        self, recon: Float[Tensor, "*batch d_out"], acts: Float[Tensor, "*batch d_in"]
    ) -> Float[Tensor, "*batch d_out"]:
        """What the linear map makes of the activations, and the latents' part."""
        return recon + acts @ self.W_skip

    @torch.no_grad()
    def fold_scale(self, scale: float | Tensor, target_scale: float | Tensor | None = None) -> None:
        """As for all; the linear map goes from one scale to the other."""
        super().fold_scale(scale, target_scale)
        self.W_skip.mul_(scale).div_(scale if target_scale is None else target_scale)


class SkipTranscoder(WithSkip, Transcoder):
    """A transcoder with ReLU and L1, and a linear map beside it."""

    cfg: TranscoderConfig

    def __init__(self, cfg: TranscoderConfig, generator: torch.Generator | None = None) -> None:
        super().__init__(cfg, generator)


class TopKSkipTranscoder(WithSkip, TopKSAE):
    """A TopK transcoder with a linear map beside it: the source's."""

    cfg: TopKSAEConfig

    def __init__(self, cfg: TopKSAEConfig, generator: torch.Generator | None = None) -> None:
        super().__init__(cfg, generator)


class JumpReLUSkipTranscoder(WithSkip, JumpReLUSAE):
    """A JumpReLU transcoder with a linear map beside it."""

    cfg: JumpReLUSAEConfig

    def __init__(self, cfg: JumpReLUSAEConfig, generator: torch.Generator | None = None) -> None:
        super().__init__(cfg, generator)
