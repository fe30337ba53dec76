"""Judges of a search: what may be tried, how it's drawn, and what it does to a run's arguments."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch

from arena_lib.checking import Case, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.errors import ConfigError
from arena_lib.fundamentals.optimizers.experiments import sweeps
from arena_lib.fundamentals.optimizers.experiments.sweeps import TrackedTrainingArgs

__test__ = False


def config_cases(generator: torch.Generator) -> list[Case]:
    """There is only one call."""
    del generator
    return [Case(label="the configuration", call="")]


def config_in_parts(function: Callable[[], Mapping[str, Any]], case: Case) -> Observations:
    """Each part of the dictionary; the order of values is free."""
    del case
    config = function()
    parameters = dict(config.get("parameters", {}))
    seen: Observations = {name: value for name, value in config.items() if name != "parameters"}
    for name, options in parameters.items():
        options = dict(options)
        if "values" in options:
            options["values"] = sorted(options["values"])
        seen[f"options of {name}"] = options
    return seen


def config_by_helper() -> dict[str, Any]:
    """With a function for what is alike."""

    def log_uniform(low: float, high: float) -> dict[str, Any]:
        return {"distribution": "log_uniform_values", "min": low, "max": high}

    sizes = {"values": [2**power for power in range(5, 9)]}
    parameters = {"learning_rate": log_uniform(1e-4, 0.1), "batch_size": sizes, "weight_decay": log_uniform(1e-4, 0.01)}
    parameters["weight_decay_bool"] = {"values": [False, True]}
    return {"method": "random", "metric": {"name": "accuracy", "goal": "maximize"}, "parameters": parameters}


RATE = '"learning_rate": {"distribution": "log_uniform_values", "min": 1e-4, "max": 1e-1}'

test_make_sweep_config = exercise(
    reference=sweeps.make_sweep_config,
    cases=config_cases,
    observe=config_in_parts,
    accepts=[config_by_helper],
    mistakes=[
        *instead_of(
            RATE,
            {
                RATE.replace("log_uniform_values", "uniform"): (
                    "draws learning rates evenly",
                    "then nine tenths of them would be above 0.01: a logarithmic scale gives each power of ten its share",
                ),
                RATE.replace("log_uniform_values", "log_uniform"): (
                    "takes the ends for exponents",
                    "log_uniform wants logarithms for min and max; log_uniform_values wants the values themselves",
                ),
            },
        ),
        *instead_of(
            '"goal": "maximize"',
            {'"goal": "minimize"': ("looks for the lowest accuracy", "accuracy is better the larger it is: maximize")},
        ),
        *instead_of(
            '"weight_decay_bool": {"values": [True, False]},',
            {
                "": (
                    "never leaves decay out",
                    "a logarithmic scale has no 0: a second entry says whether there is any decay",
                )
            },
        ),
    ],
)


def test_sweep_config(sweep_config: Any) -> None:
    """As `test_make_sweep_config`, for the dictionary itself, as other notebooks have it."""
    test_make_sweep_config(sweep_config if callable(sweep_config) else lambda: sweep_config)


class AskedTrial:
    """Notes what it is asked for, and answers with what it was told to."""

    def __init__(self) -> None:
        self.asked: dict[str, tuple[Any, ...]] = {}

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        self.asked[name] = ("float", low, high, step, log)
        return low + 0.25 * (high - low)

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        self.asked[name] = ("categorical", *choices)
        return [*choices][-1]


def draw_cases(generator: torch.Generator) -> list[Case]:
    """The section's own configuration, and others with each kind of entry."""
    del generator
    log, even = "log_uniform_values", "uniform"
    configs: dict[str, dict[str, Any]] = {
        "the configuration of this section": sweeps.make_sweep_config()["parameters"],
        "an even scale": {"dropout": {"distribution": even, "min": 0.1, "max": 0.5}},
        "other names": {"width": {"values": [3, 5]}, "rate": {"distribution": log, "min": 0.01, "max": 1.0}},
    }
    cases = [
        Case(label=label, given={"config": {"parameters": config}}, call=f"{config}, trial")
        for label, config in configs.items()
    ]
    unknown = {"parameters": {"width": {"distribution": "normal", "mu": 0.0, "sigma": 1.0}}}
    return [
        *cases,
        Case(label="an unknown distribution", given={"config": unknown}, call=str(unknown), raises="ConfigError"),
    ]


