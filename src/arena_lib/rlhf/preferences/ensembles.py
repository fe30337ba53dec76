"""Several reward models at once: where they disagree, none should be believed.

A policy that is trained on one reward model finds answers that this model overrates. Models of other seeds overrate other
answers, so a cautious combination of them is harder to fool.

Shapes:  rewards "n_models batch" -> "batch"
Raises:  ConfigError for fewer than two models, or for a caution below 0.
Source:  Coste et al. 2023, arXiv:2310.02743, section 3.2 (worst case; uncertainty-weighted).
Differs: the second takes the standard deviation off, which has the unit of a reward; the paper takes the variance.
"""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from arena_lib.errors import ConfigError
from arena_lib.rlhf.preferences.answers import Answers
from arena_lib.rlhf.preferences.reward_model import RewardModel
from arena_lib.transformer.fast.padding import Mask

Combine = Callable[[Tensor], Tensor]
"""Rewards "n_models batch" -> "batch"."""


def combine_worst_case(rewards: Float[Tensor, "n_models batch"]) -> Float[Tensor, " batch"]:
    """The lowest of the models' rewards.

    >>> combine_worst_case(torch.tensor([[1.0, 4.0], [3.0, 2.0]]))
    tensor([1., 2.])
    """
    return rewards.min(dim=0).values


def combine_mean_minus_std(rewards: Float[Tensor, "n_models batch"], caution: float = 1.0) -> Float[Tensor, " batch"]:
    """The mean less `caution` standard deviations over the models (with n_models - 1, as torch's).

    >>> combine_mean_minus_std(torch.tensor([[1.0, 2.0], [3.0, 2.0]]), caution=0.5)
    tensor([1.2929, 2.0000])
    """
    if not 0 <= caution < torch.inf:
        raise ConfigError(f"caution must be finite and at least 0: got {caution}. 0 gives the mean.")
    return rewards.mean(dim=0) - caution * rewards.std(dim=0)


class RewardEnsemble(nn.Module):
    """Reward models side by side, whose rewards `combine` makes one; centre each first, since each has its own level."""

    def __init__(self, models: Sequence[RewardModel], combine: Combine = combine_worst_case) -> None:
        super().__init__()
        if len(models) < 2:
            raise ConfigError(
                f"an ensemble must have two models at least: got {len(models)}. Train more, with other seeds."
            )
        self.models, self.combine = nn.ModuleList(models), combine

    def forward(self, tokens: Tensor, attention_mask: Mask | None = None) -> Float[Tensor, " batch"]:
        """The combined reward of each text."""
        return self.combine(torch.stack([model(tokens, attention_mask) for model in self.models]))

    def score(self, answers: Answers, batch_size: int = 256) -> Float[Tensor, " batch"]:
        """The combined reward of each answer, in evaluation mode and without gradients, some at a time."""
        rewards = [model.score(answers, batch_size) for model in self.models if isinstance(model, RewardModel)]
        return self.combine(torch.stack(rewards))
