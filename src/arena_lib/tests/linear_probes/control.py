"""Judges of control tasks and selectivity.

Shapes:  types "n_statements" -> labels "n_statements"
"""

from collections.abc import Callable, Hashable, Sequence
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, Unfit, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.interp.probes.control import Selectivity, compute_selectivity, make_control_labels
from arena_lib.interp.probes.generalization import compute_accuracy

__test__ = False

N_DRAWS = 40
"""Of control tasks: the chance that one of up to nine types never changes its label is under 9 * 2 * 0.56 ** 40 < 2e-9."""


def control_label_cases(generator: torch.Generator) -> list[Case]:
    """Even and odd numbers of types, types that come often, types that are no text."""
    calls = {
        "each type several times": ["cat", "dog", "cat", "owl", "dog", "cat", "fox", "owl"],
        "an odd number of types": ["a", "b", "c", "a", "d", "e", "e", "e", "e"],
        "types that are numbers": [3, 1, 4, 1, 5, 9, 2, 6, 5, 3],
        "every statement of its own type": ["north", "south", "east", "west", "up", "down"],
    }
    return [Case(label=label, given={"types": types}, call="types, generator") for label, types in calls.items()]


SEVERAL = "types with more than one label in a task"
ONES = "number of types with the label 1"
ALL_ALIKE = "all generators give the same task"
REPEATED = "the same generator in the same state gives the same task"
ADVANCED = "a generator that is used again gives another task"
GLOBAL = "torch's global generator is drawn from or seeded"


def control_labels_drawn(function: Callable[..., Any], case: Case) -> Observations:
    """What holds of many control tasks, however they are drawn."""
    types, global_state = case.given["types"], torch.get_rng_state()
    generators = [torch.Generator().manual_seed(seed) for seed in range(N_DRAWS)]
    draws, later_draws = ([_draw(function, types, generator) for generator in generators] for _ in range(2))
    repeated = [_draw(function, types, torch.Generator().manual_seed(seed)) for seed in range(N_DRAWS)]
    label_sets = [[_labels_of(kind, types, labels) for kind in dict.fromkeys(types)] for labels in draws]
    return {
        "dtypes of the labels": sorted({str(labels.dtype).removeprefix("torch.") for labels in draws}),
        "different labels": sorted({float(value) for labels in draws for value in labels.tolist()}),
        SEVERAL: sum(len(labels) > 1 for task in label_sets for labels in task),
        ONES: " or ".join(map(str, sorted({int(sum(map(min, task))) for task in label_sets}))),
        "types whose label is always the same": sum(
            len(set().union(*kind)) == 1 for kind in zip(*label_sets, strict=True)
        ),
        ALL_ALIKE: all(torch.equal(labels, draws[0]) for labels in draws),
        REPEATED: all(map(torch.equal, draws, repeated)),
        ADVANCED: not all(map(torch.equal, draws, later_draws)),
        GLOBAL: not torch.equal(global_state, torch.get_rng_state()),
    }


def _draw(function: Callable[..., Any], types: Sequence[Hashable], generator: torch.Generator) -> Tensor:
    """The labels of one control task, if they are one for each statement."""
    labels = function(list(types), generator)
    if not isinstance(labels, Tensor) or labels.shape != (len(types),):
        shape = tuple(labels.shape) if isinstance(labels, Tensor) else type(labels).__name__
        raise Unfit(
            f"make_control_labels must return a tensor with one label a statement, here {len(types)}: got {shape}."
        )
    return labels


def _labels_of(kind: Hashable, types: Sequence[Hashable], labels: Tensor) -> set[Any]:
    return {label for other, label in zip(types, labels.tolist(), strict=True) if other == kind}


