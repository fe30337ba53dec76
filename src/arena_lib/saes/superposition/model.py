"""Toy models of superposition: more features than dimensions, and many models trained side by side.

An instance is one model. The instances of a `ToyModel` share their sizes and nothing else: each has weights, feature
probabilities and importances of its own, and the loss sums over instances, so none feels another's gradient.

Shapes:  features "... n_inst n_feats" -> hidden "... n_inst d_hidden" -> out "... n_inst n_feats"
Raises:  ConfigError for sizes, pairs or probabilities that can't be; ShapeError for importances or probabilities that
         don't fit the sizes.
Source:  Elhage et al. 2022, arXiv:2209.10652, section "Demonstrating Superposition" (the ReLU
         output model and its loss).
Differs: the loss is a mean over examples and features, not a sum; each instance's weights are drawn with the Xavier
         scale of its own matrix, whatever the number of instances.
"""

import math
from dataclasses import dataclass

import einops
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from arena_lib.core.configs import check_numbers, check_sizes
from arena_lib.core.seeds import make_generator
from arena_lib.errors import ConfigError, ShapeError
from arena_lib.saes.superposition.features import (
    anticorrelated_presence,
    check_anticorrelated,
    check_correlated,
    check_probabilities,
    correlated_presence,
    draw_uniform,
    independent_presence,
    sparse_features,
)

Numbers = float | Float[Tensor, "..."]


@dataclass(frozen=True, kw_only=True)
class ToyModelConfig:
    """The sizes of a toy model, and which of its features come in pairs."""

    n_inst: int = 1
    """How many models are trained side by side."""
    n_feats: int = 5
    """Features in each example. The correlated pairs come first, then the anticorrelated pairs, then the others."""
    d_hidden: int = 2
    """Dimensions that the features must share."""
    n_correlated_pairs: int = 0
    """Pairs of features that are always present together."""
    n_anticorrelated_pairs: int = 0
    """Pairs of features that are never present together."""
    magnitude_low: float = 0.0
    """A present feature is uniform from here ..."""
    magnitude_high: float = 1.0
    """... to here."""

    def __post_init__(self) -> None:
        check_sizes(self, "n_inst", "n_feats", "d_hidden")
        check_sizes(self, "n_correlated_pairs", "n_anticorrelated_pairs", least=0)
        check_numbers(self, "magnitude_low", zero_works=True)
        check_numbers(self, "magnitude_high")
        if self.magnitude_low > self.magnitude_high:
            raise ConfigError(
                f"magnitude_low must be at most magnitude_high = {self.magnitude_high}: got {self.magnitude_low}. "
                "Swap them."
            )
        if self.n_uncorrelated < 0:
            n_pairs = self.n_correlated_pairs + self.n_anticorrelated_pairs
            raise ConfigError(
                f"n_feats must hold two features for each pair: got {self.n_feats} for {n_pairs} pairs. "
                f"Give n_feats={2 * n_pairs} or more."
            )

    @property
    def n_uncorrelated(self) -> int:
        """How many features are present or absent on their own."""
        return self.n_feats - 2 * (self.n_correlated_pairs + self.n_anticorrelated_pairs)


def compress(
    features: Float[Tensor, "... n_inst n_feats"], W: Float[Tensor, "n_inst d_hidden n_feats"]
) -> Float[Tensor, "... n_inst d_hidden"]:
    """Squeeze the features into the hidden dimensions: hidden = W @ features, for each instance its own W.

    There may be any number of leading axes, also none. Column i of an instance's W is the direction of feature i.

    Gradients flow through it.
    """
    return einops.einsum(features, W, "... n_inst n_feats, n_inst d_hidden n_feats -> ... n_inst d_hidden")


