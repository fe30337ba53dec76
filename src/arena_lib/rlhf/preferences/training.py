"""Training a reward model on pairs of answers.

Shapes:  tokens "batch seq" of chosen and rejected answers -> loss ""
Raises:  what `core.training` raises.
Source:  Stiennon et al. 2020, arXiv:2009.01325, section 3.4 (one epoch; centred afterwards); Ouyang et al. 2022,
         arXiv:2203.02155, appendix C.2 (more epochs overfit).
"""

import os
from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from arena_lib.core.optimization import TrainingConfig
from arena_lib.core.training import Trainer, TrainingSummary
from arena_lib.rlhf.preferences.answers import PreferencePairs, RowBatches
from arena_lib.rlhf.preferences.bradley_terry import (
    Calibration,
    bradley_terry_loss,
    compute_calibration,
    pairwise_accuracy,
)
from arena_lib.rlhf.preferences.reward_model import RewardModel


def compute_preference_loss(model: nn.Module, pairs: PreferencePairs) -> dict[str, Float[Tensor, ""]]:
    """The Bradley-Terry loss in one pass over both answers, and "accuracy" and "margin" (chosen less rejected)."""
    both = pairs.both
    chosen, rejected = model(both.tokens, both.attention_mask).chunk(2)
    return {
        "loss": bradley_terry_loss(chosen, rejected),
        "accuracy": pairwise_accuracy(chosen, rejected),
        "margin": (chosen - rejected).mean(),
    }


def evaluate_reward_model(model: RewardModel, pairs: PreferencePairs) -> tuple[dict[str, float], Calibration]:
    """Loss, accuracy and calibration error over pairs that it hasn't seen, and the reliability curve."""
    chosen, rejected = model.score(pairs.chosen), model.score(pairs.rejected)
    calibration = compute_calibration(chosen, rejected)
    numbers = {
        "loss": float(bradley_terry_loss(chosen, rejected)),
        "accuracy": float(pairwise_accuracy(chosen, rejected)),
        "calibration_error": calibration.expected_error,
    }
    return numbers, calibration


def train_reward_model(
    model: RewardModel,
    pairs: PreferencePairs,
    config: TrainingConfig,
    batch_size: int = 32,
    held_out: PreferencePairs | None = None,
    folder: str | os.PathLike[str] | None = None,
) -> TrainingSummary:
    """Train `model` in place, centre it on the answers of `pairs`, and return where the run ended.

    `config.n_steps` updates of `batch_size` pairs each; an epoch is len(pairs) // batch_size of them. With `held_out`,
    `config.eval_every` says how often their loss, accuracy and calibration error are measured: pairs of other prompts.
    """

    def evaluate(net: nn.Module) -> Mapping[str, float]:
        assert held_out is not None
        assert isinstance(net, RewardModel)
        return evaluate_reward_model(net, held_out)[0]

    trainer = Trainer(
        model,
        config,
        RowBatches(pairs, batch_size),
        evaluate=None if held_out is None else evaluate,
        folder=folder,
        compute_loss=compute_preference_loss,
    )
    summary = trainer.train()
    with torch.no_grad():
        model.center(pairs.both)
    return summary
