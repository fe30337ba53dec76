"""Judges of parameter groups."""

import itertools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.fundamentals.optimizers import param_groups
from arena_lib.tests.optimization.watching import copies, make_params, require_class, set_grads

__test__ = False

DEFAULTS = {"lr": 0.1, "momentum": 0.9}


def group_cases(generator: torch.Generator) -> list[Case]:
    """One group and several, generators, settings of a group's own, and what must be refused.

    A layout is a list of groups, each with the indices of its parameters and its settings; or the indices alone.
    """
    del generator

    def case(label: str, layout: Any, defaults: Mapping[str, Any] = DEFAULTS, **given: Any) -> Case:
        raises = given.pop("raises", "")
        shown = "[a, b, c]" if isinstance(layout[:1], range) or (layout and isinstance(layout[0], int)) else str(layout)
        return Case(
            label=label,
            given={"layout": layout, "defaults": dict(defaults), **given},
            call=f"{shown}, {dict(defaults)}",
            raises=raises,
        )

    return [
        case("a list of tensors", [0, 1, 2]),
        case("a generator of tensors", [0, 1], as_generator=True),
        case("two groups, one with a rate of its own", [{"params": [0]}, {"params": [2, 1], "lr": 0.5}]),
        case(
            "groups and parameters as generators",
            [{"params": [0, 2], "momentum": 0.0}, {"params": [1]}],
            as_generator=True,
        ),
        case("every group brings its rate", [{"params": [1], "lr": 0.3}], {"lr": None, "momentum": 0.5}),
        case("no parameters", [], raises="ConfigError"),
        case("a parameter in two groups", [{"params": [0, 1]}, {"params": [2, 0]}], raises="ConfigError"),
        case("a parameter twice in one group", [{"params": [0, 1, 0]}], raises="ConfigError"),
        case("a setting that isn't known", [{"params": [0], "learning_rate": 0.5}], raises="ConfigError"),
        case(
            "a group without a rate", [{"params": [0], "lr": 0.3}, {"params": [1]}], {"lr": None}, raises="ConfigError"
        ),
    ]


def groups_by_index(function: Callable[..., Any], case: Case) -> Observations:
    """The groups with their parameters' indices, their types, and whether what was handed in is as before."""
    tensors = [torch.ones(2, requires_grad=True) for _ in range(3)]  # all equal: only identity tells them apart
    is_once = case.given.get("as_generator", False)
    layout, defaults = case.given["layout"], dict(case.given["defaults"])

    def pick(indices: Iterable[int]) -> Any:
        return (tensors[i] for i in indices) if is_once else [tensors[i] for i in indices]

    has_groups = bool(layout) and isinstance(layout[0], dict)
    given = [{**group, "params": pick(group["params"])} for group in layout] if has_groups else pick(layout)
    before = [sorted(group) for group in given] if has_groups else []
    groups = function(iter(given) if is_once else given, defaults)
    seen: Observations = {
        "groups": [{**group, "params": [index_of(param, tensors) for param in group["params"]]} for group in groups],
        "parameters are in lists": [isinstance(group["params"], list) for group in groups],
        "defaults are as before": defaults == case.given["defaults"],
    }
    if has_groups:
        seen["groups that were handed in have the same keys"] = [sorted(group) for group in given] == before
        seen["groups are new dictionaries"] = all(new is not old for new, old in zip(groups, given, strict=False))
    return seen


def index_of(param: Any, tensors: list[Tensor]) -> int:
    """Which of the tensors this is, or -1."""
    return next((i for i, tensor in enumerate(tensors) if tensor is param), -1)


