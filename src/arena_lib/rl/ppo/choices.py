"""A distribution over a few actions: torch's `Categorical`, with fewer operations for what PPO asks of it.

Shapes:  logits "batch n_actions", actions "batch"
Source:  own derivation
"""

from jaxtyping import Float, Int
from torch import Tensor
from torch.distributions import Categorical, Distribution


class Choices(Categorical):
    """`Categorical(logits=logits)`, for finite logits: they are normalised by one `log_softmax`, and nothing is validated.

    An update evaluates two small networks and a loss of some forty operations, each with a backward of its own; a fifth of
    those were torch's way to log-probabilities and to the entropy.
    """

    def __init__(self, logits: Float[Tensor, "batch n_actions"]) -> None:
        self._param = self.logits = logits.log_softmax(dim=-1)
        self._num_events = logits.shape[-1]
        Distribution.__init__(self, logits.shape[:-1], validate_args=False)

    def log_prob(self, value: Int[Tensor, " batch"]) -> Float[Tensor, " batch"]:
        """The log-probability of each action."""
        return self.logits.gather(-1, value[..., None]).squeeze(-1)

    def entropy(self) -> Float[Tensor, " batch"]:
        """How undecided each choice is, in nats."""
        return -(self.logits.exp() * self.logits).sum(dim=-1)
