"""Training toy SAEs: all instances in one step, dead latents resampled on the way.

Shapes:  terms "n_logged n_inst"; frac_active "n_logged n_inst d_sae"; W_dec "n_logged n_inst d_sae d_in"
Raises:  ConfigError for a configuration that can't work; TrainingError for a loss that isn't finite.
Source:  Bricken et al. 2023, "Towards Monosemanticity", appendix "Neuron Resampling".
Differs: the schedule of resampling is shorter, as suits a run of a few thousand updates.
"""

from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import einops
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from arena_lib.core.configs import check_numbers, check_sizes
from arena_lib.core.progress import progress
from arena_lib.core.seeds import make_generator
from arena_lib.errors import ConfigError
from arena_lib.saes.superposition.training import ToyTrainingConfig, make_adam, require_finite, set_lr
from arena_lib.saes.toy.sae import ToySAE

Resampling = Literal["none", "simple", "advanced"]


@dataclass(frozen=True, kw_only=True)
class ToySAETrainingConfig(ToyTrainingConfig):
    """How to train a toy SAE, and when dead latents get another start."""

    n_steps: int = 4_000
    """Updates of the weights."""
    lr: float = 1e-2
    """Adam's learning rate at its highest; at 1e-3 fewer latents die early, and fewer SAEs find every feature."""
    resampling: Resampling = "advanced"
    """`resample_simple`, `resample_advanced`, or neither."""
    resample_every: int = 400
    """Updates between two resamplings; there is none after the last update."""
    resample_window: int = 100
    """A latent is dead if it was never active in this many updates before a resampling."""
    resample_scale: float = 0.5
    """Length of a new encoder direction: see the two methods."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_sizes(self, "resample_every", "resample_window")
        check_numbers(self, "resample_scale")
        if self.resampling not in ("none", "simple", "advanced"):
            raise ConfigError(
                f'resampling must be "none", "simple" or "advanced": got {self.resampling!r}. Choose one.'
            )
        if self.resample_window > self.resample_every:
            raise ConfigError(
                f"resample_window must be at most resample_every = {self.resample_every}: got {self.resample_window}. "
                "A latent that was just resampled needs that long to show that it lives."
            )


@dataclass(frozen=True)
class ToySAEHistory:
    """What happened in a run; rows of `terms` and `frac_active` are means over the updates since the row before."""

    steps: Int[Tensor, " n_logged"]
    """Updates made when the row was written."""
    terms: dict[str, Float[Tensor, "n_logged n_inst"]]
    """The terms of the loss by name, and "loss" itself, each a mean over examples."""
    frac_active: Float[Tensor, "n_logged n_inst d_sae"]
    """The share of examples in which each latent was active."""
    W_dec: Float[Tensor, "n_logged n_inst d_sae d_in"]
    """The normalised decoder when the row was written."""
    resampled: dict[int, Bool[Tensor, "n_inst d_sae"]]
    """Which latents were resampled, by the number of updates made before."""


@torch.no_grad()
def forget_moments(optimizer: torch.optim.Optimizer, sae: ToySAE, is_dead: Bool[Tensor, "n_inst d_sae"]) -> None:
    """Set the optimizer's running averages to 0 for the latents that were resampled: they belong to the old weights."""
    for name, parameter in sae.named_parameters():
        if name == "b_dec" or parameter not in optimizer.state:
            continue
        masks = {"W_dec": is_dead[..., None]}  # the other matrices are encoders, with latents last
        mask = masks.get(name, is_dead[:, None] if parameter.ndim == 3 else is_dead)
        for key in ("exp_avg", "exp_avg_sq"):
            optimizer.state[parameter][key].masked_fill_(mask, 0.0)


def resample(
    sae: ToySAE,
    frac_active_in_window: Float[Tensor, "window n_inst d_sae"],
    config: ToySAETrainingConfig,
    generator: torch.Generator,
) -> Bool[Tensor, "n_inst d_sae"]:
    """Resample in the configuration's way, and say which latents were dead."""
    if config.resampling == "simple":
        return sae.resample_simple(frac_active_in_window, config.resample_scale, generator)
    return sae.resample_advanced(frac_active_in_window, config.resample_scale, config.batch_size, generator)


class _Log:
    """Sums of what each update gives, made rows of a history."""

    def __init__(self) -> None:
        self.n_summed = 0
        self.sums: dict[str, Any] = defaultdict(float)
        self.rows: dict[str, list[Tensor]] = defaultdict(list)
        self.steps: list[int] = []

    def add(self, values: dict[str, Tensor]) -> None:
        for name, value in values.items():
            self.sums[name] = self.sums[name] + value
        self.n_summed += 1

    def write(self, step: int, W_dec: Tensor) -> None:
        self.steps.append(step)
        for name, total in self.sums.items():
            self.rows[name].append(total / self.n_summed)
        self.rows["W_dec"].append(W_dec.detach().clone())
        self.sums.clear()
        self.n_summed = 0

    def history(self, resampled: dict[int, Tensor]) -> ToySAEHistory:
        stacked = {name: torch.stack(rows).cpu() for name, rows in self.rows.items()}
        frac_active, W_dec = stacked.pop("frac_active"), stacked.pop("W_dec")
        return ToySAEHistory(torch.tensor(self.steps), stacked, frac_active, W_dec, resampled)


def train_toy_sae(
    sae: ToySAE,
    config: ToySAETrainingConfig | None = None,
    on_row: Callable[[int, ToySAE], None] | None = None,
) -> ToySAEHistory:
    """Train every instance of `sae` on fresh hidden states of its toy model, and return what happened.

    `sae` is changed in place; any class with the methods and parameters of `ToySAE` will do. `on_row(step, sae)` is
    called whenever a row of the history is written.
    """
    config = config or ToySAETrainingConfig()
    generator = make_generator(config.seed, sae.b_dec.device)
    optimizer = make_adam(list(sae.parameters()), config.lr)
    window: deque[Tensor] = deque(maxlen=config.resample_window)
    resampled: dict[int, Tensor] = {}
    log = _Log()
    with progress(config.n_steps, "training") as bar:
        for step in range(config.n_steps):
            set_lr(optimizer, config.lr * config.schedule(step, config.n_steps))
            terms, losses, latents, _ = sae(sae.generate_batch(config.batch_size, generator))
            optimizer.zero_grad()
            losses.mean(dim=0).sum().backward()
            optimizer.step()
            frac_active = einops.reduce((latents > 0).float(), "batch n_inst d_sae -> n_inst d_sae", "mean")
            window.append(frac_active)
            means = {name: term.detach().mean(dim=0) for name, term in (terms | {"loss": losses}).items()}
            log.add(means | {"frac_active": frac_active})
            n_done = step + 1
            bar.update()
            if n_done % config.log_every == 0 or n_done == config.n_steps:
                require_finite(means["loss"], n_done, config.lr)
                log.write(n_done, sae.W_dec_normalized)
                bar.set_postfix(loss=f"{means['loss'].mean().item():.4g}")
                if on_row is not None:
                    on_row(n_done, sae)
            if config.resampling != "none" and n_done % config.resample_every == 0 and n_done < config.n_steps:
                resampled[n_done] = resample(sae, torch.stack(list(window)), config, generator)
                forget_moments(optimizer, sae, resampled[n_done])
    return log.history(resampled)
