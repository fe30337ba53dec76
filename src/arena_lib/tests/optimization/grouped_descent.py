"""The judge of gradient descent with parameter groups."""

from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.fundamentals.optimizers import param_groups
from arena_lib.tests.optimization.watching import (
    copies,
    gradients_of_each_step,
    make_params,
    mistakes_in_zero_grad,
    require_class,
    set_grads,
)

__test__ = False


def sgd_cases(generator: torch.Generator) -> list[Case]:
    """Groups that differ in each setting, settings that change, dampening, generators, a missing gradient."""
    shapes = ((2, 3), (3,), (3,), ())

    def case(label: str, groups: list[dict[str, Any]] | None, call: str, **given: Any) -> Case:
        start, *grads = ([torch.randn(shape, generator=generator) for shape in shapes] for _ in range(5))
        settings = given.pop("settings", {"lr": 0.1})
        layout = groups or [{"params": [0, 1, 2, 3]}]
        given = {"missing": (), **given, "start": start, "grads": grads, "layout": layout, "settings": settings}
        return Case(label=label, given={**given, "is_flat": groups is None}, call=call)

    def two(**settings: Any) -> list[dict[str, Any]]:
        return [{"params": [0, 2]}, {"params": [3, 1], **settings}]

    two_groups = "[{'params': ...}, {'params': ..., %s}], %s"
    common: dict[str, Any] = {"lr": 0.1, "momentum": 0.6, "weight_decay": 0.1}
    return [
        case("a list of tensors", None, "params, lr=0.1"),
        case("a generator", None, "params, lr=0.1, momentum=0.5", settings={"lr": 0.1, "momentum": 0.5}, as_generator=True),
        case("a rate of its own", two(lr=0.5), two_groups % ("'lr': 0.5", "lr=0.1")),
        case("a momentum of its own", two(momentum=0.9), two_groups % ("'momentum': 0.9", "lr=0.1")),
        case("a decay of its own", two(weight_decay=0.4), two_groups % ("'weight_decay': 0.4", "lr=0.1")),
        case(
            "Nesterov's step in one group",
            two(nesterov=True),
            two_groups % ("'nesterov': True", "lr=0.1, momentum=0.6, weight_decay=0.1"),
            settings=common,
        ),
        case(
            "Nesterov's step in the first group alone",
            [{"params": [1, 3], "nesterov": True}, {"params": [0, 2]}],
            "[{'params': ..., 'nesterov': True}, {'params': ...}], lr=0.1, momentum=0.6, weight_decay=0.1",
            settings=common,
        ),
        case(
            "dampening in one group",
            two(dampening=0.3),
            two_groups % ("'dampening': 0.3", "lr=0.1, momentum=0.6, weight_decay=0.1"),
            settings=common,
            missing=((0, 1), (2, 0)),
        ),
        case("dampening without momentum", None, "params, lr=0.1, dampening=0.5", settings={"lr": 0.1, "dampening": 0.5}),
        case("settings that change between steps", two(lr=0.5), two_groups % ("'lr': 0.5", "lr=0.1"), changes=True),
        case("groups without a common rate", [{"params": [0, 1], "lr": 0.2}, {"params": [2, 3], "lr": 0.4}],
             "[{'params': ..., 'lr': 0.2}, {'params': ..., 'lr': 0.4}]", settings={}),
    ]  # fmt: skip


def life_of_groups(cls: Any, case: Case) -> Observations:
    """The parameters after each step, the groups' settings, what is left of gradients."""
    require_class(cls)
    params = make_params(case)
    views = [param.detach() for param in params]
    groups = [{**group, "params": [params[i] for i in group["params"]]} for group in case.given["layout"]]
    given: Any = params if case.given["is_flat"] else groups
    optimizer = cls((param for param in params) if case.given.get("as_generator") else given, **case.given["settings"])
    seen: Observations = {"number of groups": len(optimizer.param_groups)}
    held: list[list[Tensor | None]] = []
    for n, grads in enumerate(case.given["grads"]):
        set_grads(params, grads, {i for step, i in case.given["missing"] if step == n})
        held.append([param.grad for param in params])
        optimizer.step()
        seen[f"parameters after step {n + 1}"] = copies(params)
        if case.given.get("changes"):
            optimizer.param_groups[0]["lr"] *= 0.5
            optimizer.param_groups[1]["weight_decay"] += 0.1
    seen |= gradients_of_each_step(held, case)
    seen |= {
        "gradients after the steps": [None if param.grad is None else param.grad.clone() for param in params],
        "what shares their memory has moved too": [
            torch.equal(a, b.detach()) for a, b in zip(views, params, strict=True)
        ],
    }
    optimizer.zero_grad()
    seen["gradients after zero_grad"] = [None if param.grad is None else param.grad.clone() for param in params]
    optimizer.step()
    return seen | {"parameters after a step without gradients": copies(params)}


