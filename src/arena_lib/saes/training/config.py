"""How a sparse autoencoder is trained: core's configuration with other defaults, and what only autoencoders need.

Raises:  ConfigError for a configuration that cannot work.
Source:  Bricken et al. 2023, "Towards monosemanticity", appendix "Neuron resampling"; Conerly et al. 2024, "Circuits
         updates, April", Training SAEs (warm-up of sparsity, a late linear decay to 0, clipping at 1); Gao et al. 2024,
         arXiv:2406.04093, appendix A (dead latents, the start of b_dec).
"""

from dataclasses import dataclass
from typing import Literal

from arena_lib.core.configs import check_sizes
from arena_lib.core.optimization import TrainingConfig

RESAMPLING = ("none", "simple", "advanced")


@dataclass(frozen=True, kw_only=True)
class SAETrainingConfig(TrainingConfig):
    """How to train an autoencoder; batches of activations are `StoreConfig`'s."""

    lr: float = 1e-3
    """Peak learning rate, for activations scaled to a mean norm of sqrt(d_in); wide autoencoders want less."""
    schedule: Literal["cosine", "constant", "late_decay"] = "late_decay"
    """Steady, and over the last fifth (`decay_share`) straight down to `final_lr_fraction`."""
    final_lr_fraction: float = 0.0
    """Learning rate at the end of the decay, as a fraction of the peak."""
    weight_decay: float = 0.0
    """None: lengths of encoder and decoder mean something."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Adam's averaging of the gradient and of its square."""
    sparsity_warmup: int = 0
    """Updates over which the weight of sparsity grows linearly; without, early latents die. TopK needs none."""
    dead_window: int = 200
    """A latent that hasn't been active for so many updates is dead."""
    resampling: Literal["none", "simple", "advanced"] = "none"
    """What happens to dead latents: nothing; new random directions; or those of examples that are reconstructed badly."""
    resample_every: int = 500
    """Updates between two resamplings; there are none in the last fifth (`decay_share`) of the run."""
    initial_bias: Literal["mean", "zeros"] = "mean"
    """Where b_dec starts: the mean of the first batch, or 0."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_sizes(self, "dead_window", "resample_every")
        self._require(
            "sparsity_warmup", 0 <= self.sparsity_warmup <= self.n_steps, f"from 0 to n_steps = {self.n_steps}"
        )
        self._require("resampling", self.resampling in RESAMPLING, f"one of {', '.join(map(repr, RESAMPLING))}")
        self._require("initial_bias", self.initial_bias in ("mean", "zeros"), "'mean' or 'zeros'")

    @property
    def last_resampling(self) -> int:
        """The update after which no latent is replaced: new ones need time."""
        return int(self.n_steps * (1 - self.decay_share))


def compute_sparsity_scale(step: int, config: SAETrainingConfig) -> float:
    """What the weight of sparsity is multiplied by in update number `step`, counted from 0.

    >>> [compute_sparsity_scale(step, SAETrainingConfig(n_steps=9, sparsity_warmup=4)) for step in range(6)]
    [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
    """
    return min(1.0, (step + 1) / config.sparsity_warmup) if config.sparsity_warmup else 1.0
