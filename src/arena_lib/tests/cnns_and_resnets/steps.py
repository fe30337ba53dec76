"""Judges of one step of training, of the accuracy, and of predictions."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.fundamentals.resnets import mlp, resnet

__test__ = False


class Probe(nn.Module):
    """A small model that knows how it was called, and answers otherwise in training mode."""

    def __init__(self, n_inputs: int, n_classes: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(3)
        self.weight = nn.Parameter(torch.randn(n_classes, n_inputs, generator=generator))
        self.inner = nn.Dropout(0.0)
        self.calls: list[tuple[bool, bool, bool]] = []

    def forward(self, x: Tensor) -> Tensor:
        self.calls.append((self.training, self.inner.training, torch.is_grad_enabled()))
        logits = x.flatten(1) @ self.weight.T
        return logits.flip(-1) - 1 if self.training else logits


def step_cases(generator: torch.Generator) -> list[Case]:
    """Batches of several sizes, gradients left from before, a model in evaluation mode."""

    def case(label: str, batch: int, **given: Any) -> Case:
        images = torch.randn(batch, 2, 3, 2, generator=generator)
        labels = torch.randint(5, (batch,), generator=generator)
        return Case(
            label=label, given={"images": images, "labels": labels, **given}, call="model, optimizer, images, labels"
        )

    return [
        case("a batch of six", 6, lr=0.5),
        case("another learning rate", 4, lr=0.05),
        case("one picture", 1, lr=0.2),
        case("gradients are left from before", 5, lr=0.3, left_over=2.0),
        case("a model in evaluation mode", 7, lr=0.3, is_evaluated=True),
    ]


def two_steps(step: Callable[..., Any], case: Case) -> Observations:
    """The losses of two steps, the weights after each, and in which mode the model was called and is left."""
    model = Probe(12, 5).train(not case.given.get("is_evaluated", False))
    optimizer = torch.optim.SGD(model.parameters(), lr=case.given["lr"])
    if "left_over" in case.given:
        model.weight.grad = torch.full_like(model.weight, case.given["left_over"])
    images, labels = case.given["images"].clone(), case.given["labels"].clone()
    seen: Observations = {}
    for n in (1, 2):
        loss = step(model, optimizer, images, labels)
        seen[f"type of loss {n}"] = type(loss).__name__
        seen[f"loss {n}"] = float(loss) if isinstance(loss, float | Tensor) else "no number"
        seen[f"weights after step {n}"] = model.weight.detach().clone()
    seen["modes of the calls"] = str(sorted({call[0] for call in model.calls}))
    seen["left in training mode"] = model.training
    seen["images and labels unchanged"] = torch.equal(images, case.given["images"]) and torch.equal(
        labels, case.given["labels"]
    )
    return seen


def step_by_log_softmax(model: nn.Module, optimizer: torch.optim.Optimizer, images: Tensor, labels: Tensor) -> float:
    """The loss in two parts, and the gradients cleared by hand."""
    for parameter in model.parameters():
        parameter.grad = None
    log_probs = model(images).log_softmax(dim=-1)
    loss = -log_probs.gather(1, labels[:, None]).mean()
    loss.backward()
    optimizer.step()
    return float(loss.detach())


test_training_step = exercise(
    reference=mlp.training_step,
    cases=step_cases,
    observe=two_steps,
    accepts=[step_by_log_softmax],
    mistakes=[
        *instead_of(
            "optimizer.zero_grad()\n    loss.backward()\n    optimizer.step()",
            {
                "loss.backward()\n    optimizer.step()": (
                    "forgets zero_grad",
                    "gradients add up over steps: zero_grad comes before backward",
                ),
                "loss.backward()\n    optimizer.zero_grad()\n    optimizer.step()": (
                    "doesn't move the weights",
                    "optimizer.step() moves them by their gradients, which mustn't be cleared before it",
                ),
                "optimizer.step()\n    optimizer.zero_grad()\n    loss.backward()": (
                    "takes the step with the gradients of the batch before",
                    "the step goes by this batch: zero_grad, backward, step",
                ),
                "optimizer.zero_grad()\n    loss.backward()\n    optimizer.step()\n    optimizer.step()": (
                    "takes the step twice",
                    "one step for each batch",
                ),
            },
        ),
        *instead_of(
            "F.cross_entropy(model(images), labels)",
            {
                'F.cross_entropy(model(images), labels, reduction="sum")': (
                    "takes the sum of the losses",
                    "the loss is the mean: its step doesn't grow with the batch",
                ),
                "F.cross_entropy(model(images).softmax(dim=-1), labels)": (
                    "takes the softmax twice",
                    "cross_entropy takes the softmax itself: give it logits",
                ),
                "F.cross_entropy(model.train()(images), labels)": (
                    "puts the model in training mode",
                    "the model is called as it is, in the mode it's in",
                ),
                "F.cross_entropy(model.eval()(images), labels)": (
                    "puts the model in evaluation mode",
                    "the model is called as it is, in the mode it's in",
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
                "return F.cross_entropy(model(images), labels).item()": (
                    "returns the loss after the step",
                    "it's the loss before the step, which is known already",
                ),
            },
        ),
    ],
)


MANY, MANY_RIGHT = 1501, 902
"""No usual batch size divides the first, so batches by themselves are of unequal size."""


def accuracy_cases(generator: torch.Generator) -> list[Case]:
    """Models in either mode; none right, all right, one picture."""
    model = Probe(12, 5).eval()

    def case(label: str, n_images: int, n_right: int, is_training: bool) -> Case:
        images = torch.randn(n_images, 3, 2, 2, generator=generator)
        best = model(images).argmax(dim=-1)
        wrong = torch.arange(n_images) >= n_right
        given = {"images": images, "labels": (best + wrong) % 5, "is_training": is_training}
        return Case(label=label, given=given, call="model, images, labels")

    return [
        case("a model in training mode", 8, 3, True),
        case("a model in evaluation mode", 7, 5, False),
        case("all right", 4, 4, True),
        case("none right", 6, 0, True),
        case("one picture", 1, 1, False),
        case("many pictures", MANY, MANY_RIGHT, True),
    ]


def asked_in_peace(function: Callable[..., Any], case: Case) -> Observations:
    """What comes out, in which mode the model was asked, and in which it is left."""
    model = Probe(12, 5).train(case.given["is_training"])
    images = case.given["images"].clone()
    labels = [case.given["labels"].clone()] if "labels" in case.given else []
    with torch.enable_grad():
        result = function(model, images, *labels)
        gradients_allowed = torch.is_grad_enabled()
    seen: Observations = {"type": type(result).__name__}
    values = result if isinstance(result, tuple | list) else [result]
    for number, value in enumerate(values):
        seen[f"result {number}"] = value if isinstance(value, float | Tensor) else f"of type {type(value).__name__}"
        seen[f"result {number} requires a gradient"] = bool(getattr(value, "requires_grad", False))
    modes = {call[:2] for call in model.calls}
    seen["asked in training mode"] = any(any(mode) for mode in modes)
    seen["asked with gradients"] = any(call[2] for call in model.calls)
    seen["left in training mode"] = model.training
    seen["its parts left in training mode"] = model.inner.training
    seen["gradients allowed afterwards"] = gradients_allowed
    seen["weights want gradients afterwards"] = model.weight.requires_grad
    seen["images unchanged"] = torch.equal(images, case.given["images"])
    return seen


def accuracy_by_batches(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    """In batches, counted."""
    mode, n_right = model.training, 0
    model.eval()
    with torch.inference_mode():
        for batch, true in zip(images.split(3), labels.split(3), strict=True):
            n_right += int((model(batch).max(dim=1).indices == true).sum())
    model.train(mode)
    return n_right / len(labels)


IN_PEACE = (
    *instead_of(
        "    model.eval()\n",
        {"": ("asks the model in training mode", "model.eval() comes first: batch norm and dropout act otherwise")},
    ),
    *instead_of(
        "    model.train(was_training)\n",
        {
            "": ("leaves the model in evaluation mode", "afterwards the model is in the mode it was in before"),
            "    model.train()\n": (
                "leaves the model in training mode always",
                "a model that was in evaluation mode stays in it",
            ),
        },
    ),
    *instead_of(
        "with torch.no_grad():",
        {
            "if True:": ("remembers the calculation for gradients", "ask the model inside torch.no_grad()"),
            "torch.set_grad_enabled(False)\n    if True:": (
                "leaves gradients switched off",
                "gradients are off for this question alone: with torch.no_grad():",
            ),
        },
    ),
)


def accuracy_by_means(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    """The mean of the accuracies of batches, of which the last is smaller."""
    mode, shares = model.training, []
    model.eval()
    with torch.no_grad():
        for batch, true in zip(images.split(64), labels.split(64), strict=True):
            shares.append((model(batch).argmax(dim=-1) == true).float().mean().item())
    model.train(mode)
    return sum(shares) / len(shares)


def is_a_mean_of_means(seen: Sequence[Observations]) -> bool:
    """Whether the share of many pictures is the mean of the shares of batches of a usual size."""
    share = seen[-1].get("result 0")
    right = (torch.arange(MANY) < MANY_RIGHT).float()
    means = [float(torch.stack([part.mean() for part in right.split(size)]).mean()) for size in USUAL_SIZES]
    return isinstance(share, float) and any(abs(share - mean) < 1e-6 for mean in means)


USUAL_SIZES = (*range(2, 17), 20, 25, 32, 50, 64, 100, 128, 200, 250, 256, 500, 512, 1000, 1024)

test_compute_accuracy = exercise(
    reference=mlp.compute_accuracy,
    cases=accuracy_cases,
    observe=asked_in_peace,
    accepts=[accuracy_by_batches],
    mistakes=[
        Mistake(
            "takes the mean of the accuracies of batches",
            function=accuracy_by_means,
            shows=is_a_mean_of_means,
            why="the last batch is smaller, so its pictures would count for more: count the right ones of all",
        ),
        *IN_PEACE,
        *instead_of(
            "(predicted == labels).float().mean().item()",
            {
                "(predicted == labels).float().sum().item()": (
                    "counts the right ones",
                    "the share is asked for: the mean, not the sum",
                ),
                "(predicted != labels).float().mean().item()": (
                    "measures what is wrong",
                    "the accuracy is the share that is right",
                ),
                "(predicted == labels).float().mean()": ("returns a tensor", "a float of Python: .item()"),
                "100 * (predicted == labels).float().mean().item()": ("gives per cent", "a share, from 0 to 1"),
            },
        ),
        *instead_of(
            "model(images).argmax(dim=-1)",
            {
                "model(images).argmax(dim=0)": (
                    "looks for the best picture of each class",
                    "for each picture the best class: over the last axis",
                ),
                "model(images).argmin(dim=-1)": ("takes the smallest logit", "the largest logit says the class"),
            },
        ),
    ],
)


def predict_cases(generator: torch.Generator) -> list[Case]:
    """Models in either mode, one picture."""

    def case(label: str, n_images: int, is_training: bool) -> Case:
        given = {"images": 0.4 * torch.randn(n_images, 3, 2, 2, generator=generator), "is_training": is_training}
        return Case(label=label, given=given, call="model, images")

    return [
        case("a model in training mode", 8, True),
        case("a model in evaluation mode", 7, False),
        case("one picture", 1, False),
    ]


def predict_by_hand(model: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
    """Argmax, and the softmax by its formula."""
    mode = model.training
    with torch.no_grad():
        logits = model.eval()(images)
    model.train(mode)
    classes = logits.argmax(dim=1)
    chances = (logits - logits.logsumexp(dim=1, keepdim=True)).exp()
    return chances[torch.arange(len(images)), classes], classes


test_predict = exercise(
    reference=resnet.predict,
    cases=predict_cases,
    observe=asked_in_peace,
    accepts=[predict_by_hand],
    mistakes=[
        *IN_PEACE,
        *instead_of(
            "model(images).softmax(dim=-1)",
            {
                "model(images)": ("gives logits for probabilities", "the softmax makes probabilities of logits"),
                "model(images).sigmoid()": (
                    "takes the sigmoid of each logit",
                    "probabilities of a row sum to 1: softmax",
                ),
                "model(images).softmax(dim=0)": (
                    "takes the softmax over the pictures",
                    "each picture's probabilities sum to 1: over the last axis",
                ),
                "model(images).log_softmax(dim=-1)": ("gives logarithms", "probabilities are asked for: softmax"),
            },
        ),
        *instead_of(
            "return largest, classes",
            {
                "return classes, largest": ("swaps the two results", "first the probability, then the class"),
                "return probabilities, classes": (
                    "gives the probabilities of all classes",
                    "for each picture the largest one alone",
                ),
            },
        ),
        *instead_of(
            "probabilities.max(dim=-1)",
            {
                "probabilities.min(dim=-1)": ("takes the least likely class", "the largest probability is asked for"),
                "probabilities.max(dim=0)": (
                    "looks for the best picture of each class",
                    "for each picture the best class: over the last axis",
                ),
            },
        ),
    ],
)