class SGDByState:
    """With the groups by hand, a state for each parameter, and settings by name."""

    def __init__(self, params: Any, **kwargs: Any) -> None:
        defaults = {"momentum": 0.0, "dampening": 0.0, "weight_decay": 0.0, "nesterov": False, **kwargs}
        groups = list(params)
        if isinstance(groups[0], Tensor):
            groups = [{"params": groups}]
        self.param_groups = [{**defaults, **group} for group in groups]
        self.state: dict[Tensor, Tensor | None] = {p: None for group in self.param_groups for p in group["params"]}

    def zero_grad(self) -> None:
        for p in self.state:
            p.grad = None

    @torch.inference_mode()
    def step(self) -> None:
        for group in self.param_groups:
            lr, mu, tau = group["lr"], group["momentum"], group["dampening"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                g = p.grad.add(p, alpha=group["weight_decay"])
                if mu:
                    old = self.state[p]
                    b = g.clone() if old is None else old.mul_(mu).add_(g, alpha=1 - tau)
                    self.state[p] = b
                    g = g.add(b, alpha=mu) if group["nesterov"] else b
                p.add_(g, alpha=-lr)


class ReadsSettingsOnce(param_groups.SGDParamGroups):
    """Goes on with the settings from the beginning."""

    once: tuple[str, ...] = ("lr", "momentum", "dampening", "weight_decay", "nesterov")

    def __init__(self, params: Any, **settings: Any) -> None:
        super().__init__(params, **settings)
        self.first = [{name: group[name] for name in self.once} for group in self.param_groups]

    def step(self) -> None:
        now = self.param_groups
        self.param_groups = [{**group, **first} for group, first in zip(now, self.first, strict=True)]
        super().step()
        self.param_groups = now


class ReadsRatesOnce(ReadsSettingsOnce):
    """The same with the rates alone."""

    once = ("lr",)


class CountsForAll(param_groups.SGDParamGroups):
    """After the first step every velocity is there, be it zeros."""

    def step(self) -> None:
        super().step()
        for group in self.param_groups:
            for param in group["params"]:
                if group["momentum"] != 0:
                    self.velocities.setdefault(param, torch.zeros_like(param))


FIRST = "if param in self.velocities:"
BEGINNING = """grad = param.grad + group["weight_decay"] * param
                if momentum != 0:
                    if param in self.velocities:
                        velocity = momentum * self.velocities[param] + (1 - group["dampening"]) * grad
"""
VELOCITY = 'momentum * self.velocities[param] + (1 - group["dampening"]) * grad'

test_sgd_param_groups = exercise(
    reference=param_groups.SGDParamGroups,
    name="sgd_param_groups",
    cases=sgd_cases,
    observe=life_of_groups,
    keep=["__init__"],
    accepts=[SGDByState],
    mistakes=[
        *mistakes_in_zero_grad("SGDParamGroups"),
        *instead_of(
            "@torch.no_grad()",
            {
                "@torch.enable_grad()": (
                    "lets PyTorch record the step",
                    "a leaf that requires a gradient may change in place only inside torch.no_grad()",
                    "RuntimeError",
                ),
            },
            within="SGDParamGroups.step",
        ),
        *instead_of(
            "                    continue\n",
            {
                "                    break\n": (
                    "leaves a group at the first parameter without a gradient",
                    "a parameter without a gradient is passed over, and those after it still take their step: `continue`",
                ),
                "                    return\n": (
                    "stops at the first parameter without a gradient",
                    "a parameter without a gradient is passed over, and those after it still take their step: `continue`",
                ),
            },
            within="SGDParamGroups.step",
        ),
        *instead_of(
            'momentum = group["momentum"]',
            {
                'momentum = self.param_groups[0]["momentum"]': (
                    "takes the first group's momentum for all",
                    "each group has its own",
                ),
            },
            within="SGDParamGroups.step",
        ),
        *instead_of(
            'param -= group["lr"] * grad',
            {
                'param -= self.param_groups[0]["lr"] * grad': (
                    "takes the first group's rate for all",
                    "each group has its own",
                ),
                'param = param - group["lr"] * grad': (
                    "gives the name to a new tensor",
                    "`param = ...` changes nothing outside of step: write `param -= ...`",
                ),
                'param.data = param.data - group["lr"] * grad': (
                    "replaces the parameter's memory",
                    "who else holds this memory must see the step: change it in place",
                ),
            },
            within="SGDParamGroups.step",
        ),
        *instead_of(
            'grad = param.grad + group["weight_decay"] * param',
            {
                'grad = param.grad + self.param_groups[0]["weight_decay"] * param': (
                    "takes the first group's decay for all",
                    "each group has its own",
                ),
                "grad = param.grad": ("forgets weight decay", "weight_decay * p belongs to the gradient"),
                'grad = param.grad\n                param -= group["lr"] * group["weight_decay"] * param': (
                    "decays past the velocity",
                    "here the decay is part of the gradient, and goes through the momentum",
                ),
                'grad = param.grad.add_(group["weight_decay"] * param)': (
                    "changes the gradients",
                    "gradients stay as they are: others may read them, and add to them",
                ),
            },
            within="SGDParamGroups.step",
        ),
        *instead_of(
            VELOCITY,
            {
                "momentum * self.velocities[param] + grad": (
                    "ignores dampening",
                    "the gradient counts 1 - dampening times",
                ),
                'momentum * self.velocities[param] + group["dampening"] * grad': (
                    "adds the dampened part",
                    "the gradient counts 1 - dampening times",
                ),
            },
            within="SGDParamGroups.step",
        ),
        *instead_of(
            "velocity = grad\n",
            {
                'velocity = (1 - group["dampening"]) * grad\n': (
                    "dampens the first gradient",
                    "the velocity begins as the whole gradient, as if no zeros had been there before",
                ),
            },
            within="SGDParamGroups.step",
        ),
        *instead_of(
            'grad + momentum * velocity if group["nesterov"] else velocity',
            {
                "velocity": ("ignores nesterov", "if nesterov, the step is g + momentum * v"),
                "grad + momentum * velocity": (
                    "always takes Nesterov's step",
                    "where nesterov is False, the step is v",
                ),
                'momentum * velocity if group["nesterov"] else velocity': (
                    "forgets the gradient in Nesterov's step",
                    "if nesterov, the step is g + momentum * v",
                ),
                'grad + momentum * velocity if self.param_groups[0]["nesterov"] else velocity': (
                    "asks the first group about nesterov",
                    "each group has its own",
                ),
            },
            within="SGDParamGroups.step",
        ),
        *instead_of(
            "if momentum != 0:",
            {
                "if True:": (
                    "dampens without momentum",
                    "where momentum is 0 there is no velocity, and nothing is dampened",
                ),
            },
            within="SGDParamGroups.step",
        ),
        *instead_of(
            "if momentum != 0:",
            {
                'if momentum == 0:\n                    grad = (1 - group["dampening"]) * grad\n                else:': (
                    "dampens without momentum",
                    "where momentum is 0 there is no velocity, and nothing is dampened",
                ),
            },
            within="SGDParamGroups.step",
        ),
        *instead_of(
            "                    self.velocities[param] = velocity\n",
            {"": ("forgets the velocity after the step", "the velocity must be kept for the next step")},
            within="SGDParamGroups.step",
        ),
        Mistake(
            "keeps the gradient itself as the velocity",
            BEGINNING,
            BEGINNING.replace(
                "grad = param.grad +", 'grad = param.grad if group["weight_decay"] == 0 else param.grad +'
            ).replace(VELOCITY, 'self.velocities[param].mul_(momentum).add_((1 - group["dampening"]) * grad)'),
            why="the velocity is changed in the next step, and param.grad with it: begin with a clone",
            within="SGDParamGroups.step",
        ),
        Mistake(
            "reads the rates once",
            function=ReadsRatesOnce,
            why="settings may be changed between steps: read them from the group in every step",
        ),
        Mistake(
            "reads the settings once",
            function=ReadsSettingsOnce,
            why="they may be changed between steps: read them from the group in every step",
        ),
        Mistake(
            "takes the optimizer's first step for that of every parameter",
            function=CountsForAll,
            why="a parameter without a gradient took no step: its own first gradient comes later, and isn't dampened",
        ),
        Mistake(
            "moves the first group alone",
            "for group in self.param_groups:",
            "for group in self.param_groups[:1]:",
            why="every group takes a step",
            within="SGDParamGroups.step",
        ),
        Mistake(
            "clears the first group alone",
            "for group in self.param_groups:",
            "for group in self.param_groups[:1]:",
            why="zero_grad is for the parameters of every group",
            within="SGDParamGroups.zero_grad",
        ),
    ],
)
