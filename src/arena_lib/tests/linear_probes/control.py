"""Judge of control tasks.

Shapes:  types "n_statements" -> labels "n_statements"
"""

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, Unfit, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.interp.probes.control import make_control_labels

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


def halves_the_statements(observations: Sequence[Observations]) -> bool:
    """Whether each type has one label, and half have a 1 only where no type comes twice."""
    *several_times, once = (seen[ONES] for seen in observations)
    return (
        all(seen[SEVERAL] == 0 for seen in observations)
        and " or " not in once
        and any(" or " in ones for ones in several_times)
    )


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
            "gives the label 1 to half of the statements instead of half of the types",
            "    is_one = order < (len(different) + 1) // 2\n",
            "    is_one, n_ones = torch.zeros(len(different), dtype=torch.bool), 0\n"
            "    for i in order.tolist():\n"
            "        is_one[i] = n_ones < len(types) / 2\n"
            "        n_ones += is_one[i] * list(types).count(different[i])\n",
            why="types are counted once each, however many statements they have",
            shows=halves_the_statements,
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
            "torch.tensor([label_of[kind] for kind in types])",
            {
                "torch.tensor(list(label_of.values()))": (
                    "returns one label for each type",
                    "each statement gets the label of its type",
                ),
                "torch.tensor([label_of[kind] for kind in types], dtype=torch.int32)": (
                    "returns int32",
                    "labels are int64, as those of a task are",
                ),
            },
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
