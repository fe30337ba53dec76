"""A training loop watched from outside: every call of a model and every step of an optimizer, whoever wrote the loop.

Each picture carries its number in its first pixel, so a call says which pictures it was about.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.optim.optimizer import register_optimizer_step_pre_hook

from arena_lib.checking.observing import Observations
from arena_lib.fundamentals.images import LabelledImages

__test__ = False

SCALE = 4096
"""Numbers of pictures are stored as multiples of 1 / SCALE, which floats hold exactly."""
FIRST_TEST = 2048
"""Test pictures have numbers from here on."""


def make_pictures(
    n_images: int, n_classes: int, first: int, channels: int, generator: torch.Generator
) -> LabelledImages:
    """Pictures of 28 x 28 pixels that are easy to tell apart: each class has a bright row of its own."""
    labels = torch.randperm(n_images, generator=generator) % n_classes
    images = 0.3 * torch.rand(n_images, channels, 28, 28, generator=generator)
    images[torch.arange(n_images), :, 2 + 2 * labels] += 0.6
    images[:, :, 0, 0] = ((torch.arange(n_images) + first) / SCALE)[:, None]
    return LabelledImages(images, labels, tuple(map(str, range(n_classes))))


@dataclass
class Call:
    """One call of a whole model."""

    numbers: list[int]
    is_training: bool
    has_gradients: bool
    logits: Tensor


@dataclass
class Record:
    """All that was seen, in order."""

    events: list[Call | str] = field(default_factory=list)
    """Calls of models, and for each step of an optimizer what it is."""
    optimizers: list[torch.optim.Optimizer] = field(default_factory=list)
    """Those that took a step, each once."""

    @property
    def calls(self) -> list[Call]:
        """The calls alone."""
        return [event for event in self.events if isinstance(event, Call)]


@contextmanager
def watched() -> Iterator[Record]:
    """Write down what happens inside."""
    record, open_calls = Record(), []

    def enter(module: nn.Module, args: Any) -> None:
        open_calls.append((module.training or any(part.training for part in module.modules()), torch.is_grad_enabled()))

    def leave(module: nn.Module, args: Any, output: Any) -> None:
        is_training, has_gradients = open_calls.pop()
        if not open_calls and isinstance(output, Tensor) and args and args[0].ndim == 4:
            numbers = (args[0][:, 0, 0, 0] * SCALE).round().long().tolist()
            record.events.append(Call(numbers, is_training, has_gradients, output.detach().clone()))

    def step(optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        record.events.append(f"{type(optimizer).__name__}, lr={optimizer.param_groups[0]['lr']:g}")
        if not any(optimizer is known for known in record.optimizers):
            record.optimizers.append(optimizer)

    hooks = [
        register_module_forward_pre_hook(enter),
        register_module_forward_hook(leave, always_call=False),
        register_optimizer_step_pre_hook(step),
    ]
    try:
        yield record
    finally:
        for hook in hooks:
            hook.remove()


def describe(record: Record, losses: Any, accuracies: Any, model: nn.Module, args: Any) -> Observations:
    """What a loop of `args.epochs` epochs did, and whether what it returns is what happened."""
    train_set, test_set = args.train_set, args.test_set
    n_train, n_test = len(train_set.labels), len(test_set.labels)
    steps = [call for call in record.calls if call.has_gradients]
    tests = [call for call in record.calls if not call.has_gradients]
    seen_numbers = [number for call in steps for number in call.numbers]
    epochs = [seen_numbers[start : start + n_train] for start in range(0, len(seen_numbers), n_train)]
    seen: Observations = {
        "sizes of the batches": [len(call.numbers) for call in steps],
        "every epoch has every training picture once": all(sorted(epoch) == list(range(n_train)) for epoch in epochs),
        "every epoch has an order of its own": len(set(map(tuple, [*epochs, list(range(n_train))]))) == len(epochs) + 1,
        "steps with the model in training mode": sum(call.is_training for call in steps),
        "tests with the model in training mode": sum(call.is_training for call in tests),
        "test pictures after each epoch": _tests_after_epochs(record, n_train),
        "steps of the optimizer": sorted({event for event in record.events if isinstance(event, str)}),
        "number of optimizers that took steps": len(record.optimizers),
        "number of steps": sum(isinstance(event, str) for event in record.events),
        "types": f"{_types(losses)}; {_types(accuracies)}",
        "number of losses": len(losses),
        "number of accuracies": len(accuracies),
        "losses are those of the steps": _agree(losses, [_loss_of(call, train_set) for call in steps]),
        "the loss falls": float(sum(losses[-3:])) < float(sum(losses[:3])),
    }
    was_training = model.training
    with torch.no_grad():
        right = (model.eval()(test_set.images).argmax(-1) == test_set.labels).float().mean().item()
    model.train(was_training)
    seen["last accuracy is that of the model, on the test pictures"] = _agree(accuracies[-1:], [right])
    seen["number of test pictures"] = n_test
    return seen


def _tests_after_epochs(record: Record, n_train: int) -> list[int]:
    """How many different test pictures the model was asked about after each epoch, before the next began."""
    counts: list[set[int]] = []
    n_seen = 0
    for call in record.calls:
        if call.has_gradients:
            n_seen += len(call.numbers)
            continue
        epoch = n_seen / n_train
        while len(counts) <= epoch:
            counts.append(set())
        counts[int(epoch)] |= {number for number in call.numbers if number >= FIRST_TEST and epoch == int(epoch)}
    return [len(numbers) for numbers in counts]


def _loss_of(call: Call, train_set: LabelledImages) -> float:
    if max(call.numbers) >= len(train_set.labels):
        return float("nan")
    return float(F.cross_entropy(call.logits, train_set.labels[call.numbers]))


def _agree(numbers: Any, others: list[float]) -> bool:
    return len(numbers) == len(others) and all(
        abs(float(a) - b) < 1e-4 * (1 + abs(b)) for a, b in zip(numbers, others, strict=True)
    )


def _types(numbers: Any) -> str:
    return f"{type(numbers).__name__} of {', '.join(sorted({type(number).__name__ for number in numbers}))}"
