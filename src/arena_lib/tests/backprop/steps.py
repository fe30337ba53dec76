"""Judge of one step of training."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from arena_lib.checking import Case, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.fundamentals.backprop.backward_pass import backprop
from arena_lib.fundamentals.backprop.classifier import networks, training
from arena_lib.fundamentals.backprop.tensors import Tensor
from arena_lib.tests.backprop.watching import as_array

__test__ = False


def step_cases(generator: torch.Generator) -> list[Case]:
    """Batches of several sizes, several learning rates, gradients left over from before."""
    rng = np.random.default_rng(28)

    def case(label: str, batch: int, lr: float, **given: Any) -> Case:
        images, labels = rng.random((batch, 3, 4)), rng.integers(5, size=batch)
        return Case(
            label=label,
            given={"images": images, "labels": labels, "lr": lr, **given},
            call=f"model, SGD(model.parameters(), lr={lr}), images, labels",
        )

    return [
        case("a batch of six", 6, 0.5),
        case("another learning rate", 4, 0.05),
        case("one picture", 1, 0.2),
        case("gradients are left over from before", 5, 0.3, left_over=2.0),
    ]


class WatchedSGD(networks.SGD):
    """Notes at each step whether there are gradients."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.had_gradients: list[bool] = []

    def step(self) -> None:
        """As SGD."""
        self.had_gradients.append(all(parameter.grad is not None for parameter in self.params))
        super().step()


def two_steps(step: Callable[..., Any], case: Case) -> Observations:
    """The losses of two steps on the same batch, and the parameters after each."""
    model = training.MLP(12, 7, 5, np.random.default_rng(29))
    optimizer = WatchedSGD(model.parameters(), case.given["lr"])
    if "left_over" in case.given:
        for parameter in optimizer.params:
            parameter.grad = Tensor(np.full(parameter.shape, case.given["left_over"]))
    images, labels = case.given["images"].copy(), case.given["labels"].copy()
    seen: Observations = {}
    for n in (1, 2):
        loss = step(model, optimizer, images, labels)
        seen[f"type of loss {n}"] = type(loss).__name__
        seen[f"loss {n}"] = as_array(loss) if isinstance(loss, float | np.ndarray) else "no float"
        seen[f"weights after step {n}"] = [np.array(parameter.array) for parameter in optimizer.params]
    same = np.array_equal(images, case.given["images"]) and np.array_equal(labels, case.given["labels"])
    return seen | {"images and labels are as before": same, "gradients at each step": optimizer.had_gradients}


def step_by_sum(model: networks.Module, optimizer: networks.SGD, images: np.ndarray, labels: np.ndarray) -> float:
    """The mean as a sum over the number of pictures, and zero_grad first."""
    optimizer.zero_grad()
    losses = networks.cross_entropy(model.forward(Tensor(images)), Tensor(labels))
    loss = losses.sum() / len(labels)
    backprop(loss)
    optimizer.step()
    return float(loss.array)


def step_by_end_grad(model: networks.Module, optimizer: networks.SGD, images: np.ndarray, labels: np.ndarray) -> float:
    """The mean as the gradient to begin with."""
    losses = networks.cross_entropy(model(Tensor(images)), Tensor(labels))
    optimizer.zero_grad()
    backprop(losses, Tensor(np.full(len(labels), 1 / len(labels))))
    optimizer.step()
    return float(losses.array.mean())


NO_GRADIENTS = (
    "takes the step when no gradients are there",
    "a step needs this batch's gradients: zero_grad, then backprop, then step",
)

test_training_step = exercise(
    reference=training.training_step,
    cases=step_cases,
    observe=two_steps,
    accepts=[step_by_sum, step_by_end_grad],
    mistakes=[
        *instead_of(
            "optimizer.zero_grad()\n    backprop(loss)\n    optimizer.step()",
            {
                "backprop(loss)\n    optimizer.step()": (
                    "forgets zero_grad",
                    "gradients add up over steps: zero_grad comes before backprop",
                ),
                "optimizer.zero_grad()\n    optimizer.step()\n    backprop(loss)": NO_GRADIENTS,
                "optimizer.step()\n    optimizer.zero_grad()\n    backprop(loss)": (
                    "takes the step with the gradients of the batch before",
                    "the step goes by this batch: zero_grad, backprop, step",
                ),
                "optimizer.zero_grad()\n    backprop(loss)\n    optimizer.step()\n    optimizer.step()": (
                    "takes the step twice",
                    "one step for each batch",
                ),
                "backprop(loss)\n    optimizer.zero_grad()\n    optimizer.step()": NO_GRADIENTS,
                "optimizer.zero_grad()\n    backprop(loss)\n    backprop(loss)\n    optimizer.step()": (
                    "goes back twice",
                    "each pass adds its gradients: one pass for each batch",
                ),
                "optimizer.zero_grad()\n    backprop(loss)": ("takes no step", "the optimizer's step comes last"),
            },
        ),
        *instead_of(
            ".mean()",
            {
                ".sum()": (
                    "takes the sum of the losses",
                    "the loss is the mean: its step doesn't grow with the batch",
                ),
            },
        ),
        *instead_of(
            "return loss.item()",
            {
                "return loss": (
                    "returns the tensor",
                    "the loss is a float: .item() gives it, and keeps no graph alive",
                ),
                "return loss.array": ("returns an array", "the loss is a float: .item() gives it"),
                "return None": ("returns nothing", "the loss before the step is returned, a float"),
                "return cross_entropy(model(Tensor(images)), Tensor(labels)).mean().item()": (
                    "returns the loss after the step",
                    "it's the loss before the step, which is known already",
                ),
            },
        ),
    ],
)
