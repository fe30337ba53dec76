"""Judge of the optimizer with two learning rates, section 2.4."""

from collections.abc import Callable
from typing import Any

import torch

from arena_lib.checking import Case, Mistake, Unfit, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.rlhf import value_head
from arena_lib.tests.rlhf.small_models import make_policy

__test__ = False


def optimizer_cases(generator: torch.Generator) -> list[Case]:
    """Whole models and partly frozen ones; other settings of Adam."""
    calls: dict[str, tuple[tuple[float, float], dict[str, Any], tuple[str, ...]]] = {
        "all of it trains": ((1e-3, 3e-2), {}, ()),
        "a slow head": ((2e-2, 5e-3), {}, ()),
        "an embedding that is frozen": ((1e-3, 1e-2), {}, ("embed",)),
        "other settings": ((1e-2, 4e-2), {"betas": (0.6, 0.8), "eps": 0.3, "weight_decay": 2.0}, ()),
    }
    return [
        Case(
            label=label,
            given={"rates": rates, "settings": settings, "frozen": frozen},
            call=", ".join(["model", *map(str, rates), *(f"{name}={value}" for name, value in settings.items())]),
        )
        for label, (rates, settings, frozen) in calls.items()
    ]


def optimizer_seen(function: Callable[..., Any], case: Case) -> Observations:
    """At which rate each part learns, what no group holds, and the weights after two steps along given gradients."""
    base: Any = make_policy(seed=3)
    for name in case.given["frozen"]:
        base.get_submodule(name).requires_grad_(False)
    generator = torch.Generator().manual_seed(4)
    model = value_head.TransformerWithValueHead(base, generator=generator)
    optimizer = function(model, *case.given["rates"], **case.given["settings"])
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise Unfit(f"get_optimizer must return an optimizer of torch.optim: got {type(optimizer).__name__}.")
    named = dict(model.named_parameters())
    rate_of = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    parts = {"base_model": base, "value_head": model.value_head}
    rates = {
        name: sorted({rate_of[id(p)] for p in part.parameters() if id(p) in rate_of}) for name, part in parts.items()
    }
    for _ in range(2):
        for parameter in named.values():
            if parameter.requires_grad:
                parameter.grad = torch.randn(parameter.shape, generator=generator)
        optimizer.step()
    head: Any = model.value_head
    return {
        "rates of base_model": rates["base_model"],
        "rates of value_head": rates["value_head"],
        "rates of the groups, in order": [group["lr"] for group in optimizer.param_groups],
        "held by no group": [name for name, p in named.items() if p.requires_grad and id(p) not in rate_of],
        "held though frozen": [name for name, p in named.items() if not p.requires_grad and id(p) in rate_of],
        "the base model's final gains after two steps": base.ln_final.w.detach().clone(),
        "the head's first bias after two steps": head[0].bias.detach().clone(),
        "the head's last weights after two steps": head[2].weight.detach().clone(),
    }


def optimizer_by_names(
    model: value_head.TransformerWithValueHead, base_lr: float, head_lr: float, **settings: Any
) -> torch.optim.Optimizer:
    """Tells the parts apart by the parameters' names; one rate is the default."""
    trained = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
    base = [parameter for name, parameter in trained if name.startswith("base_model.")]
    head = [parameter for name, parameter in trained if not name.startswith("base_model.")]
    settings = {"weight_decay": 0.0, **settings}
    groups: list[dict[str, Any]] = [{"params": base}, {"params": head, "lr": head_lr}]
    return torch.optim.AdamW(groups, lr=base_lr, **settings)


def optimizer_in_two_steps(
    model: value_head.TransformerWithValueHead,
    base_lr: float,
    head_lr: float,
    *,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
) -> torch.optim.Optimizer:
    """Adds the head's group afterwards."""
    base = filter(lambda parameter: parameter.requires_grad, model.base_model.parameters())
    optimizer = torch.optim.AdamW(base, lr=base_lr, betas=betas, eps=eps, weight_decay=weight_decay)
    optimizer.add_param_group({"params": model.value_head.parameters(), "lr": head_lr})
    return optimizer