def groups_by_loop(params: Any, defaults: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Step by step, with a set of what was there."""
    from arena_lib.errors import ConfigError

    items = [*params]
    if not items:
        raise ConfigError("no parameters")
    if isinstance(items[0], Tensor):
        items = [{"params": items}]
    groups, seen = [], set()
    for item in items:
        group: dict[str, Any] = {"params": [*item["params"]]}
        for param in group["params"]:
            if param in seen:
                raise ConfigError("twice")
            seen.add(param)
        if set(item) - {"params", *defaults}:
            raise ConfigError("unknown")
        for name in defaults:
            group[name] = item.get(name, defaults[name])
            if group[name] is None:
                raise ConfigError("no value")
        groups.append(group)
    return groups


COMPLETE = '{**defaults, **group, "params": list(group["params"])}'

test_make_param_groups = exercise(
    reference=param_groups.make_param_groups,
    cases=group_cases,
    observe=groups_by_index,
    accepts=[groups_by_loop],
    mistakes=[
        *instead_of(
            COMPLETE,
            {
                '{**group, **defaults, "params": list(group["params"])}': (
                    "lets defaults win",
                    "a group's own setting comes before the default",
                ),
                '{**group, "params": list(group["params"])}': ("forgets the defaults", "every group has every setting"),
                "{**defaults, **group}": (
                    "keeps iterables as they are",
                    "a generator can be gone through only once: keep list(...)",
                ),
                '{**defaults, **listed[0], **group, "params": list(group["params"])}': (
                    "takes the first group's settings for all",
                    "what a group doesn't set is the default's",
                ),
                'group.update({**defaults, **group, "params": list(group["params"])}) or group': (
                    "changes the groups that were handed in",
                    "make new dictionaries: what was handed in stays as it is",
                ),
            },
        ),
        *instead_of(
            'check_params([param for group in groups for param in group["params"]])',
            {
                'for group in groups:\n        check_params(group["params"])': (
                    "looks for parameters that are there twice in each group alone",
                    "a parameter in two groups would take two steps at once",
                ),
            },
        ),
        *instead_of(
            'if name != "params" and name not in defaults:',
            {
                "if False:": (
                    "lets unknown settings pass",
                    "a setting that isn't among the defaults is refused: it's misspelt",
                )
            },
        ),
        *instead_of(
            "if value is None:",
            {"if False:": ("lets a setting without a value pass", "None says that every group must bring its own")},
        ),
    ],
    equivalent={
        "listed and (not isinstance(listed[0], Mapping)) -> listed and (not isinstance(listed[-1], Mapping))": "all are of one kind",
    },
)


class Norms(nn.Module):
    """Convolution, gains, a frozen matrix, a shared matrix, and a number."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(2, 3, 2)
        self.norm = nn.LayerNorm(3)
        self.frozen = nn.Linear(3, 4).requires_grad_(False)
        self.first = nn.Linear(3, 5, bias=False)
        self.second = nn.Linear(3, 5)
        self.second.weight = self.first.weight
        self.scale = nn.Parameter(torch.tensor(2.0))


def model_cases(generator: torch.Generator) -> list[Case]:
    """Models with parameters of all kinds, with matrices alone, and with none."""
    del generator
    models: dict[str, Callable[[], nn.Module]] = {
        "a linear layer": lambda: nn.Linear(2, 3),
        "parameters of many kinds": Norms,
        "matrices alone": lambda: nn.Sequential(nn.Linear(2, 3, bias=False), nn.Embedding(4, 2)),
        "gains and biases alone": lambda: nn.LayerNorm(4),
    }
    decays = itertools.cycle([0.1, 0.02])
    return [
        Case(label=label, given={"model": make, "weight_decay": next(decays)}, call=f"model, weight_decay  ({label})")
        for label, make in models.items()
    ]


def groups_by_name(function: Callable[..., Any], case: Case) -> Observations:
    """The groups with their parameters' names, and what became of requires_grad."""
    model = case.given["model"]()
    names = {id(param): name for name, param in reversed([*model.named_parameters()])}
    before = [param.requires_grad for param in model.parameters()]
    groups = function(model, case.given["weight_decay"])
    return {
        "groups": [{**group, "params": [names.get(id(param), "?") for param in group["params"]]} for group in groups],
        "the model is as before": [param.requires_grad for param in model.parameters()] == before,
    }


def groups_by_two_lists(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """With two lists that are filled."""
    lists: tuple[list[Tensor], list[Tensor]] = ([], [])
    for param in filter(lambda param: param.requires_grad, model.parameters()):
        lists[param.dim() < 2].append(param)
    pairs = zip(lists, (weight_decay, 0.0), strict=True)
    return [{"params": params, "weight_decay": decay} for params, decay in pairs if params]


test_decay_groups = exercise(
    reference=param_groups.decay_groups,
    cases=model_cases,
    observe=groups_by_name,
    accepts=[groups_by_two_lists],
    mistakes=[
        *instead_of(
            "[param for param in model.parameters() if param.requires_grad]",
            {
                "list(model.parameters())": (
                    "takes frozen parameters as well",
                    "those that require no gradient are left out",
                ),
            },
        ),
        *instead_of(
            "param.ndim >= 2],",
            {
                "param.ndim == 2],": ("forgets weights of convolutions", "they have three axes or more, and decay too"),
                "param.ndim >= 1],": ("lets biases decay", "what has one axis doesn't decay"),
            },
        ),
        *instead_of(
            "param.ndim < 2],",
            {
                "param.ndim == 1],": (
                    "forgets numbers without axes",
                    "every parameter that is trained belongs to a group",
                )
            },
        ),
        *instead_of(
            '"weight_decay": 0.0',
            {
                '"weight_decay": weight_decay': ("lets both groups decay", "the second group's decay is 0"),
            },
        ),
        *instead_of(
            '[group for group in groups if group["params"]]',
            {"groups": ("keeps empty groups", "a group without parameters is left out")},
        ),
        *instead_of(
            "for param in trained if param.ndim >= 2",
            {
                'for name, param in model.named_parameters() if param.requires_grad and name.endswith("weight")': (
                    "goes by names",
                    "a gain is called weight, too, and has one axis",
                ),
            },
        ),
    ],
)


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
    for n, grads in enumerate(case.given["grads"]):
        set_grads(params, grads, {i for step, i in case.given["missing"] if step == n})
        optimizer.step()
        seen[f"parameters after step {n + 1}"] = copies(params)
        if case.given.get("changes"):
            optimizer.param_groups[0]["lr"] *= 0.5
            optimizer.param_groups[1]["weight_decay"] += 0.1
    seen |= {
        "gradients after the steps": [None if param.grad is None else param.grad.clone() for param in params],
        "what shares their memory has moved too": [
            torch.equal(a, b.detach()) for a, b in zip(views, params, strict=True)
        ],
    }
    optimizer.zero_grad()
    return seen | {"gradients after zero_grad": [None if param.grad is None else "not None" for param in params]}


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


FIRST = "if param in self.velocities:"
VELOCITY = 'momentum * self.velocities[param] + (1 - group["dampening"]) * grad'

test_sgd_param_groups = exercise(
    reference=param_groups.SGDParamGroups,
    name="sgd_param_groups",
    cases=sgd_cases,
    observe=life_of_groups,
    keep=["__init__"],
    accepts=[SGDByState],
    mistakes=[
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
