"""Training of agents: runs that stop and go on, evaluation on seeds of its own, learning curves, videos."""

from arena_lib.rl.training.algorithms import load_trainer, make_config, make_trainer
from arena_lib.rl.training.curves import Band, bootstrap_interval, compute_band, interquartile_mean, sample_curve
from arena_lib.rl.training.evaluation import EVALUATION_SEED, Evaluation, Policy, evaluate, make_random_policy
from arena_lib.rl.training.runs import Run, Trainable, TrainingRun, read_run
from arena_lib.rl.training.video import Video, record

__all__ = [
    "EVALUATION_SEED",
    "Band",
    "Evaluation",
    "Policy",
    "Run",
    "Trainable",
    "TrainingRun",
    "Video",
    "bootstrap_interval",
    "compute_band",
    "evaluate",
    "interquartile_mean",
    "load_trainer",
    "make_config",
    "make_random_policy",
    "make_trainer",
    "read_run",
    "record",
    "sample_curve",
]
