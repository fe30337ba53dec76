"""Judge of a GAN's first weights."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from arena_lib.checking import Case, Mistake, Tolerance, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.fundamentals.generative.gan import initialization

__test__ = False

SAME_OBJECTS = "parameters are the same objects"
STAYS = ", another layer, stays as it is"
WIDE = 9.0
"""Beyond so many times what it should be, one deviation is as wrong as another."""


class Nested(nn.Module):
    """A network with every kind of layer that gets weights, some of them nested, and with several that don't."""

    def __init__(self) -> None:
        super().__init__()
        conv, up = nn.Conv2d(7, 30, 3), nn.ConvTranspose2d(30, 9, 4, bias=False)
        self.blocks = nn.ModuleList([nn.Sequential(conv, nn.BatchNorm2d(2000)), nn.Sequential(up)])
        self.head = nn.Sequential(nn.Linear(45, 50), nn.Sequential(nn.Linear(50, 40, bias=False)))
        self.norm = nn.LayerNorm(30)
        self.table = nn.Embedding(20, 30)
        self.row = nn.Sequential(nn.Conv1d(4, 6, 3), nn.BatchNorm1d(6), nn.GroupNorm(2, 6))


def init_cases(generator: torch.Generator) -> list[Case]:
    """A nested network, and each layer by itself."""
    made = {
        "a nested network": Nested,
        "a Conv2d alone": lambda: nn.Conv2d(8, 40, 3),
        "a ConvTranspose2d alone": lambda: nn.ConvTranspose2d(40, 8, 3),
        "a Linear alone": lambda: nn.Linear(60, 50),
        "a BatchNorm2d alone": lambda: nn.BatchNorm2d(2500),
        "a BatchNorm2d without weights": lambda: nn.Sequential(nn.BatchNorm2d(3, affine=False), nn.Linear(60, 50)),
    }
    return [Case(label=label, given={"make": make}, call="model") for label, make in made.items()]


def init_seen(function: Any, case: Case) -> Observations:
    """For each layer the mean and the deviation of its weights and the largest bias; whether others were touched."""
    torch.manual_seed(2)
    model: nn.Module = case.given["make"]()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.7)  # so that what isn't drawn anew shows
    before = {name: value.clone() for name, value in model.state_dict().items()}
    ids = {name: id(parameter) for name, parameter in model.named_parameters()}
    returned = function(model)
    seen: Observations = {
        "returns": type(returned).__name__,
        SAME_OBJECTS: ids == {name: id(p) for name, p in model.named_parameters()},
        "every parameter learns": all(parameter.requires_grad for parameter in model.parameters()),
    }
    once = {name: value.clone() for name, value in model.state_dict().items()}
    for name, module in model.named_modules():
        place = name or type(module).__name__
        if getattr(module, "affine", True) is False:
            continue
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear | nn.BatchNorm2d):
            centre = 1.0 if isinstance(module, nn.BatchNorm2d) else 0.0
            weights = module.weight.detach()
            seen[f"{place}: mean of the weights less {centre:g}, over 0.02"] = _within((weights.mean() - centre) / 0.02)
            seen[f"{place}: deviation of the weights, over 0.02"] = _within(weights.std() / 0.02)
            seen[f"{place}: shares of weights within 1 and beyond 3 deviations"] = _shares((weights - centre) / 0.02)
            if module.bias is not None:
                seen[f"{place}: largest bias"] = float(module.bias.detach().abs().max().clamp(max=1))
        elif not list(module.children()):
            prefix = f"{name}."
            same = all(torch.equal(once[key], before[key]) for key in once if key.startswith(prefix))
            seen[f"{place}{STAYS}"] = same
    function(model)
    weight = next(name for name, _ in model.named_parameters())
    seen["a second call draws anew"] = not torch.equal(once[weight], model.state_dict()[weight])
    return seen


def touches_another_layer(seen: Sequence[Observations]) -> bool:
    """Whether a layer that should stay as it is was changed."""
    return any(value is False for shown in seen for name, value in shown.items() if name.endswith(STAYS))


def replaces_parameters(seen: Sequence[Observations]) -> bool:
    """Whether a parameter is another object afterwards."""
    return any(not shown[SAME_OBJECTS] for shown in seen)


def _within(value: Tensor) -> float:
    return float(value.clamp(-WIDE, WIDE))


def _shares(deviations: Tensor) -> Tensor:
    """Of a normal distribution 0.68 and 0.003."""
    sizes = deviations.abs()
    return torch.stack([(sizes < 1).float().mean(), (sizes > 3).float().mean()])


def init_by_apply(model: nn.Module) -> None:
    """With a function for each module, and in-place methods."""

    def draw_layer(module: nn.Module) -> None:
        name = type(module).__name__
        if name in ("Conv2d", "ConvTranspose2d", "Linear", "BatchNorm2d"):
            if module.weight is None:
                return
            module.weight.data.normal_(float(name == "BatchNorm2d"), 0.02)  # type: ignore[operator]
            if module.bias is not None:
                module.bias.data.fill_(0)  # type: ignore[operator]

    model.apply(draw_layer)


