"""Train a sparse autoencoder on a model's activations, with a checkpoint at any moment and an exact continuation.

    sae = TopKSAE(TopKSAEConfig(d_in=128, d_sae=512, k=12), make_generator(0))
    train_sae(model, sae, "blocks.2.hook_resid_post", source, SAETrainingConfig(n_steps=1200), folder="output/saes/run")

The loop is `core.training.Trainer`'s. `SAETrainer` adds the hooks of an autoencoder around each update, which latents are
dead, resampling, and the mean over processes if there are several (`distributed.py`).

Shapes:  batches of `store.py`
Raises:  ConfigError for widths that don't fit; TrainingError if activations aren't finite, or if no latent is alive; what
         `Trainer` raises.
Source:  as `config.py`.
"""

import os
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool
from torch import Tensor, nn

from arena_lib.core.seeds import make_generator
from arena_lib.core.training import Trainer, TrainingSummary
from arena_lib.errors import CheckpointError, ShapeError, TrainingError
from arena_lib.saes.autoencoders.base import SAE
from arena_lib.saes.autoencoders.resampling import resample_advanced, resample_simple
from arena_lib.saes.formats.saelens import save_sae
from arena_lib.saes.training import distributed
from arena_lib.saes.training.config import SAETrainingConfig, compute_sparsity_scale
from arena_lib.saes.training.reading import TokenSource
from arena_lib.saes.training.splicing import find_hook_names
from arena_lib.saes.training.store import Activations, ActivationSource, ActivationStore, StoreConfig

RESAMPLING = {"simple": resample_simple, "advanced": resample_advanced}
SAE_FOLDER = "sae"
"""Where, in a run's folder, the finished autoencoder is."""
SEED_STEP = 10_007
"""How far apart the seeds of the processes are."""


