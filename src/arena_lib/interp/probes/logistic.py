"""Logistic regression as a probe: the direction that best tells the classes apart, kept small.

Shapes:  activations "n_statements d_model", labels "n_statements" (1 or 0) -> probabilities "n_statements"
Raises:  ConfigError for labels of one class or a strength that is not positive; what `split_by_label` raises.
Source:  Alain and Bengio 2016, arXiv:1610.01644, section 3 (linear classifier probes); the objective, with its
         inverse strength C, is that of scikit-learn's LogisticRegression.
Differs: no intercept: activations are standardised, so 0 is already their mean (with classes of very
         unequal size an intercept would shift the threshold towards the rarer one).
"""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from arena_lib.errors import ConfigError
from arena_lib.interp.probes.mean_difference import split_by_label


class LRProbe(nn.Module):
    """Logistic regression on standardised activations, without an intercept.

        z = (x - scaler_mean) / scaler_scale          forward(x) = sigmoid(z . w)

    `scaler_mean` and `scaler_scale` are mean and standard deviation (of the population: divided by n) of the
    training activations, entry by entry; an entry that never varies gets the scale 1. With labels y in
    {0, 1} and p = forward(x), the weights w minimise

        1/2 |w|^2 + C * sum over statements of (-y log p - (1 - y) log(1 - p))

    A smaller C means a stronger pull towards zero. The optimum is unique, whatever finds it: Newton's method,
    L-BFGS, or scikit-learn's `LogisticRegression(C=C, fit_intercept=False)`.
    """

    scaler_mean: Float[Tensor, " d_model"]
    scaler_scale: Float[Tensor, " d_model"]

    def __init__(
        self,
        d_in: int,
        scaler_mean: Float[Tensor, " d_model"] | None = None,
        scaler_scale: Float[Tensor, " d_model"] | None = None,
    ) -> None:
        """A probe with weights zero; without a scaler the activations are taken as they are."""
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(d_in))
        self.register_buffer("scaler_mean", torch.zeros(d_in) if scaler_mean is None else scaler_mean)
        self.register_buffer("scaler_scale", torch.ones(d_in) if scaler_scale is None else scaler_scale)

    def forward(self, x: Float[Tensor, "n_statements d_model"]) -> Float[Tensor, " n_statements"]:
        """The probability that each row is of class 1."""
        return (((x - self.scaler_mean) / self.scaler_scale) @ self.weight).sigmoid()

    @property
    def direction(self) -> Float[Tensor, " d_model"]:
        """Which way the activations themselves must move to look more like class 1: w / scaler_scale, detached."""
        return self.weight.detach() / self.scaler_scale

    @classmethod
    def from_data(
        cls,
        acts: Float[Tensor, "n_statements d_model"],
        labels: Int[Tensor, " n_statements"] | Bool[Tensor, " n_statements"],
        C: float = 0.1,
        device: str = "cpu",
    ) -> "LRProbe":
        """The probe of labelled activations, on `device`: scaler and weights as the class says."""
        if not C > 0:
            raise ConfigError(f"C, the inverse strength of the pull towards zero, must be above 0: got {C}. Try 0.1.")
        acts, labels = acts.to(device), labels.to(device)
        split_by_label(acts, labels)
        scale = acts.std(dim=0, correction=0)
        probe = cls(acts.shape[1], acts.mean(dim=0), torch.where(scale > 0, scale, 1.0)).to(acts)
        z = ((acts - probe.scaler_mean) / probe.scaler_scale).double()
        targets = labels.double()
        weight = torch.zeros(z.shape[1], dtype=torch.float64, device=z.device, requires_grad=True)
        optimizer = torch.optim.LBFGS(
            [weight], max_iter=1000, tolerance_grad=1e-9, tolerance_change=0.0, line_search_fn="strong_wolfe"
        )

        def compute_loss() -> Tensor:
            optimizer.zero_grad()
            log_loss = F.binary_cross_entropy_with_logits(z @ weight, targets, reduction="sum")
            loss = weight.square().sum() / 2 + C * log_loss
            loss.backward()
            return loss

        with torch.enable_grad():
            optimizer.step(compute_loss)
        probe.weight.data.copy_(weight.detach())
        return probe
