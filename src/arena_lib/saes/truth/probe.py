"""A multinomial logistic probe: what of a variable lies linearly in the activations at all.

A label that not even a probe reads off the activations can't be found by a latent, so it isn't asked of one.

Shapes:  acts "n_tokens d_in", values "n_tokens" -> predicted "n_tokens"
Raises:  ConfigError for values of one class alone.
Source:  Alain and Bengio 2016, arXiv:1610.01644, section 3; minimised with Adam on shuffled tokens, from weights of 0 and
         from the classes' frequencies.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from arena_lib.errors import ConfigError

EPOCHS = 6
"""How often every token is seen, and at least `MIN_STEPS` updates in all."""
MIN_STEPS = 600
BATCH = 4096
LR = 0.3
"""At the start; it falls to 0 in a straight line. A tenth of it leaves rare classes unread that are linearly there."""
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
        targets = values + 1
        self.weight = torch.zeros(acts.shape[1], n_classes + 1, requires_grad=True)
        frequencies = (torch.bincount(targets, minlength=n_classes + 1) + 1) / (len(targets) + n_classes + 1)
        self.bias = frequencies.log().requires_grad_()  # a rare class needn't first learn that it is rare
        optimizer = torch.optim.Adam([self.weight, self.bias], lr=LR, fused=True)
        n_steps = max(MIN_STEPS, EPOCHS * len(acts) // BATCH)
        generator = torch.Generator().manual_seed(0)
        order = torch.empty(0, dtype=torch.int64)
        with torch.enable_grad():
            for step in range(n_steps):
                optimizer.param_groups[0]["lr"] = LR * (1 - step / n_steps)
                if len(order) == 0:
                    order = torch.randperm(len(acts), generator=generator)
                batch, order = order[:BATCH], order[BATCH:]
                loss = F.cross_entropy(self._logits(acts[batch]), targets[batch])
                loss = loss + DECAY * self.weight.square().sum()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        self.weight.requires_grad_(False)
        self.bias.requires_grad_(False)

    def predict(self, acts: Float[Tensor, "n_tokens d_in"]) -> Int[Tensor, " n_tokens"]:
        """The likeliest class of each token, or -1."""
        return self._logits(acts).argmax(-1) - 1

    def _logits(self, acts: Float[Tensor, "n_tokens d_in"]) -> Float[Tensor, "n_tokens n_logits"]:
        return torch.addmm(self.bias, (acts - self.mean) / self.scale, self.weight)