def reconstruct(
    hidden: Float[Tensor, "... n_inst d_hidden"],
    W: Float[Tensor, "n_inst d_hidden n_feats"],
    b_final: Float[Tensor, "n_inst n_feats"],
) -> Float[Tensor, "... n_inst n_feats"]:
    """Read the features off again: out = ReLU(W^T @ hidden + b_final), for each instance its own W and b_final.

    Gradients flow through it.
    """
    scores = einops.einsum(hidden, W, "... n_inst d_hidden, n_inst d_hidden n_feats -> ... n_inst n_feats")
    return torch.relu(scores + b_final)


def importance_weighted_losses(
    out: Float[Tensor, "batch n_inst n_feats"],
    batch: Float[Tensor, "batch n_inst n_feats"],
    importance: Float[Tensor, "n_inst n_feats"],
) -> Float[Tensor, " n_inst"]:
    """Each instance's loss: the mean over examples and features of importance * (batch - out)^2.

    Gradients flow through `out`.
    """
    return (importance * (batch - out).pow(2)).mean(dim=(0, 2))


def xavier_normal(*shape: int, generator: torch.Generator) -> Float[Tensor, "..."]:
    """Draw matrices from a normal distribution with variance 2 / (rows + columns), after Glorot and Bengio 2010.

    The last two axes are the rows and columns of one matrix.
    """
    std = math.sqrt(2 / (shape[-2] + shape[-1]))
    return std * torch.randn(shape, generator=generator, device=generator.device)


