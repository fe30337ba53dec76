"""What every sparse autoencoder has in common: its weights, its interface, and what a loss reports.

An autoencoder explains activations as a sum of few directions out of many. A transcoder is the same with another target:
it reads what a layer reads, and reconstructs what that layer writes (`d_out` and `target`).

Shapes:  acts "*batch d_in", latents "*batch d_sae", recon "*batch d_out"; losses take "batch d_in"
Raises:  ConfigError for sizes that cannot work; ShapeError for activations of another width, or a missing target.
Source:  Bricken et al. 2023, "Towards monosemanticity", the features that a sum of directions explains; Gao et al. 2024,
         arXiv:2406.04093, appendix A.1 (W_enc starts as W_dec transposed); Dunefsky et al. 2024, arXiv:2406.11944
         (transcoders).
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from arena_lib.core.configs import check_sizes
from arena_lib.errors import ConfigError, ShapeError
from arena_lib.saes.autoencoders.functions import (
    NEAREST,
    CenteredPreActs,
    compute_pre_acts,
    decode_latents,
    make_directions,
)


@dataclass(frozen=True, kw_only=True)
class SAEConfig:
    """What every variant's config has; each adds its own fields."""

    d_in: int
    """Width of the activations that are read."""
    d_sae: int
    """Number of latents."""
    d_out: int | None = None
    """Width of a transcoder's target; None for an autoencoder, whose target is its input."""
    subtract_b_dec: bool = True
    """Whether the encoder reads acts - b_dec (Bricken et al. 2023); a transcoder can't, as its b_dec is an output."""
    hook_name: str = ""
    """Where in the model the activations come from, by the name of the hook; empty where unknown."""
    hook_name_out: str = ""
    """Where a transcoder's target comes from; empty for an autoencoder, or where unknown."""
    model_name: str = ""
    """Which model they come from; empty where unknown."""

    def __post_init__(self) -> None:
        check_sizes(self, "d_in", "d_sae")
        if self.d_out is not None:
            check_sizes(self, "d_out")
            if self.subtract_b_dec:
                raise ConfigError(
                    f"a transcoder's encoder cannot subtract b_dec, which has its target's {self.d_out} entries: got "
                    f"d_out={self.d_out} with subtract_b_dec=True. Pass subtract_b_dec=False, or leave out d_out."
                )

    @property
    def d_target(self) -> int:
        """Width of what is reconstructed."""
        return self.d_in if self.d_out is None else self.d_out


@dataclass(frozen=True)
class SparseLatents:
    """Latents of which each example has at most k: their values and which latents they are."""

    values: Float[Tensor, "batch k"]
    """How strongly each is active; 0 is allowed, and means that it isn't."""
    indices: Int[Tensor, "batch k"]
    """Which latent it is; none comes twice in a row."""
    d_sae: int
    """Number of latents in all."""

    def to_dense(self) -> Float[Tensor, "batch d_sae"]:
        """The same with a column for every latent."""
        return self.values.new_zeros(len(self.values), self.d_sae).scatter(-1, self.indices, self.values)

    def count_active(self) -> Int[Tensor, " d_sae"]:
        """For each latent, in how many examples it is above 0."""
        counts = self.indices.new_zeros(self.d_sae)
        return counts.index_add_(0, self.indices.flatten(), (self.values > 0).long().flatten())  # waits for no GPU


@dataclass(frozen=True)
class Losses:
    """A loss with its parts, and what was active; what is derived is computed when it is asked for."""

    total: Float[Tensor, ""]
    """What training descends, with gradients."""
    parts: dict[str, Float[Tensor, ""]]
    """The terms by name, each as it enters the total, without gradients."""
    active: Float[Tensor, "batch d_sae"] | SparseLatents
    """The latents as the loss saw them, without gradients."""

    @cached_property
    def latents(self) -> Float[Tensor, "batch d_sae"]:
        """The latents with a column for each."""
        return self.active.to_dense() if isinstance(self.active, SparseLatents) else self.active

    @cached_property
    def n_active(self) -> Int[Tensor, " d_sae"]:
        """For each latent, in how many of the batch's examples it was active: 0 everywhere for long is a dead latent."""
        if isinstance(self.active, SparseLatents):
            return self.active.count_active()
        return (self.active > 0).sum(dim=0)

    @property
    def l0(self) -> Float[Tensor, ""]:
        """Latents active in an example; the mean over the batch."""
        batch = self.active.values if isinstance(self.active, SparseLatents) else self.active
        return self.n_active.sum() / len(batch)


