"""How a model is trained: the configuration, the schedule and the optimizer.

Shapes:  parameters of any shape
Raises:  ConfigError for a configuration that cannot work; MissingDependencyError and
         UnknownNameError for a tracker that is not there.
Source:  Loshchilov and Hutter 2019, arXiv:1711.05101 (AdamW); Loshchilov and Hutter 2017,
         arXiv:1608.03983, equation 5 without restarts (cosine schedule); Hägele et al. 2024, arXiv:2405.18392
         (a steady rate with a late decay).
Differs: biases and gains are not decayed; the cosine ends at a fraction of the peak, not at zero.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from arena_lib.core.metrics import check_trackers
from arena_lib.core.seeds import check_seed
from arena_lib.errors import ConfigError

AUTOCAST_DTYPES = {"float32": None, "bfloat16": torch.bfloat16}
SCHEDULES = ("cosine", "constant", "late_decay")


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """How to train; the sizes of batches belong to the `batches` that the trainer is given."""

    n_steps: int
    """Updates of the weights in the whole run."""
    lr: float = 1e-3
    """Peak learning rate; 2e-3 stalled where 1e-3 did not for models of one to five million parameters."""
    schedule: Literal["cosine", "constant", "late_decay"] = "cosine"
    """What follows the warmup: half a cosine down to `final_lr_fraction`; or the peak throughout; or the peak until the
    last `decay_share` of the run, and then a straight line down to `final_lr_fraction`."""
    warmup: int = 0
    """Updates in which the learning rate grows linearly to its peak."""
    final_lr_fraction: float = 0.1
    """Learning rate at the end of a decay, as a fraction of the peak (Hoffmann et al. 2022, arXiv:2203.15556)."""
    decay_share: float = 0.2
    """Which part of the updates, the last ones, `late_decay` falls over (Hägele et al. 2024, arXiv:2405.18392)."""
    weight_decay: float = 0.01
    """AdamW's decay of matrices; biases and gains are not decayed. The default is torch's."""
    betas: tuple[float, float] = (0.9, 0.95)
    """AdamW's averaging of the gradient and of its square (Brown et al. 2020, arXiv:2005.14165, appendix B)."""
    eps: float = 1e-8
    """What AdamW adds to the root of the average squared gradient (Kingma and Ba 2015, arXiv:1412.6980)."""
    grad_clip: float | None = 1.0
    """Largest norm of the whole gradient; None does not clip (Brown et al. 2020, appendix B)."""
    eval_every: int | None = None
    """Updates between two evaluations; None evaluates after the last update only."""
    checkpoint_every: int | None = 500
    """Updates between two checkpoints; None keeps one at the end (or at Ctrl-C) only."""
    log_every: int = 10
    """Updates between two rows of metrics; the loss of a row is the mean since the row before."""
    seed: int = 0
    """Seed of the data's generator and, at the start of a run, of the global random states."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """What autocast computes products in; weights and optimizer stay in the model's own dtype."""
    trackers: tuple[str, ...] = ()
    """Where metrics go beside the CSV file: any of "tensorboard" and "wandb"."""

    def __post_init__(self) -> None:
        check_seed(self.seed)
        check_trackers(self.trackers)
        for name in ("n_steps", "log_every"):
            self._require(name, isinstance(getattr(self, name), int) and getattr(self, name) >= 1, "at least 1")
        for name in ("eval_every", "checkpoint_every"):
            value = getattr(self, name)
            self._require(name, value is None or (isinstance(value, int) and value >= 1), "at least 1, or None")
        self._require("warmup", 0 <= self.warmup < self.n_steps, f"from 0 to n_steps - 1 = {self.n_steps - 1}")
        for name in ("lr", "eps"):
            self._require(name, 0 < getattr(self, name) < math.inf, "above 0 and finite")
        self._require("weight_decay", 0 <= self.weight_decay < math.inf, "0 or above, and finite")
        self._require("final_lr_fraction", 0 <= self.final_lr_fraction <= 1, "from 0 to 1")
        self._require(
            "betas", len(self.betas) == 2 and all(0 <= beta < 1 for beta in self.betas), "two numbers in [0, 1)"
        )
        self._require(
            "grad_clip", self.grad_clip is None or 0 < self.grad_clip < math.inf, "above 0 and finite, or None"
        )
        self._require("decay_share", 0 < self.decay_share <= 1, "above 0 and at most 1")
        self._require("schedule", self.schedule in SCHEDULES, f"one of {', '.join(map(repr, SCHEDULES))}")
        self._require("dtype", self.dtype in AUTOCAST_DTYPES, "'float32' or 'bfloat16'")

    def _require(self, name: str, holds: bool, bound: str) -> None:
        if not holds:
            raise ConfigError(
                f"{type(self).__name__}.{name} must be {bound}: got {getattr(self, name)!r}. Change it and try again."
            )


def compute_lr(step: int, config: TrainingConfig) -> float:
    """Learning rate of update number `step`, counted from 0.

    It grows linearly over the warmup, then does what `schedule` says over the updates that are left.

    >>> config = TrainingConfig(n_steps=5, lr=0.8, warmup=2, final_lr_fraction=0.0)
    >>> [round(compute_lr(step, config), 3) for step in range(5)]
    [0.4, 0.8, 0.8, 0.6, 0.2]
    """
    if step < config.warmup:
        return config.lr * (step + 1) / config.warmup
    if config.schedule == "constant":
        return config.lr
    if config.schedule == "late_decay":
        height = min(1.0, (config.n_steps - step) / (config.decay_share * config.n_steps))
    else:
        share_done = (step - config.warmup) / (config.n_steps - config.warmup)
        height = (1 + math.cos(math.pi * share_done)) / 2
    return config.lr * (config.final_lr_fraction + (1 - config.final_lr_fraction) * height)


def is_decayed(name: str, parameter: Tensor) -> bool:
    """Say whether weight decay applies: to matrices, not to gains and biases (also those with an axis of heads).

    >>> is_decayed("blocks.0.attn.W_Q", torch.zeros(2, 3, 4)), is_decayed("blocks.0.attn.b_Q", torch.zeros(2, 4))
    (True, False)
    """
    last = name.rpartition(".")[2]
    is_bias = last in ("b", "bias") or last.startswith("b_")
    return parameter.ndim >= 2 and not is_bias


def make_optimizer(model: nn.Module, config: TrainingConfig) -> torch.optim.AdamW:
    """Make AdamW over the parameters that require gradients, in torch's fused form where it exists."""
    trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    if not trained:
        raise ConfigError(
            f"a model must have parameters that require gradients: got {type(model).__name__} with "
            f"{len(list(model.parameters()))}, all frozen. Call model.requires_grad_() on what is to be trained."
        )
    decayed = [parameter for name, parameter in trained.items() if is_decayed(name, parameter)]
    others = [parameter for name, parameter in trained.items() if not is_decayed(name, parameter)]
    groups = [{"params": decayed, "weight_decay": config.weight_decay}, {"params": others, "weight_decay": 0.0}]
    is_fused = all(parameter.device.type in ("cpu", "cuda", "mps") for parameter in trained.values())
    return torch.optim.AdamW(
        [group for group in groups if group["params"]], lr=config.lr, betas=config.betas, eps=config.eps, fused=is_fused
    )
