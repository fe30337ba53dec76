"""Judges of parameter groups."""

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.checking.mistakes import stops_with
from arena_lib.checking.observing import Observations
from arena_lib.fundamentals.optimizers import param_groups

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


def refuses_zero_alone(seen: Sequence[Observations]) -> bool:
    """Whether a group with a momentum of 0 is refused, as if it had none, and nothing else that is complete."""
    raised = [getattr(shown.get("raised"), "kind", "") for shown in seen[:5]]
    return raised == ["", "", "", "ConfigError", ""]


NO_PARAMETERS = "if not any(group['params'] for group in groups):\n        raise ConfigError('no parameters')\n    "
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
                NO_PARAMETERS + 'for group in groups:\n        check_params(group["params"])': (
                    "looks for parameters that are there twice in each group alone",
                    "a parameter in two groups would take two steps at once",
                ),
                NO_PARAMETERS
                + 'for i, group in enumerate(groups):\n        here = {id(param) for param in group["params"]}\n'
                '        if here & {id(param) for other in groups[:i] for param in other["params"]}:\n'
                '            raise ConfigError("twice")': (
                    "looks for parameters that are there twice in two groups alone",
                    "a parameter that is twice in one group would take two steps at once, too",
                ),
                NO_PARAMETERS: ("lets a parameter be there twice", "it would take two steps at once: ConfigError"),
                'if len({id(p) for group in groups for p in group["params"]}) < sum(len(group["params"]) for group in groups):\n'
                '        raise ConfigError("twice")': (
                    "lets an empty list pass",
                    "without parameters there is nothing to learn: ConfigError",
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
            {
                "if False:": ("lets a setting without a value pass", "None says that every group must bring its own"),
            },
        ),
        *instead_of(
            COMPLETE,
            {
                "{**{name: group.get(name) or default for name, default in defaults.items()}, "
                '**{name: value for name, value in group.items() if name not in defaults}, "params": list(group["params"])}': (
                    "takes the default for a group's 0",
                    "0 is a setting like any other: write group.get(name, default), since `or` passes over 0",
                ),
                '{**{name: group.get(name, default) for name, default in defaults.items()}, "params": list(group["params"])}': (
                    "drops unknown settings",
                    "a setting that isn't among the defaults is refused: it's misspelt",
                ),
                "group | {name: group.get(name, default) for name, default in defaults.items()}": (
                    "keeps iterables as they are",
                    "a generator can be gone through only once: keep list(...)",
                ),
            },
        ),
        Mistake(
            "asks a list of tensors for a tensor",
            'check_params([param for group in groups for param in group["params"]])',
            NO_PARAMETERS + 'seen = []\n    for param in (param for group in groups for param in group["params"]):\n'
            '        if param in seen:\n            raise ConfigError("twice")\n        seen.append(param)',
            why="`in` compares tensors entry by entry: what tells them apart is id(param), or a set",
            shows=stops_with("Boolean value of Tensor"),
        ),
        Mistake(
            "takes 0 for no value",
            "if value is None:",
            "if name != 'params' and not value:",
            why="0 is a value: ask whether it `is None`",
            shows=refuses_zero_alone,
        ),
        Mistake(
            "uses generators up before it lists them",
            '    groups = [{**defaults, **group, "params": list(group["params"])} for group in listed]\n'
            '    check_params([param for group in groups for param in group["params"]])\n',
            '    check_params([param for group in listed for param in group["params"]])\n'
            '    groups = [{**defaults, **group, "params": list(group["params"])} for group in listed]\n',
            why="a generator can be gone through only once: make the list first, and check that",
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
        Case(label=label, given={"model": make, "weight_decay": next(decays)}, call="model, weight_decay")
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