class SAE(nn.Module, ABC):
    """A sparse autoencoder or transcoder; each variant says how it encodes and what it is trained on.

    `W_dec` starts as random directions of length 1. An autoencoder's `W_enc` starts as its transpose, a transcoder's as
    directions of its own; biases start at 0. (`compute_geometric_median` or the mean of activations are good values of
    `b_dec` to start from.) All draws are from `generator`.
    """

    cfg: SAEConfig
    latent_axes: ClassVar[dict[str, int]] = {"W_enc": 1, "W_dec": 0, "b_enc": 0}
    """For each weight that has an entry, a row or a column for every latent: which axis they are along."""

    def __init__(self, cfg: SAEConfig, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.cfg = cfg
        W_dec = make_directions(cfg.d_sae, cfg.d_target, generator)
        W_enc = W_dec if cfg.d_out is None else make_directions(cfg.d_sae, cfg.d_in, generator)
        self.W_enc = nn.Parameter(W_enc.T.clone(memory_format=torch.contiguous_format))
        self.W_dec = nn.Parameter(W_dec)
        self.b_enc = nn.Parameter(torch.zeros(cfg.d_sae))
        self.b_dec = nn.Parameter(torch.zeros(cfg.d_target))

    @abstractmethod
    def encode(self, acts: Float[Tensor, "*batch d_in"]) -> Float[Tensor, "*batch d_sae"]:
        """Which latents are active in each example, and how strongly: the form that analysis uses."""

    def decode(self, latents: Float[Tensor, "*batch d_sae"]) -> Float[Tensor, "*batch d_out"]:
        """What the latents say the target is."""
        return decode_latents(latents, self.W_dec, self.b_dec)

    def forward(self, acts: Float[Tensor, "*batch d_in"]) -> Float[Tensor, "*batch d_out"]:
        """The reconstruction: decode(encode(acts)), and what a skip transcoder adds to it."""
        return self.add_skip(self.decode(self.encode(acts)), acts)

    @abstractmethod
    def compute_loss(
        self,
        acts: Float[Tensor, "batch d_in"],
        target: Float[Tensor, "batch d_out"] | None = None,
        *,
        dead: Bool[Tensor, " d_sae"] | None = None,
        sparsity_scale: float = 1.0,
    ) -> Losses:
        """What training descends.

        `target` is what a transcoder reconstructs (None for an autoencoder: `acts`). `dead` marks the latents that have
        not been active for long, for variants with a loss that revives them. `sparsity_scale` multiplies the weight of
        sparsity, so that it can be raised slowly.
        """

    def before_step(self) -> None:  # most variants have nothing to do
        """What has to happen between `backward` and the optimizer's step."""

    def after_step(self) -> None:
        """What has to happen after the optimizer's step."""

    @torch.no_grad()
    def fold_scale(self, scale: float | Tensor, target_scale: float | Tensor | None = None) -> None:
        """After training on acts * scale (and target * target_scale), make the weights fit activations as they are.

        The latents stay what they were. `target_scale` None: the target is the input, or has its scale.
        """
        target_scale = scale if target_scale is None else target_scale
        self.W_enc.mul_(scale)
        self.W_dec.div_(target_scale)
        self.b_dec.div_(target_scale)

    @torch.no_grad()
    def replace_latents(
        self,
        replaced: Bool[Tensor, " d_sae"],
        W_enc: Float[Tensor, "n_replaced d_in"],
        W_dec: Float[Tensor, "n_replaced d_out"],
    ) -> None:
        """Give the marked latents new weights, a row for each, and the biases that a new autoencoder has."""
        for name in self.latent_axes.keys() - {"W_enc", "W_dec"}:
            self.get_parameter(name)[replaced] = 0.0
        self.W_enc[:, replaced] = W_enc.T
        self.W_dec[replaced] = W_dec

    def add_skip(
        self, recon: Float[Tensor, "*batch d_out"], acts: Float[Tensor, "*batch d_in"]
    ) -> Float[Tensor, "*batch d_out"]:
        """What a skip transcoder adds to the reconstruction past the latents; the others add nothing."""
        return recon

    def compute_pre_acts(self, acts: Float[Tensor, "*batch d_in"]) -> Float[Tensor, "*batch d_sae"]:
        """What each latent sees before its activation function."""
        return compute_pre_acts(self.center(acts), self.W_enc, self.encoder_bias)

    def compute_training_pre_acts(
        self, acts: Float[Tensor, "batch d_in"], chosen: Bool[Tensor, " d_sae"] | None = None
    ) -> Float[Tensor, "batch n_chosen"]:
        """The same numbers as `compute_pre_acts`, with less work for gradients; of the chosen latents alone, or of all."""
        self.check_width(acts)
        W_enc = self.W_enc if chosen is None else self.W_enc[:, chosen]
        bias = self.encoder_bias if chosen is None else self.encoder_bias[chosen]
        if self.cfg.subtract_b_dec:
            pre_acts: Tensor = CenteredPreActs.apply(acts, W_enc, bias, self.b_dec)
            return pre_acts
        return compute_pre_acts(acts, W_enc, bias)

    @property
    def encoder_bias(self) -> Float[Tensor, " d_sae"]:
        """What `compute_pre_acts` adds to the product."""
        return self.b_enc

    def center(self, acts: Float[Tensor, "*batch d_in"]) -> Float[Tensor, "*batch d_in"]:
        """What the encoder reads: acts - b_dec, or with `subtract_b_dec` off the activations as they are."""
        self.check_width(acts)
        return acts - self.b_dec if self.cfg.subtract_b_dec else acts

    def check_width(self, acts: Float[Tensor, "*batch d_in"]) -> None:
        """Raise ShapeError unless the activations are as wide as those that it reads."""
        if acts.shape[-1] != self.cfg.d_in:
            raise ShapeError(
                f"activations must have {self.cfg.d_in} entries, as this {type(self).__name__}'s d_in says: got "
                f"{acts.shape[-1]}, shape {tuple(acts.shape)}. Take them from where it was trained"
                + (f": {self.cfg.hook_name}." if self.cfg.hook_name else ".")
            )

    def choose_target(
        self, acts: Float[Tensor, "batch d_in"], target: Float[Tensor, "batch d_out"] | None
    ) -> Float[Tensor, "batch d_out"]:
        """What is to be reconstructed: the target where there is one, else the activations themselves."""
        if target is None and self.cfg.d_out is not None:
            raise ShapeError(
                f"a transcoder needs a target with {self.cfg.d_out} entries: got None. Pass what its layer writes: "
                "compute_loss(acts, target)."
            )
        target = acts if target is None else target
        if target.shape != (len(acts), self.cfg.d_target):
            raise ShapeError(
                f"the target must have one row for each of {len(acts)} examples and {self.cfg.d_target} entries: got "
                f"shape {tuple(target.shape)}. Take both at the same positions of the same texts."
            )
        return target


class UnitNormSAE(SAE):
    """An SAE whose decoder's directions keep length 1, so that latents of all of them count alike.

    The two hooks do in place what `functions.remove_radial_gradient` and `functions.normalize_decoder` say.
    """

    @torch.no_grad()
    def before_step(self) -> None:
        """Take the radial part out of the decoder's gradient."""
        if self.W_dec.grad is not None:
            radial = torch.linalg.vecdot(self.W_dec.grad, self.W_dec)
            self.W_dec.grad.addcmul_(radial[:, None], self.W_dec, value=-1)

    @torch.no_grad()
    def after_step(self) -> None:
        """Bring the decoder's directions back to length 1."""
        self.W_dec.div_(self.W_dec.norm(dim=-1, keepdim=True).clamp_min_(NEAREST))