def control_labels_by_sorting(types: Any, generator: torch.Generator) -> Tensor:
    """Orders the different types at random, and gives 1 to the first half."""
    different = sorted(set(types), key=str)
    scores = torch.rand(len(different), generator=generator)
    ones = {different[int(i)] for i in scores.argsort()[: -(-len(different) // 2)]}
    return torch.tensor([int(kind in ones) for kind in types], dtype=torch.int64)


def control_labels_by_dealing(types: Any, generator: torch.Generator) -> Tensor:
    """Deals out a pack of labels, half of them 1."""
    of_type: dict[Any, int] = {kind: i for i, kind in enumerate(dict.fromkeys(types))}
    pack = torch.arange(len(of_type) + 1)[1:] % 2
    pack = pack[torch.randperm(len(pack), generator=generator)]
    return pack[[of_type[kind] for kind in types]]


def control_labels_reseeded(types: Any, generator: torch.Generator) -> Tensor:
    """The mistake of drawing from a new generator with the seed of the one that is handed in."""
    return make_control_labels(types, torch.Generator().manual_seed(generator.initial_seed()))


def labels_statements_apart(observations: Sequence[Observations]) -> bool:
    """Whether statements of one type got different labels."""
    return any(seen[SEVERAL] > 0 for seen in observations)


def tosses_coins(observations: Sequence[Observations]) -> bool:
    """Whether each type has one label, but their numbers differ from task to task."""
    return all(seen[SEVERAL] == 0 and " or " in seen[ONES] for seen in observations)


def draws_nothing(observations: Sequence[Observations]) -> bool:
    """Whether all tasks are the same."""
    return all(seen[ALL_ALIKE] and not seen[GLOBAL] for seen in observations)


def draws_from_elsewhere(observations: Sequence[Observations]) -> bool:
    """Whether equal generators give different tasks, or the same global state the same task."""
    return all((seen[GLOBAL] or not seen[REPEATED]) and seen[SEVERAL] == 0 for seen in observations)


test_make_control_labels = exercise(
    reference=make_control_labels,
    cases=control_label_cases,
    observe=control_labels_drawn,
    accepts=[control_labels_by_sorting, control_labels_by_dealing],
    mistakes=[
        Mistake(
            "draws a label for every statement",
            "return torch.tensor([label_of[kind] for kind in types])",
            "return torch.randint(0, 2, (len(types),), generator=generator)",
            why="all statements of one type share one label, which a probe can memorise",
            shows=labels_statements_apart,
        ),
        Mistake(
            "draws nothing at random: the same types always get the label 1",
            "torch.randperm(len(different), generator=generator)",
            "torch.arange(len(different))",
            why="the types that get the label 1 are drawn at random for each task",
            shows=draws_nothing,
        ),
        Mistake(
            "draws each type's label independently",
            "is_one = order < (len(different) + 1) // 2",
            "is_one = torch.rand(len(different), generator=generator) < 0.5",
            why="exactly half of the types get the label 1, so that guessing one label gains nothing",
            shows=tosses_coins,
        ),
        Mistake(
            "ignores the generator",
            ", generator=generator",
            "",
            why="draw with the argument generator, so that the same task can be made again",
            shows=draws_from_elsewhere,
        ),
        Mistake(
            "seeds the generator again at each call",
            function=control_labels_reseeded,
            why="a generator moves on with every draw, so that the next call makes another task: pass it to randperm",
        ),
        Mistake(
            "rounds half of the number of types down",
            "(len(different) + 1) // 2",
            "len(different) // 2",
            why="with an odd number of types, the larger half gets the label 1",
        ),
        *instead_of(
            "is_one.long().tolist()",
            {
                "(2 * is_one.long() - 1).tolist()": (
                    "labels with 1 and -1",
                    "the labels are 1 and 0, as those of a task are",
                ),
                "is_one.float().tolist()": ("labels with floats", "labels are integers, int64, as those of a task are"),
                "is_one.tolist()": ("labels with booleans", "labels are integers, int64, as those of a task are"),
            },
        ),
    ],
)


class ByHeart:
    """A probe that learns by heart: the label of the type whose one-hot code stands in the first entries."""

    def __init__(self, share: Tensor) -> None:
        self.share = share

    def __call__(self, x: Tensor) -> Tensor:
        """The share of label 1 among the training statements of this type."""
        return self.share[x[:, : len(self.share)].argmax(dim=1)]

    @staticmethod
    def from_data(acts: Tensor, labels: Tensor) -> "ByHeart":
        """All but the last entry are the code."""
        codes = acts[:, :-1]
        return ByHeart((codes * labels[:, None]).sum(dim=0) / codes.sum(dim=0).clamp(min=1))


def selectivity_cases(generator: torch.Generator) -> list[Case]:
    """Activations that are codes of the types: what is learned of the control task does not hang on its draw."""

    def call(n_types: int, n_of_each: int, probe: Any, is_flipped: bool) -> tuple[Any, ...]:
        types = [f"type {i}" for i in range(n_types)] * n_of_each
        codes = torch.eye(n_types).repeat(n_of_each, 1)
        labels = torch.randint(0, 2, (len(types),), generator=generator)
        acts = torch.cat([codes, labels[:, None].float()], dim=1)
        is_train = torch.arange(len(types)) < n_types * (n_of_each - 2)
        if is_flipped:
            is_train = is_train.flip(0)
        return acts, labels, types, is_train, probe

    calls = {
        "a probe that learns by heart": call(6, 5, ByHeart, False),
        "training statements at the end": call(5, 7, ByHeart, True),
    }
    return [
        Case(label=label, given={"call": arguments}, call="acts, labels, types, is_train, probe_cls, generator")
        for label, arguments in calls.items()
    ]


def selected(function: Callable[..., Any], case: Case) -> Observations:
    """Both accuracies and their difference, and on how many statements each probe was fitted."""
    acts, labels, types, is_train, probe_cls = case.given["call"]
    sizes: list[int] = []

    def fit(*args: Any, **kwargs: Any) -> Any:
        sizes.append(len(args[0] if args else kwargs["acts"]))
        return probe_cls.from_data(*args, **kwargs)

    generator = torch.Generator().manual_seed(1)
    tensors = acts.clone(), labels.clone(), is_train.clone()
    result = function(*tensors[:2], list(types), tensors[2], SimpleNamespace(from_data=fit), generator)
    if not (isinstance(result, tuple) and {"task_accuracy", "control_accuracy"} <= set(dir(result))):
        raise Unfit(
            "compute_selectivity must return Selectivity(task_accuracy, control_accuracy), whose parts have names: "
            f"got a {type(result).__name__}. Write Selectivity(...) around the two accuracies."
        )
    named: Any = result
    task, control = float(named.task_accuracy), float(named.control_accuracy)
    return {
        "task accuracy": task,
        "control accuracy": control,
        "selectivity": task - control,
        "statements that probes were fitted on": sizes,
        "the generator was drawn from": generator.get_state().tolist()
        != torch.Generator().manual_seed(1).get_state().tolist(),
        "arguments changed": [
            name
            for name, now, before in zip(("acts", "labels", "is_train"), tensors, (acts, labels, is_train), strict=True)
            if not torch.equal(now, before)
        ],
    }


def selectivity_in_two_halves(
    acts: Tensor, labels: Tensor, types: Any, is_train: Tensor, probe_cls: Any, generator: torch.Generator
) -> Selectivity:
    """Splits first, and names both tasks."""
    control = make_control_labels(types, generator)
    train, test = is_train.nonzero().flatten(), (~is_train).nonzero().flatten()

    def accuracy(wanted: Tensor) -> float:
        probe = probe_cls.from_data(acts[train], wanted[train])
        return (probe(acts[test]).round().long() == wanted[test]).float().mean().item()

    return Selectivity(accuracy(labels), accuracy(control))


def selectivity_of_shuffled(
    acts: Tensor, labels: Tensor, types: Any, is_train: Tensor, probe_cls: Any, generator: torch.Generator
) -> Selectivity:
    """The mistake of shuffling the labels over statements."""
    shuffled = labels[torch.randperm(len(labels), generator=generator)]
    accuracies = []
    for wanted in (labels, shuffled):
        probe = probe_cls.from_data(acts[is_train], wanted[is_train])
        accuracies.append(compute_accuracy(probe, acts[~is_train], wanted[~is_train]))
    return Selectivity(*accuracies)


test_compute_selectivity = exercise(
    reference=compute_selectivity,
    cases=selectivity_cases,
    observe=selected,
    accepts=[selectivity_in_two_halves],
    mistakes=[
        *instead_of(
            "from_data(acts[is_train], wanted[is_train])",
            {
                "from_data(acts[is_train], labels[is_train])": (
                    "fits on the task's labels for both tasks",
                    "the control probe is fitted on the control labels, to show what a probe of this kind can memorise",
                ),
                "from_data(acts, wanted)": ("fits on all statements", "only the training statements are for fitting"),
                "from_data(acts[~is_train], wanted[~is_train])": (
                    "fits on the test statements",
                    "is_train is True for the statements to fit on",
                ),
            },
        ),
        *instead_of(
            "compute_accuracy(probe, acts[~is_train], wanted[~is_train])",
            {
                "compute_accuracy(probe, acts[is_train], wanted[is_train])": (
                    "tests on the training statements",
                    "both probes are tested on the statements that neither was fitted on",
                ),
                "compute_accuracy(probe, acts, wanted)": (
                    "tests on all statements",
                    "both probes are tested on the statements that neither was fitted on",
                ),
            },
        ),
        *instead_of(
            "Selectivity(*accuracies)",
            {
                "Selectivity(*reversed(accuracies))": (
                    "swaps the control and the task accuracy",
                    "Selectivity takes the task accuracy first, then the control accuracy",
                ),
                "Selectivity(accuracies[0], accuracies[0] - accuracies[1])": (
                    "returns the selectivity as the control accuracy",
                    "Selectivity takes both accuracies, and computes the difference itself",
                ),
            },
        ),
        Mistake(
            "shuffles labels over statements",
            function=selectivity_of_shuffled,
            why="a control task has one label for each type: no probe can memorise shuffled labels, so every probe would look selective",
        ),
        Mistake(
            "draws the control task with a generator of its own",
            "make_control_labels(types, generator)",
            "make_control_labels(types, torch.Generator().manual_seed(0))",
            why="the control task is drawn with the argument generator, so that another generator gives another task",
        ),
    ],
)
