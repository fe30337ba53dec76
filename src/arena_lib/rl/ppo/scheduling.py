"""A learning rate that falls in a straight line.

Source:  Schulman et al. 2017, arXiv:1707.06347, table 5 (Atari's rate is annealed to zero).
"""

import torch


class PPOScheduler:
    """Changes the optimizer's learning rate after each phase, in a straight line from initial_lr to end_lr.

    After step() was called k times, the learning rate of every group of parameters is

        initial_lr + (end_lr - initial_lr) * k / total_phases

    for k from 1 to total_phases; it stays at end_lr if step() is called more often. The rate follows from the count alone,
    whatever rate a group had before. `n_step_calls` is k: it counts every call, also those after the last phase, and a
    checkpoint sets it to go on from there. Until the first call the optimizer keeps the rates that it was made with.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, initial_lr: float, end_lr: float, total_phases: int) -> None:
        self.optimizer = optimizer
        self.initial_lr = initial_lr
        self.end_lr = end_lr
        self.total_phases = total_phases
        self.n_step_calls = 0

    def step(self) -> None:
        """Count this call, and set the learning rate that follows from the count."""
        self.n_step_calls += 1
        share_done = min(self.n_step_calls / self.total_phases, 1.0)
        for group in self.optimizer.param_groups:
            group["lr"] = self.initial_lr + share_done * (self.end_lr - self.initial_lr)