def what_is_asked(function: Callable[..., Any], case: Case) -> Observations:
    """What the trial was asked for, and what was made of its answers."""
    trial = AskedTrial()
    sampled = function(case.given["config"], trial)
    return {"the trial was asked for": trial.asked, "sampled": dict(sampled)}


def sample_by_match(sweep_config: Mapping[str, Any], trial: Any) -> dict[str, Any]:
    """With a match statement."""
    sampled = {}
    for name, options in sweep_config["parameters"].items():
        match options:
            case {"values": values}:
                sampled[name] = trial.suggest_categorical(name, values)
            case {"distribution": "log_uniform_values", "min": low, "max": high}:
                sampled[name] = trial.suggest_float(name, low, high, log=True)
            case {"distribution": "uniform", "min": low, "max": high}:
                sampled[name] = trial.suggest_float(name, low, high)
            case _:
                raise ConfigError("unknown")
    return sampled


test_sample_parameters = exercise(
    reference=sweeps.sample_parameters,
    cases=draw_cases,
    observe=what_is_asked,
    accepts=[sample_by_match],
    mistakes=[
        *instead_of(
            "log=is_log",
            {
                "log=False": ("draws everything evenly", "log_uniform_values asks for log=True"),
                "log=True": ("draws everything on a logarithmic scale", "uniform asks for an even scale"),
            },
        ),
        *instead_of(
            'trial.suggest_float(name, options["min"], options["max"], log=is_log)',
            {
                'trial.suggest_float("learning_rate", options["min"], options["max"], log=is_log)': (
                    "asks for the same name every time",
                    "each entry has its own name",
                ),
            },
        ),
        *instead_of(
            'options.get("distribution") in ("log_uniform_values", "uniform")',
            {
                '"min" in options or "mu" in options': (
                    "takes every distribution for one that it knows",
                    "others are refused",
                )
            },
        ),
    ],
)


def args_cases(generator: torch.Generator) -> list[Case]:
    """With decay and without, with fields that aren't searched for."""
    del generator

    def case(label: str, args: TrackedTrainingArgs, *drawn: Any) -> Case:
        names = ("learning_rate", "batch_size", "weight_decay", "weight_decay_bool")
        return Case(label=label, args=(args, dict(zip(names, drawn, strict=True))))

    return [
        case("with decay", TrackedTrainingArgs(), 0.01, 32, 0.005, True),
        case("without decay", TrackedTrainingArgs(weight_decay=0.3), 0.02, 128, 0.004, False),
        case("other fields", TrackedTrainingArgs(n_epochs=7, seed=5), 0.003, 256, 0.001, True),
    ]


def args_afterwards(function: Callable[..., Any], case: Case) -> Observations:
    """The new arguments, and whether the old ones and what was drawn are as before."""
    args, drawn = case.args
    before, kept = vars(args).copy(), dict(drawn)
    new = function(args, drawn)
    return {
        "fields": vars(new).copy(),
        "args are as before": vars(args) == before,
        "what was drawn is as before": drawn == kept,
    }


def update_by_building(args: TrackedTrainingArgs, sampled_parameters: Mapping[str, Any]) -> TrackedTrainingArgs:
    """From all fields."""
    fields = vars(args) | {name: sampled_parameters[name] for name in ("learning_rate", "batch_size", "weight_decay")}
    new = TrackedTrainingArgs(**fields)
    return new if sampled_parameters["weight_decay_bool"] else replace(new, weight_decay=0.0)


test_update_args = exercise(
    reference=sweeps.update_args,
    cases=args_cases,
    observe=args_afterwards,
    accepts=[update_by_building],
    mistakes=[
        *instead_of(
            'sampled_parameters["weight_decay"] if sampled_parameters["weight_decay_bool"] else 0.0',
            {
                'sampled_parameters["weight_decay"]': ("ignores weight_decay_bool", "if it's false, there is no decay"),
                'sampled_parameters["weight_decay"] if sampled_parameters["weight_decay_bool"] else args.weight_decay': (
                    "keeps the old decay",
                    "if weight_decay_bool is false, the decay is 0",
                ),
                '0.0 if sampled_parameters["weight_decay_bool"] else sampled_parameters["weight_decay"]': (
                    "turns weight_decay_bool around",
                    "true says that there is decay",
                ),
            },
        ),
        *instead_of(
            "    return replace(\n        args,",
            {
                "    return replace(\n        TrackedTrainingArgs(),": (
                    "begins from default arguments",
                    "fields that aren't searched for are those of args",
                ),
            },
        ),
    ],
)
