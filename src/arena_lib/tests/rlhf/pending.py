"""Exercises of section 2.4 whose judges are still to be written."""

import torch

from arena_lib.checking import Case, exercise
from arena_lib.rlhf import best_of_n, dpo
from arena_lib.rlhf.preferences import bradley_terry, reward_model

__test__ = False


def no_cases(generator: torch.Generator) -> list[Case]:
    """Nothing yet."""
    return []


test_bradley_terry_loss = exercise(reference=bradley_terry.bradley_terry_loss, cases=no_cases)
test_reward_model = exercise(reference=reward_model.RewardModel, cases=no_cases)
test_best_of_n_kl = exercise(reference=best_of_n.best_of_n_kl, cases=no_cases)
test_estimate_best_of_n = exercise(reference=best_of_n.estimate_best_of_n, cases=no_cases)
test_dpo_loss = exercise(reference=dpo.dpo_loss, cases=no_cases)
test_ipo_loss = exercise(reference=dpo.ipo_loss, cases=no_cases)
