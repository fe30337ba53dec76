"""Judges of the two training loops, and of the network whose features are used."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from arena_lib.checking import Case, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.fundamentals.resnets import mlp, transfer
from arena_lib.fundamentals.resnets.mlp import SimpleMLP, SimpleMLPTrainingArgs
from arena_lib.fundamentals.resnets.resnet import ResNet34
from arena_lib.fundamentals.resnets.transfer import ResNetTrainingArgs
from arena_lib.tests.cnns_and_resnets.recording import FIRST_TEST, describe, make_pictures, watched
from arena_lib.tests.cnns_and_resnets.watching import fill, shapes_of

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


def make_small_resnet(seed: int = 2) -> ResNet34:
    """A small network with known weights and statistics."""
    model = ResNet34((1, 1), (4, 6), (1, 2), 5)
    fill(model, seed)
    return model


def extraction_cases(generator: torch.Generator) -> list[Case]:
    """More classes and fewer, in either mode."""
    return [
        Case(
            label=label,
            given={
                "n_classes": n_classes,
                "is_training": is_training,
                "images": torch.randn(3, 3, 28, 24, generator=generator),
            },
            call=f"n_classes={n_classes}, pretrained",
        )
        for label, n_classes, is_training in (("fewer classes", 2, False), ("more classes", 7, True))
    ]


def copy_and_original(function: Callable[..., Any], case: Case) -> Observations:
    """What learns in the copy, whether its body gives the same, and whether the original is as before."""
    pretrained = make_small_resnet().train(case.given["is_training"])
    before = {name: tensor.clone() for name, tensor in pretrained.state_dict().items()}
    model = function(case.given["n_classes"], pretrained)
    after = pretrained.state_dict()
    learns = sorted(name for name, parameter in model.named_parameters() if parameter.requires_grad)
    shared = {parameter.data_ptr() for parameter in pretrained.parameters()}
    body = {name: tensor for name, tensor in model.state_dict().items() if not name.startswith("fc.")}
    features = []
    with torch.no_grad():
        for network in (model.eval(), pretrained.eval()):
            hook = network.avgpool.register_forward_hook(lambda *args: features.append(args[-1]))
            network(case.given["images"])
            hook.remove()
    return {
        "what learns": learns,
        "shape of fc.weight": tuple(model.fc.weight.shape),
        "shape of fc.bias": tuple(model.fc.bias.shape),
        "fc has the old weights": model.fc.weight.shape == before["fc.weight"].shape
        and torch.equal(model.fc.weight.detach(), before["fc.weight"]),
        "the body is the pretrained one's": all(torch.equal(before[name], tensor) for name, tensor in body.items()),
        "features are the pretrained one's": torch.allclose(features[0], features[1], atol=1e-5),
        "pretrained is as before": list(before) == list(after)
        and all(map(torch.equal, before.values(), after.values())),
        "pretrained can learn as before": all(parameter.requires_grad for parameter in pretrained.parameters()),
        "weights are shared": any(parameter.data_ptr() in shared for parameter in model.parameters()),
    }


def extraction_by_loop(n_classes: int, pretrained: ResNet34) -> ResNet34:
    """A new network that gets the other's state, and a loop over parameters."""
    model = make_small_resnet()
    model.load_state_dict(pretrained.state_dict())
    for parameter in model.parameters():
        parameter.requires_grad = False
    model.fc = nn.Linear(model.fc.weight.shape[1], n_classes)  # type: ignore[assignment]
    return model


test_get_resnet_for_feature_extraction = exercise(
    reference=transfer.get_resnet_for_feature_extraction,
    cases=extraction_cases,
    observe=copy_and_original,
    accepts=[extraction_by_loop],
    mistakes=[
        *instead_of(
            "model = copy.deepcopy(pretrained)",
            {
                "model = pretrained": ("changes the pretrained network itself", "the copy is changed: copy.deepcopy"),
            },
        ),
        *instead_of(
            "model.requires_grad_(False)\n",
            {
                "pass\n": ("freezes nothing", "only the new last layer learns"),
                "model.conv1.requires_grad_(False)\n": ("freezes the first layer alone", "all but fc is frozen"),
            },
        ),
        *instead_of(
            "model.fc = Linear(model.fc.in_features, n_classes)",
            {
                "model.fc.requires_grad_(True)": ("keeps the old last layer", "fc is a new Linear to n_classes"),
                "model.fc = Linear(model.fc.in_features, n_classes).requires_grad_(False)": (
                    "freezes the new layer too",
                    "the new layer learns",
                ),
                "model.fc = Linear(model.fc.in_features, model.fc.out_features)": (
                    "makes as many logits as before",
                    "fc is a new Linear to n_classes",
                ),
            },
        ),
    ],
)


