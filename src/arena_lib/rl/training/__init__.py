"""Training of agents: runs that stop and go on, evaluation on seeds of its own, learning curves, videos."""

from arena_lib.rl.training.evaluation import EVALUATION_SEED, Evaluation, Policy, evaluate
from arena_lib.rl.training.runs import Run, Trainable, TrainingRun, read_run

__all__ = ["EVALUATION_SEED", "Evaluation", "Policy", "Run", "Trainable", "TrainingRun", "evaluate", "read_run"]
