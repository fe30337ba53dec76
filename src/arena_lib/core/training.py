"""Training a model: schedule, clipping, evaluation, and runs that stop and continue bit for bit.

`Trainer` takes any module from tokens to logits, or with a `compute_loss` of its own any module and
any batches. All randomness of the data comes from one generator that the trainer hands to
`batches`; a checkpoint holds that generator's state, the global random states, the optimizer's and
the model's, so that on a CPU a run that was stopped and resumed ends with exactly the weights of one
that was not. A subclass may act before and after an update, add to the log, and keep tensors of its own.

Shapes:  tokens "batch seq", mask "batch seq" -> loss ""
Raises:  TrainingError for a loss that is not finite; ConfigError for batches that can't be drawn;
         CheckpointError for a checkpoint of another configuration, or a disk without space.
Source:  Pascanu et al. 2013, arXiv:1211.5063, algorithm 1 (clipping by norm); the optimizer's are
         in `optimization.py`.
Differs: the loss of a row of metrics is a mean over the updates since the row before.
"""

import contextlib
import dataclasses
import json
import math
import os
import signal
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from arena_lib.core.batches import Batch, Batches, as_batch, split_state
from arena_lib.core.checkpoints import has_checkpoint, load_checkpoint, remove_checkpoint, restoring, save_checkpoint
from arena_lib.core.manifest import find_commit, find_versions, make_manifest, read_manifest, write_manifest
from arena_lib.core.metrics import MetricsLog
from arena_lib.core.optimization import AUTOCAST_DTYPES, TrainingConfig, compute_lr, make_optimizer
from arena_lib.core.progress import progress
from arena_lib.core.seeds import get_random_states, make_generator, seed_everything, set_random_states
from arena_lib.errors import CheckpointError, ConfigError, TrainingError

NOT_COMPARED = frozenset({"log_every", "checkpoint_every", "trackers"})
"""Fields that may change between a checkpoint and its continuation: they do not alter the weights."""


ComputeLoss = Callable[[nn.Module, Any], Tensor | Mapping[str, Tensor]]
"""Of the model and a batch: the loss, or several numbers by name, of which "loss" is minimised and all are logged.

Names hold no full stop."""
Evaluate = Callable[[nn.Module], Mapping[str, float | int] | float | int]


@dataclass(frozen=True)
class TrainingSummary:
    """Where a call of `Trainer.train` ended."""

    step: int
    """Updates made in the whole run so far."""
    is_finished: bool
    """False if `max_seconds` ended the call before the last update."""
    metrics: dict[str, float]
    """The latest row of metrics."""
    folder: Path | None
    """Where checkpoint, metrics and manifest are."""


def next_token_loss(model: nn.Module, batch: Batch) -> Float[Tensor, ""]:
    """Mean cross-entropy in nats of each counted token given those before it."""
    logits = model(batch.tokens)
    targets = batch.tokens[:, 1:]
    if batch.mask is not None:
        targets = targets.masked_fill(~batch.mask[:, 1:], -100)  # cross_entropy's index to ignore
    wide = torch.promote_types(logits.dtype, torch.float32)
    return F.cross_entropy(logits[:, :-1].flatten(0, 1).to(wide), targets.flatten().long())