class SAETrainer(Trainer):
    """Trains `sae` on the batches of `store`; `dead` says which latents were not active for `dead_window` updates.

    `evaluate` gets the autoencoder with the store's scale folded in, as it will be used. Each process but the first keeps
    its part in a folder `rank-N` inside `folder`.
    """

    config: SAETrainingConfig
    model: SAE
    batches: ActivationSource

    def __init__(
        self,
        sae: SAE,
        store: ActivationSource,
        config: SAETrainingConfig,
        evaluate: Callable[[SAE], Mapping[str, float]] | None = None,
        folder: str | os.PathLike[str] | None = None,
    ) -> None:
        check_widths(sae, store)
        sae.cfg = replace(sae.cfg, hook_name=store.hook_name, hook_name_out=store.hook_name_out)
        rank = distributed.get_rank()
        if folder is not None and rank > 0:
            folder = Path(folder) / f"rank-{rank}"
        super().__init__(sae, config, store, None, folder, self._compute_loss)
        self.evaluate = None if evaluate is None or rank > 0 else lambda model: evaluate(self.fold())
        self.generator = make_generator(config.seed + SEED_STEP * rank)
        self._n_idle = torch.zeros(sae.cfg.d_sae, dtype=torch.int64, device=self.device)
        self._batch: Activations | None = None
        distributed.share(sae)

    @property
    def dead(self) -> Bool[Tensor, " d_sae"]:
        """Which latents have not been active in the last `dead_window` updates."""
        return self._n_idle >= self.config.dead_window

    def fold(self) -> SAE:
        """A copy of the autoencoder, in eval mode, for activations as the model gives them."""
        sae = deepcopy(self.model).eval().requires_grad_(False)
        sae.fold_scale(self.batches.scale, self.batches.scale_out)
        return sae

    def start(self, resume: bool) -> bool:
        """As `Trainer.start`; CheckpointError if the processes' checkpoints are of different moments."""
        is_resumed = super().start(resume)
        steps = distributed.gather(self.step, self.device)
        if len(set(steps)) > 1:
            raise CheckpointError(
                f"all processes must go on from the same update: got checkpoints of the updates {steps} in {self.folder} "
                "and the folders rank-N. The run was killed while it saved: start over with resume=False."
            )
        return is_resumed

    def before_update(self) -> None:
        """Average over processes, and let the autoencoder change its gradients."""
        distributed.average_gradients(self.model.parameters())
        self.model.before_step()

    def after_update(self) -> None:
        """Let the autoencoder change its weights, and replace dead latents where that is due."""
        self.model.after_step()
        is_due = self.step % self.config.resample_every == 0 and self.step <= self.config.last_resampling
        if self.config.resampling != "none" and is_due and bool(self.dead.any()):
            self._resample()

    def measure(self) -> dict[str, float]:
        """How many latents are dead; TrainingError if all are and nothing revives them."""
        dead_share = float(self.dead.float().mean())
        if dead_share == 1 and self.config.resampling == "none":
            raise TrainingError(
                f"at least one latent must be active: got none of {self.model.cfg.d_sae} in the last "
                f"{self.config.dead_window} updates before step {self.step}. Lower the weight of sparsity or lr (now "
                f"{self.config.lr}), lengthen sparsity_warmup (now {self.config.sparsity_warmup}), or set resampling. The "
                "latest checkpoint is kept."
            )
        return {"dead_share": dead_share, "sparsity_scale": compute_sparsity_scale(self.step - 1, self.config)}

    def require_finite(self) -> None:
        """Name the hook if activations are broken, and else what `Trainer` looks at."""
        self.batches.check_finite()
        super().require_finite()

    def should_stop(self, is_asked_to: bool) -> bool:
        """All processes stop after the same update."""
        return distributed.any_asks(is_asked_to, self.device)

    def extra_state(self) -> dict[str, Tensor]:
        """For how many updates each latent has been idle."""
        return {"n_idle": self._n_idle}

    def load_extra_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Go back to the idle latents of a checkpoint."""
        self._n_idle = tensors["n_idle"].to(self.device)

    def _compute_loss(self, model: nn.Module, batch: Activations) -> dict[str, Tensor]:
        sae = self.model
        if self.step == 0 and self.config.initial_bias == "mean":
            start_bias(sae, batch)
        may_be_dead = self.step >= self.config.dead_window
        losses = sae.compute_loss(
            batch.acts,
            batch.target,
            dead=self.dead if may_be_dead else None,
            sparsity_scale=compute_sparsity_scale(self.step, self.config),
        )
        n_active = distributed.add_up(losses.n_active.clone())
        self._n_idle = torch.where(n_active > 0, 0, self._n_idle + 1)
        self._batch = batch
        return {"loss": losses.total, **{f"{name}_loss": part for name, part in losses.parts.items()}, "l0": losses.l0}

    def _resample(self) -> None:

        assert self._batch is not None
        resample, dead, batch = RESAMPLING[self.config.resampling], self.dead, self._batch
        resample(self.model, dead, batch.acts, self.generator, target=batch.target, optimizer=self.optimizer)
        distributed.share(self.model)
        self._n_idle = torch.where(dead, 0, self._n_idle)


@torch.no_grad()
def start_bias(sae: SAE, batch: Activations) -> None:
    """Start b_dec at the mean of a batch's targets, so that latents needn't explain what is always there."""
    target = batch.acts if batch.target is None else batch.target
    sae.b_dec.copy_(distributed.average(target.mean(dim=0)))


def check_widths(sae: SAE, store: ActivationSource) -> None:
    """Raise ShapeError unless the autoencoder has the widths of the store's hooks."""
    for field, width, hook_name in (
        ("d_in", store.d_in, store.hook_name),
        ("d_out", store.d_out, store.hook_name_out),
    ):
        value = getattr(sae.cfg, field)
        if value != width:
            raise ShapeError(
                f"{field} must be the width of the model's activations at {hook_name or 'no target hook'}, {width}: got "
                f"{value}. Make the autoencoder with {field}={width}, or choose another hook."
            )


def train_sae(
    model: Any,
    sae: SAE,
    hook_name: str | None,
    batches: TokenSource,
    config: SAETrainingConfig,
    folder: str | os.PathLike[str] | None = None,
    *,
    hook_name_out: str | None = None,
    store_config: StoreConfig | None = None,
    evaluate: Callable[[SAE], Mapping[str, float]] | None = None,
    resume: bool = True,
) -> TrainingSummary:
    """Train `sae` in place on the model's activations, and fold the activations' scale into it at the end.

    `hook_name` None means the config's. `batches` gives tokens (`TextBatches`, `ShuffledBatches`, `StoryBatches`). A run
    in `folder` goes on where its checkpoint is, and writes the finished autoencoder to `folder/sae` in SAELens's format.
    A run that is stopped leaves `sae` as the checkpoint has it, for scaled activations.
    """
    reads, writes = find_hook_names(sae, hook_name, hook_name_out)
    store = ActivationStore(model, reads, batches, store_config, hook_name_out=writes if writes != reads else "")
    trainer = SAETrainer(sae, store, config, evaluate, folder)
    summary = trainer.train(resume=resume)
    sae.fold_scale(store.scale, store.scale_out)
    if folder is not None and distributed.get_rank() == 0:
        save_sae(sae, Path(folder) / SAE_FOLDER)
    return summary
