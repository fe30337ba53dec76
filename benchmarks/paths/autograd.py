"""One training step of a small classifier on our autograd engine, beside PyTorch's eager mode.

The network has the size of a first MNIST classifier, 784 pixels, a hidden layer, ten classes. A step is the forward pass,
the mean cross-entropy, the gradients, and gradient descent; making the input tensors from arrays is included on both
sides, for a user always pays it. Both begin with the same weights. Runs return the loss and the weights after one step
from these, so that agreement looks at gradients as well.
"""

from typing import Any

import numpy as np
import torch
from torch import nn

from arena_lib.fundamentals.backprop.classifier import MLP, SGD, training_step
from benchmarks.harness.declaring import Benchmark, Disagreement, Goal, Place, Run, Workload

SIZES = {
    ("batch-64", "tiny"): (8, 12, 7, 5),
    ("batch-64", "cpu"): (64, 784, 128, 10),
    ("batch-512", "tiny"): (16, 12, 7, 5),
    ("batch-512", "cpu"): (512, 784, 128, 10),
}
"""For each case its pictures in a batch, pixels, width of the hidden layer, and classes."""
LR = 1e-3
"""Small, so that many steps on one batch stay usual ones."""
TOLERANCE = 1e-4
"""The largest difference that rounding in float32 makes, as a fraction of the largest entry."""


def make(place: Place) -> Workload:
    """Runs take one more step, and return its loss and the weights that a first step led to."""
    batch, n_pixels, d_hidden, n_classes = SIZES[place.case, place.size]
    rng = np.random.default_rng(0)
    images = rng.random((batch, n_pixels), dtype=np.float32)
    labels = rng.integers(n_classes, size=batch)
    model = MLP(n_pixels, d_hidden, n_classes, rng)
    for parameter in model.parameters():
        parameter.array = parameter.array.astype(np.float32)
    weights = [parameter.array for parameter in model.parameters()]
    optimizer = SGD(model.parameters(), LR)
    first = training_step(model, optimizer, images, labels)
    after = [first, *(parameter.array.copy() for parameter in model.parameters())]

    def ours() -> list[Any]:
        training_step(model, optimizer, images, labels)
        return after

    return Workload(
        ours=ours,
        peers={"torch": lambda: step_of_torch(weights, images, labels)},
        agree=_compare,
        flops=float(6 * batch * d_hidden * (n_pixels + n_classes) - 2 * batch * n_pixels * d_hidden),
        units=batch,
        needs_grad=True,
    )


def step_of_torch(weights: list[np.ndarray], images: np.ndarray, labels: np.ndarray) -> Run:
    """The same in PyTorch, as its tutorials have it."""
    shapes = [weights[i].shape for i in (0, 2)]
    model = nn.Sequential(nn.Linear(*shapes[0][::-1]), nn.ReLU(), nn.Linear(*shapes[1][::-1]))
    with torch.no_grad():
        for parameter, weight in zip(model.parameters(), weights, strict=True):
            parameter.copy_(torch.from_numpy(weight))
    optimizer = torch.optim.SGD(model.parameters(), lr=LR)
    loss_fn = nn.CrossEntropyLoss()

    def step() -> float:
        loss = loss_fn(model(torch.from_numpy(images)), torch.from_numpy(labels))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    after = [step(), *(parameter.detach().clone().numpy() for parameter in model.parameters())]

    def run() -> list[Any]:
        step()
        return after

    return run


def _compare(ours: list[Any], theirs: list[Any]) -> float:
    """The largest difference of the losses, and of the weights after the first step."""
    differences = [
        float(np.abs(np.asarray(a) - np.asarray(b)).max() / np.abs(b).max()) for a, b in zip(ours, theirs, strict=True)
    ]
    if not max(differences) <= TOLERANCE:
        raise Disagreement(
            f"the losses and weights after one step differ by {max(differences):.2g} of the largest entry; at most "
            f"{TOLERANCE:g} is rounding"
        )
    return max(differences)


BENCHMARK = Benchmark(
    name="autograd",
    title="Autograd from scratch, a training step",
    cases={"batch-64": "64 pictures of 784 pixels", "batch-512": "512 pictures"},
    unit="pictures",
    make=make,
    dtypes={"cpu": ("float32",)},
    peers=("torch",),
    goals=(Goal("batch-64", "torch", 1 / 1.5, on="cpu"), Goal("batch-512", "torch", 1 / 1.5, on="cpu")),
)
