"""Mass-mean probing: the direction from the mean of the false to the mean of the true.

Shapes:  activations "n_statements d_model", labels "n_statements" (1 or 0) -> probabilities "n_statements"
Raises:  ConfigError for labels of one class, or others than 0 and 1; ShapeError where statements and labels differ in number.
Source:  Marks and Tegmark 2023, arXiv:2310.06824, section 5.1.
Differs: nothing; as there, the probe has no threshold of its own, so activations are centred before it sees them.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from arena_lib.errors import ConfigError, ShapeError
from arena_lib.wording import counted


class MMProbe(nn.Module):
    """Classifies by the difference of the two classes' means, a mass-mean probe.

    With mu_1 and mu_0 the means of the activations labelled 1 and 0:

        direction theta = mu_1 - mu_0
        covariance Sigma = the mean of (x - mu_c)(x - mu_c)^T over all x, each with the mean mu_c of its own class

        forward(x)            = sigmoid(x . theta)
        forward(x, iid=True)  = sigmoid(x . Sigma^+ theta)     (Sigma^+: the pseudoinverse of Sigma)

    iid is short for "independent and identically distributed": that form is for data like those it was fitted on.
    Where features vary together, Sigma^+ turns the direction away from what varies within a class anyway (it is
    Fisher's linear discriminant). The pseudoinverse is that of a symmetric matrix, and takes eigenvalues of at
    most `atol` in size for zero, however large the others are. There is no bias: the activations are expected
    centred, so that 0 is between the classes.
    """

    direction: Float[Tensor, " d_model"]
    inverse: Float[Tensor, "d_model d_model"] | None

    def __init__(
        self,
        direction: Float[Tensor, " d_model"],
        covariance: Float[Tensor, "d_model d_model"] | None = None,
        atol: float = 1e-3,
    ) -> None:
        """Keep the direction, and the pseudoinverse of the covariance if there is one."""
        super().__init__()
        self.register_buffer("direction", direction)
        inverse = None if covariance is None else torch.linalg.pinv(covariance, hermitian=True, atol=atol)
        self.register_buffer("inverse", inverse)

    def forward(self, x: Float[Tensor, "n_statements d_model"], iid: bool = False) -> Float[Tensor, " n_statements"]:
        """The probability that each row is of class 1; with the direction Sigma^+ theta if `iid`.

        Without a covariance `iid` changes nothing.
        """
        direction = self.direction
        if iid and self.inverse is not None:
            direction = self.inverse @ direction
        return (x @ direction).sigmoid()

    @classmethod
    def from_data(
        cls,
        acts: Float[Tensor, "n_statements d_model"],
        labels: Int[Tensor, " n_statements"] | Bool[Tensor, " n_statements"],
        device: str = "cpu",
    ) -> "MMProbe":
        """The probe of labelled activations, on `device`: direction and covariance as the class says."""
        positive, negative = split_by_label(acts.to(device), labels.to(device))
        direction = positive.mean(dim=0) - negative.mean(dim=0)
        centred = torch.cat([positive - positive.mean(dim=0), negative - negative.mean(dim=0)])
        return cls(direction, centred.T @ centred / len(centred))


def split_by_label(
    acts: Float[Tensor, "n_statements d_model"],
    labels: Int[Tensor, " n_labels"] | Bool[Tensor, " n_labels"] | Float[Tensor, " n_labels"],
) -> tuple[Float[Tensor, "n_positive d_model"], Float[Tensor, "n_negative d_model"]]:
    """The activations labelled 1 and those labelled 0; an error unless there are both, and nothing else."""
    if len(acts) != len(labels):
        raise ShapeError(
            f"each statement must have one label: got {counted(len(acts), 'activation')} and {counted(len(labels), 'label')}. "
            "Take both from the same list."
        )
    is_positive, is_negative = labels == 1, labels == 0
    others = labels[~(is_positive | is_negative)]
    if len(others):
        raise ConfigError(
            f"labels must be 1 (true) and 0 (false): got {others[0].item()}. A probe here tells two classes apart: "
            "name one of them 1, for example (labels == wanted).long()."
        )
    if not is_positive.any() or not is_negative.any():
        only = (
            "no statement"
            if not len(labels)
            else f"{counted(len(labels), 'statement')}, all labelled {int(is_positive.any())}"
        )
        raise ConfigError(
            f"a probe must be fitted on both classes: got {only}. Give statements of the other class too, and shuffle "
            "them before you split."
        )
    return acts[is_positive], acts[is_negative]