BASE = "[parameter for parameter in model.base_model.parameters() if parameter.requires_grad]"
HEAD = '{"params": list(model.value_head.parameters()), "lr": head_lr}'
ADAM = "torch.optim.AdamW(groups, betas=betas, eps=eps, weight_decay=weight_decay)"

test_get_optimizer = exercise(
    reference=value_head.get_optimizer,
    cases=optimizer_cases,
    observe=optimizer_seen,
    accepts=[optimizer_by_names, optimizer_in_two_steps],
    equivalent={"require_trainable(model) -> None": "every head here trains, and there are no adapters"},
    mistakes=[
        Mistake(
            "gives the base model the head's rate", '"lr": base_lr', '"lr": head_lr', why="base_model learns at base_lr"
        ),
        *instead_of(
            HEAD,
            {
                HEAD.replace("head_lr", "base_lr"): (
                    "gives the head the base model's rate",
                    "the head learns at head_lr",
                ),
                HEAD.replace("head_lr", "base_lr + head_lr"): (
                    "adds the rates up for the head",
                    "the head learns at head_lr",
                ),
                HEAD.replace(".parameters()", "[0].parameters()"): (
                    "trains only the head's first layer",
                    "the second group holds all of the head's parameters",
                ),
                HEAD.replace(".parameters()", "[-1].parameters()"): (
                    "trains only the head's last layer",
                    "the second group holds all of the head's parameters",
                ),
                '{"params": [], "lr": head_lr}': (
                    "leaves the head out",
                    "the second group holds the head's parameters",
                ),
            },
        ),
        Mistake(
            "gives all parameters one rate, in one group",
            "    groups = [",
            "    return torch.optim.AdamW(\n        [p for p in model.parameters() if p.requires_grad], lr=base_lr, "
            "betas=betas, eps=eps, weight_decay=weight_decay\n    )\n    groups = [",
            why="there are two groups: base_model's parameters learn at base_lr, the head's at head_lr",
            shows=lambda seen: all(len(shown.get("rates of the groups, in order", [1, 2])) == 1 for shown in seen),
        ),
        *instead_of(
            BASE,
            {
                "list(model.base_model.parameters())": (
                    "holds frozen parameters too",
                    "the first group holds those of base_model's parameters that require gradients",
                ),
                "[parameter for parameter in model.parameters() if parameter.requires_grad]": (
                    "puts the head into both groups",
                    "the first group holds base_model's parameters alone: model.base_model.parameters()",
                    "ValueError",
                ),
                "list(model.base_model.unembed.parameters())": (
                    "trains only the unembedding of the base model",
                    "the first group holds all of base_model's parameters that require gradients",
                ),
            },
        ),
        *instead_of(
            ADAM,
            {
                ADAM.replace("groups,", "groups[::-1],"): (
                    "puts the head first",
                    "the first group is the base model's, the second the head's: the trainer finds them by their place",
                ),
                "torch.optim.SGD(groups, weight_decay=weight_decay)": (
                    "takes SGD",
                    "each parameter is moved by AdamW's rule",
                ),
                ADAM.replace("AdamW", "Adam"): (
                    "takes Adam with its own weight decay",
                    "AdamW's decay shrinks the weights themselves; Adam's goes through the averages of gradients",
                ),
                ADAM.replace("betas=betas, ", ""): ("leaves betas out", "betas is an argument"),
                ADAM.replace("eps=eps, ", ""): ("leaves eps out", "eps is an argument"),
                ADAM.replace(", weight_decay=weight_decay", ""): (
                    "leaves AdamW's own weight decay in",
                    "weight_decay is an argument, and 0 where none is given; AdamW's own default is 0.01",
                ),
                ADAM.replace("=weight_decay)", "=weight_decay, maximize=True)"): (
                    "goes up the gradient",
                    "it minimises: the loss is minus the objective",
                ),
            },
        ),
    ],
)