class ToyModel(nn.Module):
    """Squeezes sparse features into few dimensions and reads them off again: out = ReLU(W^T W x + b_final).

    `feature_probability` (how often a feature is present) and `importance` (its weight in the loss) may each be a number,
    or a tensor that broadcasts to "n_inst n_feats": shape (n_feats,) differs by feature, (n_inst, 1) by instance. The
    parameters are `W` ("n_inst d_hidden n_feats", Xavier normal) and `b_final` ("n_inst n_feats", zeros at first).
    Weights come from `generator`; without one from a generator with seed 0.
    """

    feature_probability: Float[Tensor, "n_inst n_feats"]
    importance: Float[Tensor, "n_inst n_feats"]

    def __init__(
        self,
        cfg: ToyModelConfig,
        feature_probability: Numbers = 0.01,
        importance: Numbers = 1.0,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.cfg = cfg
        generator = generator or make_generator(0)
        probability = self._broadcast("feature_probability", feature_probability).to(generator.device)
        check_probabilities(probability)
        self.register_buffer("feature_probability", probability)
        self.register_buffer("importance", self._broadcast("importance", importance).to(generator.device))
        check_correlated(self._probability_of_correlated(cfg.n_correlated_pairs))
        check_anticorrelated(self._probability_of_anticorrelated(cfg.n_anticorrelated_pairs))
        self.make_weights(generator)
        self.b_final = nn.Parameter(torch.zeros(cfg.n_inst, cfg.n_feats, device=generator.device))

    def make_weights(self, generator: torch.Generator) -> None:
        """Draw the matrices that the model needs; a model with other matrices overrides this."""
        self.W = nn.Parameter(xavier_normal(self.cfg.n_inst, self.cfg.d_hidden, self.cfg.n_feats, generator=generator))

    def forward(self, features: Float[Tensor, "... n_inst n_feats"]) -> Float[Tensor, "... n_inst n_feats"]:
        """The features as they are read off again."""
        return reconstruct(compress(features, self.W), self.W, self.b_final)

    def generate_batch(self, batch_size: int, generator: torch.Generator) -> Float[Tensor, "batch n_inst n_feats"]:
        """Draw examples: the correlated pairs first, then the anticorrelated pairs, then the uncorrelated features."""
        cfg = self.cfg
        parts = [
            self.generate_correlated_features(batch_size, cfg.n_correlated_pairs, generator),
            self.generate_anticorrelated_features(batch_size, cfg.n_anticorrelated_pairs, generator),
            self.generate_uncorrelated_features(batch_size, cfg.n_uncorrelated, generator),
        ]
        return torch.cat(parts, dim=-1)

    def generate_correlated_features(
        self, batch_size: int, n_correlated_pairs: int, generator: torch.Generator
    ) -> Float[Tensor, "batch n_inst n_feats"]:
        """Draw pairs of features that are present together, with the probabilities of the model's first features."""
        probability = self._probability_of_correlated(n_correlated_pairs)
        draws = draw_uniform((batch_size, self.cfg.n_inst, n_correlated_pairs), generator)
        return self._with_magnitudes(correlated_presence(draws, probability), generator)

    def generate_anticorrelated_features(
        self, batch_size: int, n_anticorrelated_pairs: int, generator: torch.Generator
    ) -> Float[Tensor, "batch n_inst n_feats"]:
        """Draw pairs of which one feature at most is present; their probabilities follow the correlated features'."""
        probability = self._probability_of_anticorrelated(n_anticorrelated_pairs)
        check_anticorrelated(probability)
        draws = draw_uniform((batch_size, self.cfg.n_inst, n_anticorrelated_pairs), generator)
        return self._with_magnitudes(anticorrelated_presence(draws, probability), generator)

    def generate_uncorrelated_features(
        self, batch_size: int, n_uncorrelated: int, generator: torch.Generator
    ) -> Float[Tensor, "batch n_inst n_feats"]:
        """Draw features that are present on their own, with the probabilities of the model's last features.

        Each feature of each example and instance has a draw of its own; `draw_uniform` draws from `generator`. The present
        ones get their magnitudes from `self._with_magnitudes(is_present, generator)`.
        """
        probability = self.feature_probability[:, self.cfg.n_feats - n_uncorrelated :]
        draws = draw_uniform((batch_size, self.cfg.n_inst, n_uncorrelated), generator)
        return self._with_magnitudes(independent_presence(draws, probability), generator)

    def calculate_losses(
        self, out: Float[Tensor, "batch n_inst n_feats"], batch: Float[Tensor, "batch n_inst n_feats"]
    ) -> Float[Tensor, " n_inst"]:
        """The loss of each instance."""
        return importance_weighted_losses(out, batch, self.importance)

    def calculate_loss(
        self, out: Float[Tensor, "batch n_inst n_feats"], batch: Float[Tensor, "batch n_inst n_feats"]
    ) -> Float[Tensor, ""]:
        """The sum of the instances' losses, so that each instance learns as if it were alone."""
        return self.calculate_losses(out, batch).sum()

    def _with_magnitudes(
        self, is_present: Bool[Tensor, "batch n_inst n_feats"], generator: torch.Generator
    ) -> Float[Tensor, "batch n_inst n_feats"]:
        batch, n_inst, n_feats = is_present.shape
        low, high = self.cfg.magnitude_low, self.cfg.magnitude_high
        magnitudes = draw_uniform((batch, n_inst, n_feats), generator, low, high)
        return sparse_features(is_present, magnitudes)

    def _probability_of_correlated(self, n_pairs: int) -> Float[Tensor, "n_inst n_feats"]:
        return self.feature_probability[:, : 2 * n_pairs]

    def _probability_of_anticorrelated(self, n_pairs: int) -> Float[Tensor, "n_inst n_feats"]:
        start = 2 * self.cfg.n_correlated_pairs
        return self.feature_probability[:, start : start + 2 * n_pairs]

    def _broadcast(self, name: str, numbers: Numbers) -> Float[Tensor, "n_inst n_feats"]:
        """Numbers for each feature of each instance."""
        given = torch.as_tensor(numbers, dtype=torch.get_default_dtype())
        wanted = (self.cfg.n_inst, self.cfg.n_feats)
        try:
            return given.broadcast_to(wanted).clone()
        except RuntimeError as error:
            raise ShapeError(
                f"{name} must broadcast to (n_inst, n_feats) = {wanted}: got shape {tuple(given.shape)}. "
                "Give a number, one for each feature, or one for each instance with shape (n_inst, 1)."
            ) from error
