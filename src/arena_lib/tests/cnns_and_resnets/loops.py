"""Judges of the two training loops, and of the network whose features are used."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from arena_lib.checking import Case, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.fundamentals.resnets import mlp
from arena_lib.fundamentals.resnets.mlp import SimpleMLP, SimpleMLPTrainingArgs
from arena_lib.tests.cnns_and_resnets.recording import FIRST_TEST, describe, make_pictures, watched
from arena_lib.tests.cnns_and_resnets.watching import shapes_of

__test__ = False


def train_cases(generator: torch.Generator) -> list[Case]:
    """A batch left over at the end and none; one epoch and several; other rates and seeds."""

    def case(label: str, n_train: int, n_test: int, **settings: Any) -> Case:
        sets = {
            "train_set": make_pictures(n_train, 10, 0, 1, generator),
            "test_set": make_pictures(n_test, 10, FIRST_TEST, 1, generator),
        }
        written = ", ".join(f"{name}={value}" for name, value in settings.items())
        return Case(label=label, given={"settings": settings, "sets": sets}, call=f"SimpleMLPTrainingArgs({written})")

    return [
        case("a smaller batch at the end", 47, 21, batch_size=10, epochs=2, learning_rate=1e-3, seed=3),
        case("batches come out even", 30, 13, batch_size=6, epochs=3, learning_rate=3e-3, seed=4),
        case("one epoch", 25, 12, batch_size=4, epochs=1, learning_rate=2e-3, seed=1),
    ]


def watched_training(train: Callable[..., Any], case: Case) -> Observations:
    """What the loop did and returned; whether the seed decides it all."""
    args = SimpleMLPTrainingArgs(**case.given["settings"], **case.given["sets"])
    with watched() as record:
        losses, accuracies, model = train(args)
    seen = describe(record, losses, accuracies, model, args)
    seen["parameters"] = shapes_of(model)["parameters"]
    torch.rand(3)
    again, *_ = train(args)
    settings = {**case.given["settings"], "seed": 77}
    other, *_ = train(SimpleMLPTrainingArgs(**settings, **case.given["sets"]))
    seen["equal seeds give equal losses"] = list(map(float, again)) == list(map(float, losses))
    seen["another seed gives others"] = list(map(float, other)) != list(map(float, losses))
    return seen


def train_by_loader(args: SimpleMLPTrainingArgs) -> tuple[list[float], list[float], SimpleMLP]:
    """With DataLoaders, everything in one function, tests in batches."""
    torch.manual_seed(args.seed)
    model = SimpleMLP()
    optimizer = torch.optim.Adam(model.parameters(), args.learning_rate)
    loader = DataLoader(TensorDataset(*args.train_set[:2]), batch_size=args.batch_size, shuffle=True)
    test_loader = DataLoader(TensorDataset(*args.test_set[:2]), batch_size=5)
    losses, accuracies = [], []
    for _ in range(args.epochs):
        model.train()
        for images, labels in loader:
            loss = nn.functional.cross_entropy(model(images), labels)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            losses.append(loss.item())
        model.eval()
        n_right = 0
        with torch.inference_mode():
            for images, labels in test_loader:
                n_right += (model(images).argmax(dim=1) == labels).sum().item()
        accuracies.append(n_right / len(args.test_set.labels))
    return losses, accuracies, model


LOOP = (
    *instead_of(
        "torch.manual_seed(args.seed)\n",
        {
            "pass\n": ("ignores the seed", "torch.manual_seed(args.seed) comes first: equal arguments, equal results"),
            "torch.manual_seed(0)\n": ("takes the same seed always", "the seed is an argument: args.seed"),
        },
    ),
    *instead_of(
        "torch.randperm(len(labels)).split(args.batch_size)",
        {
            "torch.arange(len(labels)).split(args.batch_size)": (
                "goes through the pictures in the same order always",
                "in each epoch the order is new and random",
            ),
            "torch.randperm(len(labels)).split(args.batch_size)[: len(labels) // args.batch_size]": (
                "drops what is left at the end",
                "every picture is seen in every epoch: the last batch may be smaller",
            ),
            "torch.randint(len(labels), (len(labels),)).split(args.batch_size)": (
                "draws some pictures twice and others never",
                "in each epoch every picture comes once",
            ),
            "torch.randperm(len(labels), generator=torch.Generator().manual_seed(args.seed)).split(args.batch_size)": (
                "goes through every epoch in the order of the first",
                "each epoch has a random order of its own: draw it inside the loop over epochs",
            ),
            "torch.randperm(len(labels)).split(8)": ("ignores the batch size", "batches have args.batch_size pictures"),
        },
    ),
    *instead_of(
        "range(args.epochs)",
        {
            "range(args.epochs + 1)": ("runs one epoch too many", "there are args.epochs epochs"),
            "range(1, args.epochs)": ("runs one epoch too few", "there are args.epochs epochs"),
        },
    ),
    *instead_of(
        "\n        accuracies.append(compute_accuracy(model, args.test_set.images, args.test_set.labels))",
        {
            "\n            accuracies.append(compute_accuracy(model, args.test_set.images, args.test_set.labels))": (
                "tests after every step",
                "the model is tested once after each epoch",
            ),
            "\n    accuracies.append(compute_accuracy(model, args.test_set.images, args.test_set.labels))": (
                "tests once at the end",
                "the model is tested after each epoch",
            ),
            "\n        accuracies.append(compute_accuracy(model, images, labels))": (
                "tests on the pictures that it learns from",
                "validation needs pictures that the model hasn't seen: args.test_set",
            ),
            "\n        accuracies.append(compute_accuracy(model, args.test_set.images[:5], args.test_set.labels[:5]))": (
                "tests on a part",
                "the accuracy is that on all of args.test_set",
            ),
        },
    ),
    *instead_of(
        "for _ in range(args.epochs):\n",
        {
            "for _ in range(args.epochs):\n        optimizer = torch.optim.Adam("
            "[p for p in model.parameters() if p.requires_grad], lr=args.learning_rate)\n": (
                "makes a new optimizer in every epoch",
                "Adam remembers its means from step to step: make one before the epochs begin",
            ),
        },
    ),
    *instead_of(
        "labels[batch]",
        {
            "labels[: len(batch)]": (
                "gives pictures the labels of others",
                "pictures and labels go together: both are picked by the same numbers",
            ),
        },
    ),
    *instead_of(
        "images, labels, _ = args.train_set",
        {
            "images, labels, _ = args.test_set": (
                "learns from the test set",
                "the model learns from args.train_set alone",
            )
        },
    ),
    *instead_of(
        "return losses, accuracies, model",
        {
            "return losses[-args.epochs :], accuracies, model": (
                "returns too few losses",
                "there is a loss for each step",
            ),
        },
    ),
    *instead_of(
        "lr=args.learning_rate",
        {"lr=0.01": ("ignores the learning rate", "Adam's lr is args.learning_rate")},
    ),
)

test_train = exercise(
    reference=mlp.train,
    cases=train_cases,
    observe=watched_training,
    accepts=[train_by_loader],
    mistakes=[
        *LOOP,
        *instead_of(
            "torch.optim.Adam",
            {"torch.optim.SGD": ("takes SGD", "Adam is asked for, torch.optim.Adam")},
        ),
        *instead_of(
            "model = SimpleMLP()",
            {
                "model = SimpleMLP().eval()": (
                    "trains in evaluation mode",
                    "steps are taken in training mode, tests in evaluation mode",
                ),
            },
        ),
    ],
)
