"""Toy models with a ReLU in the hidden layer, so that the hidden dimensions are neurons.

`NeuronModel` stores features in neurons; `NeuronComputationModel` computes with them: it gives each feature's absolute
value.

Shapes:  features "... n_inst n_feats" -> out "... n_inst n_feats"
Source:  Elhage et al. 2022, arXiv:2209.10652, sections "Superposition in a Privileged Basis" (the ReLU
         hidden layer model) and "Computation in Superposition" (the absolute value).
"""

import einops
import torch
from jaxtyping import Float
from torch import Tensor, nn

from arena_lib.saes.superposition.features import draw_uniform
from arena_lib.saes.superposition.model import (
    ToyModel,
    compress,
    importance_weighted_losses,
    reconstruct,
    xavier_normal,
)


class NeuronModel(ToyModel):
    """Stores features in neurons: hidden = ReLU(W x), out = ReLU(W^T hidden + b_final).

    Parameters, batches and loss are those of `ToyModel`.
    """

    def forward(self, features: Float[Tensor, "... n_inst n_feats"]) -> Float[Tensor, "... n_inst n_feats"]:
        """The features as they are read off the neurons."""
        return reconstruct(torch.relu(compress(features, self.W)), self.W, self.b_final)


def with_random_signs(
    features: Float[Tensor, "batch n_inst n_feats"], draws: Float[Tensor, "batch n_inst n_feats"]
) -> Float[Tensor, "batch n_inst n_feats"]:
    """Turn a feature negative where its draw, uniform in [0, 1), is below 1/2.

    The result is a new tensor.
    """
    return torch.where(draws < 0.5, -features, features)


class NeuronComputationModel(ToyModel):
    """Computes absolute values: hidden = ReLU(W1 x), out = ReLU(W2 hidden + b_final), for features of both signs.

    The parameters are `W1` ("n_inst d_hidden n_feats"), `W2` ("n_inst n_feats d_hidden") and `b_final`
    ("n_inst n_feats"). The loss compares `out` with the features' absolute values.
    """

    def make_weights(self, generator: torch.Generator) -> None:
        """Draw W1 and W2, which are not tied."""
        n_inst, d_hidden, n_feats = self.cfg.n_inst, self.cfg.d_hidden, self.cfg.n_feats
        self.W1 = nn.Parameter(xavier_normal(n_inst, d_hidden, n_feats, generator=generator))
        self.W2 = nn.Parameter(xavier_normal(n_inst, n_feats, d_hidden, generator=generator))

    def forward(self, features: Float[Tensor, "... n_inst n_feats"]) -> Float[Tensor, "... n_inst n_feats"]:
        """The model's guess at each feature's absolute value."""
        hidden = torch.relu(compress(features, self.W1))
        scores = einops.einsum(hidden, self.W2, "... n_inst d_hidden, n_inst n_feats d_hidden -> ... n_inst n_feats")
        return torch.relu(scores + self.b_final)

    def generate_batch(self, batch_size: int, generator: torch.Generator) -> Float[Tensor, "batch n_inst n_feats"]:
        """Draw examples as `ToyModel` does, then give each feature a random sign.

        With the default magnitudes a present feature is uniform in [-1, 1].
        """
        features = super().generate_batch(batch_size, generator)
        draws = draw_uniform((batch_size, self.cfg.n_inst, self.cfg.n_feats), generator)
        return with_random_signs(features, draws)

    def calculate_losses(
        self, out: Float[Tensor, "batch n_inst n_feats"], batch: Float[Tensor, "batch n_inst n_feats"]
    ) -> Float[Tensor, " n_inst"]:
        """The loss of each instance against the absolute values of `batch`."""
        return importance_weighted_losses(out, batch.abs(), self.importance)