def init_children_only(model: nn.Module) -> None:
    """Forgets nested layers."""
    for module in model.children() if list(model.children()) else [model]:
        if not list(module.children()):
            initialization.initialize_weights(module)


test_initialize_weights = exercise(
    reference=initialization.initialize_weights,
    cases=init_cases,
    observe=init_seen,
    # At least 1,890 weights: their mean over 0.02 varies by 0.023, their deviation by 0.016.
    tolerance={
        name: Tolerance(rtol=0.0, atol=0.15)
        for place in (
            *("blocks.0.0", "blocks.0.1", "blocks.1.0", "head.0", "head.1.0", "1"),
            *("Conv2d", "ConvTranspose2d", "Linear", "BatchNorm2d"),
        )
        for name in (
            f"{place}: mean of the weights less 0, over 0.02",
            f"{place}: mean of the weights less 1, over 0.02",
            f"{place}: deviation of the weights, over 0.02",
            f"{place}: shares of weights within 1 and beyond 3 deviations",
        )
    },
    accepts=[init_by_apply],
    mistakes=[
        *instead_of(
            "nn.Conv2d | nn.ConvTranspose2d | nn.Linear",
            {
                "nn.Conv2d | nn.ConvTranspose2d": ("leaves out Linear", "the weights of Linear are drawn as well"),
                "nn.Conv2d | nn.Linear": ("leaves out ConvTranspose2d", "those of ConvTranspose2d are drawn as well"),
                "nn.ConvTranspose2d | nn.Linear": ("leaves out Conv2d", "those of Conv2d are drawn as well"),
            },
        ),
        Mistake(
            "draws layers of other kinds too",
            "nn.Conv2d | nn.ConvTranspose2d | nn.Linear",
            "nn.Conv2d | nn.ConvTranspose2d | nn.Linear | nn.Embedding",
            why="other layers stay as they are",
            shows=touches_another_layer,
        ),
        Mistake(
            "draws layers of other kinds too",
            "isinstance(module, nn.BatchNorm2d)",
            "isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d)",
            why="other layers stay as they are",
        ),
        Mistake(
            "puts new parameters in the place of the old",
            "nn.init.normal_(module.weight, 0.0, WEIGHT_STD)",
            "module.weight = nn.Parameter(nn.init.normal_(module.weight.detach().clone(), 0.0, WEIGHT_STD))",
            why="weights are drawn in place: an optimizer that has the old parameters wouldn't know the new ones",
            shows=replaces_parameters,
        ),
        Mistake(
            "forgets nested layers",
            "model.modules()",
            "model.children()",
            why="model.modules() goes through all of them",
        ),
        *instead_of(
            "nn.init.normal_(module.weight, 0.0, WEIGHT_STD)",
            {
                "nn.init.normal_(module.weight, 0.0, WEIGHT_STD**0.5)": (
                    "takes 0.02 for the variance",
                    "0.02 is the standard deviation",
                ),
                "nn.init.normal_(module.weight, 1.0, WEIGHT_STD)": (
                    "draws all weights around 1",
                    "only the weights of batch norms have mean 1",
                ),
                "nn.init.uniform_(module.weight, -WEIGHT_STD, WEIGHT_STD)": (
                    "draws from a uniform distribution",
                    "weights are normal, with deviation 0.02",
                ),
                "nn.init.constant_(module.weight, WEIGHT_STD)": (
                    "makes all weights alike",
                    "equal weights stay equal: they are drawn",
                ),
            },
        ),
        *instead_of(
            "nn.init.normal_(module.weight, 1.0, WEIGHT_STD)",
            {
                "nn.init.normal_(module.weight, 0.0, WEIGHT_STD)": (
                    "draws the weights of batch norms around 0",
                    "a batch norm's weight is a factor: with mean 0 hardly anything passes",
                ),
                "nn.init.ones_(module.weight)": (
                    "makes the weights of batch norms exactly 1",
                    "they are drawn around 1, with deviation 0.02",
                ),
                "pass": ("leaves the weights of batch norms", "they are drawn anew, around 1"),
            },
        ),
        *instead_of(
            "if module.bias is not None:\n            nn.init.zeros_(module.bias)",
            {
                "pass": ("leaves biases as they are", "every bias becomes 0"),
                "if module.bias is not None and not isinstance(module, nn.BatchNorm2d):\n            nn.init.zeros_(module.bias)": (
                    "leaves the biases of batch norms",
                    "the biases of batch norms become 0 too",
                ),
                "if module.bias is not None and isinstance(module, nn.BatchNorm2d):\n            nn.init.zeros_(module.bias)": (
                    "leaves the biases of all but batch norms",
                    "every bias becomes 0",
                ),
                "if module.bias is not None:\n            nn.init.normal_(module.bias, 0.0, WEIGHT_STD)": (
                    "draws biases as well",
                    "biases are 0 at first",
                ),
            },
        ),
        Mistake("forgets nested layers", function=init_children_only, why="model.modules() goes through all of them"),
    ],
)
