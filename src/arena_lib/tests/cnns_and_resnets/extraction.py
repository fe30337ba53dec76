"""Judges of feature extraction: a trained body with a new last layer, and its training."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from arena_lib.checking import Case, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.fundamentals.resnets import mlp, transfer
from arena_lib.fundamentals.resnets.resnet import ResNet34
from arena_lib.fundamentals.resnets.transfer import ResNetTrainingArgs
from arena_lib.tests.cnns_and_resnets.loops import LOOP
from arena_lib.tests.cnns_and_resnets.recording import FIRST_TEST, describe, make_pictures, watched
from arena_lib.tests.cnns_and_resnets.watching import fill

__test__ = False


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