def train_resnet_cases(generator: torch.Generator) -> list[Case]:
    """A batch left over at the end and none, in two and four classes."""

    def case(label: str, n_train: int, n_test: int, **settings: Any) -> Case:
        sets = {
            "train_set": make_pictures(n_train, settings["n_classes"], 0, 3, generator),
            "test_set": make_pictures(n_test, settings["n_classes"], FIRST_TEST, 3, generator),
        }
        written = ", ".join(f"{name}={value}" for name, value in settings.items())
        return Case(label=label, given={"settings": settings, "sets": sets}, call=f"ResNetTrainingArgs({written}, ...)")

    return [
        case("two classes", 17, 9, batch_size=5, epochs=2, learning_rate=3e-2, n_classes=2, seed=3),
        case("four classes", 12, 7, batch_size=4, epochs=3, learning_rate=2e-2, n_classes=4, seed=4),
    ]


def watched_extraction(train_resnet: Callable[..., Any], case: Case) -> Observations:
    """As of `train`; and what changed in the network."""
    pretrained = make_small_resnet()
    before = {name: tensor.clone() for name, tensor in pretrained.state_dict().items()}
    given = {**case.given["settings"], **case.given["sets"], "pretrained": pretrained}
    args = ResNetTrainingArgs(**given)
    with watched() as record:
        losses, accuracies, model = train_resnet(args)
    seen = describe(record, losses, accuracies, model, args)
    seen["pretrained is as before"] = all(
        torch.equal(before[name], tensor) for name, tensor in pretrained.state_dict().items()
    )
    changed = [name for name, tensor in model.state_dict().items() if not _is_same(before[name], tensor)]
    seen["what is otherwise than in pretrained"] = changed
    seen["logits"] = len(model.fc.weight)
    torch.rand(3)
    again, *_ = train_resnet(args)
    other, *_ = train_resnet(ResNetTrainingArgs(**{**given, "seed": 77}))
    seen["equal seeds give equal losses"] = list(map(float, again)) == list(map(float, losses))
    seen["another seed gives others"] = list(map(float, other)) != list(map(float, losses))
    return seen


def _is_same(a: torch.Tensor, b: torch.Tensor) -> bool:
    return a.shape == b.shape and torch.equal(a, b)


def extraction_by_loader(args: ResNetTrainingArgs) -> tuple[list[float], list[float], ResNet34]:
    """With a DataLoader, and an optimizer of all parameters, of which the frozen ones have no gradient."""
    torch.manual_seed(args.seed)
    model = transfer.get_resnet_for_feature_extraction(args.n_classes, args.pretrained)
    optimizer = torch.optim.Adam(model.parameters(), args.learning_rate)
    loader = DataLoader(TensorDataset(*args.train_set[:2]), batch_size=args.batch_size, shuffle=True)
    losses, accuracies = [], []
    for _ in range(args.epochs):
        model.eval()
        for images, labels in loader:
            losses.append(mlp.training_step(model, optimizer, images, labels))
        with torch.no_grad():
            right = model(args.test_set.images).argmax(-1) == args.test_set.labels
        accuracies.append(float(right.float().mean()))
    return losses, accuracies, model


test_train_resnet = exercise(
    reference=transfer.train_resnet,
    cases=train_resnet_cases,
    observe=watched_extraction,
    accepts=[extraction_by_loader],
    mistakes=[
        *LOOP,
        *instead_of(
            "get_resnet_for_feature_extraction(args.n_classes, args.pretrained).eval()",
            {
                "get_resnet_for_feature_extraction(args.n_classes, args.pretrained).train()": (
                    "lets the batch norms move",
                    "frozen parameters don't keep running statistics from moving: stay in evaluation mode",
                ),
                "get_resnet_for_feature_extraction(args.n_classes, args.pretrained)\n    args.pretrained.eval()": (
                    "puts the pretrained network into evaluation mode, and not the copy",
                    "the copy is trained: its batch norms must not move",
                ),
                "copy.deepcopy(args.pretrained).eval()": (
                    "goes on with the old last layer",
                    "fc is a new layer, for n_classes: get_resnet_for_feature_extraction",
                ),
            },
        ),
        *instead_of(
            "torch.optim.Adam(model.fc.parameters()",
            {
                "torch.optim.Adam(model.requires_grad_(True).parameters()": (
                    "trains the whole network",
                    "only fc learns: the body is frozen",
                ),
                "torch.optim.SGD(model.fc.parameters()": ("takes SGD", "Adam is asked for, torch.optim.Adam"),
            },
        ),
    ],
)