class Trainer:
    """Trains `model` on `batches`, keeping checkpoint, metrics and manifest in `folder` if there is one.

    `evaluate` gets the model in eval mode and without gradients; its values become the columns
    `eval_<name>` (a single number: `eval_loss`). Batches are moved to the model's device.
    """

    def __init__(
        self,
        model: nn.Module,
        config: TrainingConfig,
        batches: Batches,
        evaluate: Evaluate | None = None,
        folder: str | os.PathLike[str] | None = None,
        compute_loss: ComputeLoss = next_token_loss,
    ) -> None:
        if not callable(batches):
            raise ConfigError(
                f"batches must be a function from a generator to the next batch: got {type(batches).__name__}. Use "
                "ShuffledBatches or random_windows; of a DataLoader make one with it = iter(loader) and "
                "lambda generator: next(it)."
            )
        self.model, self.config, self.batches = model, config, batches
        self.evaluate, self.compute_loss = evaluate, compute_loss
        self.folder = None if folder is None else Path(folder)
        self.optimizer = make_optimizer(model, config)
        self.device = next(model.parameters()).device
        self.generator = make_generator(config.seed)
        self.step = 0
        self.metrics: dict[str, float] = {}
        self._sums: dict[str, Tensor] = {}
        self._n_summed = 0
        self._grad_norm: Tensor | None = None

    def training_step(self, batch: Any) -> Float[Tensor, ""]:
        """Make one update of the weights and return the loss before it."""
        for group in self.optimizer.param_groups:
            group["lr"] = compute_lr(self.step, self.config)
        batch = as_batch(batch).to(self.device)
        with self._autocast():
            computed = self.compute_loss(self.model, batch)
        parts = dict(computed) if isinstance(computed, Mapping) else {"loss": computed}
        self.optimizer.zero_grad()
        parts["loss"].backward()
        self.before_update()
        if self.config.grad_clip is not None:
            self._grad_norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.config.grad_clip)
        self.optimizer.step()
        self.step += 1
        self.after_update()
        for name, value in parts.items():
            self._sums[name] = self._sums.get(name, 0) + value.detach()
        self._n_summed += 1
        return parts["loss"].detach()

    # -- what a subclass may add --------------------------------------------------------------

    def before_update(self) -> None:
        """Called when the gradients are there, before they are clipped and used."""

    def after_update(self) -> None:
        """Called when the weights have moved and `step` counts the update."""

    def measure(self) -> Mapping[str, float]:
        """Further columns of a row of metrics, read when it is due."""
        return {}

    def should_stop(self, is_asked_to: bool) -> bool:
        """Whether the run ends after this update: Ctrl-C or `max_seconds` have asked for it."""
        return is_asked_to

    def extra_state(self) -> dict[str, Tensor]:
        """Tensors that a checkpoint keeps beside those of the model, the optimizer and the batches."""
        return {}

    def load_extra_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Go back to what `extra_state` returned; the tensors are on the CPU."""

    # -- a run --------------------------------------------------------------------------------

    def train(self, *, resume: bool = True, max_seconds: float | int | None = None) -> TrainingSummary:
        """Train to the last update, going on from the checkpoint in `folder` if there is one.

        Ctrl-C finishes the update at hand, keeps a checkpoint and raises KeyboardInterrupt, which says
        where; a second Ctrl-C interrupts at once. `max_seconds` stops in the same way but returns.
        """
        deadline = math.inf if max_seconds is None else time.monotonic() + max_seconds
        is_resumed = self.start(resume)
        was_training = self.model.training
        self.model.train()
        try:
            with (
                self._open_log(is_resumed) as log,
                progress(self.config.n_steps, "training", initial=self.step) as bar,
                InterruptFlag() as interrupt,
            ):
                while self.step < self.config.n_steps:
                    self.training_step(self.batches(self.generator))
                    self._report(log, bar)
                    if self.should_stop(interrupt.is_set or time.monotonic() >= deadline):
                        break
                    if self._is_due(self.config.checkpoint_every) and self.step < self.config.n_steps:
                        self.save()
                self.save()
        finally:
            self.model.train(was_training)
        if interrupt.is_set:
            raise KeyboardInterrupt(self._explain_interrupt())
        return TrainingSummary(self.step, self.step == self.config.n_steps, self.metrics, self.folder)

    def save(self) -> None:
        """Write a checkpoint of this moment into `folder`, over the one before; without a folder do nothing."""
        if self.folder is None:
            return
        self.require_finite()
        random_tensors, random_state = get_random_states()
        tensors = {f"model.{name}": tensor for name, tensor in self.model.state_dict().items()}
        tensors |= {f"random.{name}": tensor for name, tensor in random_tensors.items()}
        tensors |= {f"optimizer.{name}": tensor for name, tensor in self._optimizer_tensors().items()}
        tensors |= {f"extra.{name}": tensor for name, tensor in self.extra_state().items()}
        batch_tensors, batch_state = split_state(self.batches)
        tensors |= {f"batches.{name}": tensor for name, tensor in batch_tensors.items()}
        tensors |= {"data.generator": self.generator.get_state()}
        tensors |= {f"{name}_sum": total for name, total in self._sums.items()}
        state = {
            "step": self.step,
            "config": _as_json(self.config),
            "model": self._describe_model(),
            "random": random_state,
            "batches": batch_state,
            "metrics": self.metrics,
            "n_summed": self._n_summed,
        }
        save_checkpoint(self.folder, tensors=tensors, state=state)

    def restore(self) -> None:
        """Go to the checkpoint in `folder`; CheckpointError names what differs if it is of another configuration."""
        assert self.folder is not None
        tensors, state = load_checkpoint(self.folder)
        with restoring(self.folder):
            self._require_same(state)
            self._set_state(tensors, state)

    def start(self, resume: bool) -> bool:
        """Restore or seed, write the manifest, and say whether the run goes on from a checkpoint."""
        if resume and self.folder is not None and has_checkpoint(self.folder):
            self.restore()
            manifest = read_manifest(self.folder) or make_manifest(_as_json(self.config), self.config.seed)
            again = {"step": self.step, "commit": find_commit(), "versions": find_versions()}
            write_manifest(self.folder, {**manifest, "resumed": [*manifest.get("resumed", []), again]})
            return True
        if self.step == 0:
            seed_everything(self.config.seed)
        if self.folder is not None:
            remove_checkpoint(self.folder)  # a kill before the first save must not bring the old run back
            manifest = make_manifest(_as_json(self.config), self.config.seed)
            write_manifest(self.folder, {**manifest, "model": self._describe_model()})
        return False

    def _open_log(self, is_resumed: bool) -> contextlib.AbstractContextManager[MetricsLog | None]:
        if self.folder is None:
            return contextlib.nullcontext()
        resume_step = self.step if is_resumed else None
        return MetricsLog(
            self.folder, trackers=self.config.trackers, config=_as_json(self.config), resume_step=resume_step
        )

    def _report(self, log: MetricsLog | None, bar: Any) -> None:
        """Log the mean loss and evaluate where this step is due, and move the bar."""
        bar.update()
        is_last = self.step == self.config.n_steps
        row: dict[str, float] = {}
        if is_last or self._is_due(self.config.log_every):
            self.require_finite()
            row = {name: float(total) / self._n_summed for name, total in self._sums.items()}
            row["lr"] = self.optimizer.param_groups[0]["lr"]
            if self._grad_norm is not None:
                row["grad_norm"] = float(self._grad_norm)
            row |= self.measure()
            self._sums, self._n_summed = {}, 0
        if self.evaluate is not None and (is_last or self._is_due(self.config.eval_every)):
            row |= self._evaluate()
        if row:
            self.metrics = {**self.metrics, **row}
            bar.set_postfix({name: f"{value:.4g}" for name, value in self.metrics.items() if "loss" in name})
            if log is not None:
                log.log(self.step, row)

    def _evaluate(self) -> dict[str, float]:
        assert self.evaluate is not None
        self.model.eval()
        with torch.no_grad(), self._autocast():
            values = self.evaluate(self.model)
        self.model.train()
        named = values if isinstance(values, Mapping) else {"loss": values}
        return {f"eval_{name}": float(value) for name, value in named.items()}

    def _autocast(self) -> contextlib.AbstractContextManager[Any]:
        dtype = AUTOCAST_DTYPES[self.config.dtype]
        return contextlib.nullcontext() if dtype is None else torch.autocast(self.device.type, dtype)

    def _is_due(self, every: int | None) -> bool:
        return every is not None and self.step % every == 0

    def require_finite(self) -> None:
        """Raise TrainingError unless loss and gradient are finite, so that no checkpoint holds broken weights."""
        for name, value in (("loss", self._sums.get("loss")), ("gradient's norm", self._grad_norm)):
            if value is not None and not math.isfinite(float(value)):
                raise TrainingError(
                    f"the {name} must stay finite: got {float(value)} by step {self.step}. "
                    f"Lower lr (now {self.config.lr}), lengthen warmup (now {self.config.warmup}) "
                    f"or set grad_clip (now {self.config.grad_clip}). A batch of which no token counts has no loss "
                    "either: look at its mask and its length."
                )

    def _optimizer_tensors(self) -> dict[str, Tensor]:
        """Return the optimizer's state by name of parameter: its own numbering depends on the order of groups."""
        names: dict[Tensor, str] = {parameter: name for name, parameter in self.model.named_parameters()}
        return {
            f"{names[parameter]}/{key}": value
            for parameter, state in self.optimizer.state.items()
            for key, value in state.items()
        }

    def _load_optimizer(self, tensors: dict[str, Tensor]) -> None:
        parameters = dict(self.model.named_parameters())
        self.optimizer.state.clear()
        for path, tensor in tensors.items():
            name, _, key = path.rpartition("/")
            # The copy is on the parameter's device, as `fused` wants for `step` too.
            self.optimizer.state[parameters[name]][key] = tensor.to(parameters[name].device)

    def _set_state(self, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
        """Put everything back that `save` kept."""
        groups: defaultdict[str, dict[str, Tensor]] = defaultdict(dict)
        for name, tensor in tensors.items():
            kind, _, rest = name.partition(".")
            groups[kind][rest] = tensor
        self.model.load_state_dict(groups["model"])
        self._load_optimizer(groups["optimizer"])
        set_random_states(groups["random"], state["random"])
        self.generator.set_state(tensors["data.generator"])
        if hasattr(self.batches, "load_state_dict"):
            self.batches.load_state_dict({**state["batches"], **groups["batches"]})
        self.load_extra_state(groups["extra"])
        self.step, self.metrics, self._n_summed = state["step"], state["metrics"], state["n_summed"]
        sums = {name.removesuffix("_sum"): total for name, total in tensors.items() if "." not in name}
        self._sums = {name: total.to(self.device) for name, total in sums.items()}

    def _describe_model(self) -> dict[str, Any]:
        """Describe what a checkpoint's model must share with this one: class, config, shapes."""
        config = getattr(self.model, "config", getattr(self.model, "cfg", None))
        shapes = {name: " ".join(map(str, tensor.shape)) for name, tensor in self.model.state_dict().items()}
        fields = _as_json(config) if dataclasses.is_dataclass(config) else {}
        return {"class": type(self.model).__name__, **fields, **shapes}

    def _require_same(self, state: dict[str, Any]) -> None:
        """Raise CheckpointError, naming each field that differs, unless the checkpoint is of this configuration."""
        # A constant rate does not depend on where the run ends, so such a run may be made longer.
        may_differ = NOT_COMPARED | ({"n_steps"} if self.config.schedule == "constant" else frozenset())
        differing = [
            f"{kind}.{name} is {kept.get(name, 'absent')!r} there and {ours.get(name, 'absent')!r} here"
            for kind, kept, ours in (
                ("config", state["config"], _as_json(self.config)),
                ("model", state["model"], self._describe_model()),
            )
            for name in {**kept, **ours}
            if name not in may_differ and (name not in kept or name not in ours or kept[name] != ours[name])
        ]
        if differing:
            shown = "; ".join(differing[:5]) + (f"; and {len(differing) - 5} more" if len(differing) > 5 else "")
            raise CheckpointError(
                f"a run must continue with the configuration of its checkpoint in {self.folder}: {shown}. "
                f"Use that configuration, give another folder, or call train(resume=False) to start over there."
            )

    def _explain_interrupt(self) -> str:
        where = f"training stopped after {self.step} of {self.config.n_steps} updates"
        if self.folder is None:
            return f"{where}; no checkpoint was kept, because the trainer has no folder. Call train() to continue."
        return f"{where}; the checkpoint is in {self.folder}. Call train() on the same folder to continue."


class InterruptFlag:
    """Turns the first Ctrl-C into a flag, so that an update is never cut in half; the second acts as usual.

    Outside the main thread, where Python allows no signal handlers, it does nothing.
    """

    def __init__(self) -> None:
        self.is_set = False
        self._previous: Any = None

    def __enter__(self) -> "InterruptFlag":
        if threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(signal.SIGINT, self._set)
        return self

    def __exit__(self, *_: object) -> None:
        self._put_back()

    def _set(self, number: int, frame: FrameType | None) -> None:
        self.is_set = True
        self._put_back()

    def _put_back(self) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)
            self._previous = None


def _as_json(config: Any) -> dict[str, Any]:
    """Return a dataclass as it comes back from JSON: tuples are lists, and what JSON lacks is its text."""
    fields: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(config), default=str))
    return fields
