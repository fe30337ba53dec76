"""A multinomial logistic probe: what of a variable lies linearly in the activations at all.

A label that not even a probe reads off the activations can't be found by a latent, so it isn't asked of one.

Shapes:  acts "n_tokens d_in", values "n_tokens" -> predicted "n_tokens"
Raises:  ConfigError for values of one class alone.
Source:  Alain and Bengio 2016, arXiv:1610.01644, section 3; minimised with L-BFGS.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from arena_lib.errors import ConfigError

MAX_ITERATIONS = 60
"""Of L-BFGS: after these the F1 moves by less than 0.01."""
DECAY = 1e-6
"""Of the squared weights, beside the mean loss of a token."""


class MultinomialProbe:
    """Fitted on construction: one logit for each class and one for none of them (-1)."""

    def __init__(self, acts: Float[Tensor, "n_tokens d_in"], values: Int[Tensor, " n_tokens"], n_classes: int) -> None:
        if len(values.unique()) < 2:
            raise ConfigError(
                f"a probe must be fitted on two classes or more: got {values.unique().tolist()}. Add other tokens."
            )
        self.mean, self.scale = acts.mean(0), acts.std(0).clamp(min=1e-6)
        inputs, targets = (acts - self.mean) / self.scale, values + 1
        self.weight = torch.zeros(acts.shape[1], n_classes + 1, requires_grad=True)
        self.bias = torch.zeros(n_classes + 1, requires_grad=True)
        optimizer = torch.optim.LBFGS(
            [self.weight, self.bias], max_iter=MAX_ITERATIONS, history_size=10, line_search_fn="strong_wolfe"
        )

        def compute_loss() -> Tensor:
            optimizer.zero_grad()
            loss = F.cross_entropy(torch.addmm(self.bias, inputs, self.weight), targets)
            loss = loss + DECAY * self.weight.square().sum()
            loss.backward()
            return loss

        with torch.enable_grad():
            optimizer.step(compute_loss)
        self.weight.requires_grad_(False)
        self.bias.requires_grad_(False)

    def predict(self, acts: Float[Tensor, "n_tokens d_in"]) -> Int[Tensor, " n_tokens"]:
        """The likeliest class of each token, or -1."""
        return torch.addmm(self.bias, (acts - self.mean) / self.scale, self.weight).argmax(-1) - 1
