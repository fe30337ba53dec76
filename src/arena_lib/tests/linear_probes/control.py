"""Judges of control tasks and selectivity.

Shapes:  types "n_statements" -> labels "n_statements"
"""

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, Unfit, exercise
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
    return [Case(label=label, given={"types": types}) for label, types in calls.items()]


def control_labels_drawn(function: Callable[..., Any], case: Case) -> Observations:
    """What holds of many control tasks, however they are drawn."""
    types = case.given["types"]
    counts, unequal, kinds = set(), 0, set()
    is_repeated = True
    by_type = defaultdict(set)
    tasks = set()
    for seed in range(N_DRAWS):
        labels = function(list(types), torch.Generator().manual_seed(seed))
        if not isinstance(labels, Tensor) or labels.shape != (len(types),):
            shape = tuple(labels.shape) if isinstance(labels, Tensor) else type(labels).__name__
            raise Unfit(
                f"make_control_labels must return a tensor with one label a statement, here {len(types)}: got {shape}."
            )
        again = function(list(types), torch.Generator().manual_seed(seed))
        is_repeated = is_repeated and torch.equal(labels, again)
        kinds.add(str(labels.dtype).removeprefix("torch."))
        label_of: dict[Any, set[int]] = defaultdict(set)
        for kind, label in zip(types, labels.tolist(), strict=True):
            label_of[kind].add(label)
            by_type[kind].add(label)
        unequal += sum(len(found) > 1 for found in label_of.values())
        counts.add(sum(min(found) for found in label_of.values()))
        tasks.add(tuple(labels.tolist()))
    return {
        "dtype": sorted(kinds),
        "values": sorted(set().union(*by_type.values())),
        "types with more than one label in a task": unequal,
        "types with the label 1 in a task": sorted(counts),
        "types whose label is always the same": sum(len(found) == 1 for found in by_type.values()),
        "all draws give the same task": len(tasks) == 1,
        "the same generator gives the same task": is_repeated,
    }


def control_labels_by_sorting(types: Any, generator: torch.Generator) -> Tensor:
    """Orders the different types at random, and gives 1 to the first half."""
    different = sorted(set(types), key=str)
    scores = torch.rand(len(different), generator=generator)
    ones = {different[int(i)] for i in scores.argsort()[: -(-len(different) // 2)]}
    return torch.tensor([int(kind in ones) for kind in types], dtype=torch.int64)


test_make_control_labels = exercise(
    reference=make_control_labels,
    cases=control_label_cases,
    observe=control_labels_drawn,
    accepts=[control_labels_by_sorting],
    mistakes=[
        Mistake(
            "draws a label for every statement",
            "return torch.tensor([label_of[kind] for kind in types])",
            "return torch.randint(0, 2, (len(types),), generator=generator)",
            why="then nothing could be learned by heart: everything of one type has the same label",
        ),
        Mistake(
            "labels types by turns",
            "order = torch.randperm(len(different), generator=generator)",
            "order = torch.arange(len(different))",
            why="which types get 1 is drawn, anew for every task",
        ),
        Mistake(
            "ignores the generator",
            ", generator=generator",
            "",
            why="with the same generator in the same state the same task is made, so that it can be made again",
        ),
        Mistake(
            "tosses a coin for each type",
            "is_one = order < (len(different) + 1) // 2",
            "is_one = torch.rand(len(different), generator=generator) < 0.5",
            why="half of the types get the label 1, so that guessing gains nothing",
        ),
        Mistake(
            "rounds half of the types down",
            "(len(different) + 1) // 2",
            "len(different) // 2",
            why="of an odd number of types the larger half gets the label 1",
        ),
        Mistake(
            "labels with 1 and -1",
            "is_one.long().tolist()",
            "(2 * is_one.long() - 1).tolist()",
            why="labels are 1 and 0",
        ),
        Mistake(
            "returns floats",
            "is_one.long().tolist()",
            "is_one.float().tolist()",
            why="labels are whole numbers, int64",
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

    return [
        Case(label="a probe that learns by heart", given={"call": call(6, 5, ByHeart, False)}),
        Case(label="training statements at the end", given={"call": call(5, 7, ByHeart, True)}),
    ]


def selected(function: Callable[..., Any], case: Case) -> Observations:
    """Both accuracies and their difference."""
    acts, labels, types, is_train, probe = case.given["call"]
    found = function(
        acts.clone(), labels.clone(), list(types), is_train.clone(), probe, torch.Generator().manual_seed(1)
    )
    if not (isinstance(found, tuple) and len(found) == 2):
        raise Unfit(f"compute_selectivity must return Selectivity(task, control): got {type(found).__name__}.")
    task, control = float(found[0]), float(found[1])
    return {"task accuracy": task, "control accuracy": control, "selectivity": task - control}


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
        Mistake(
            "fits one probe for both tasks",
            "from_data(acts[is_train], wanted[is_train])",
            "from_data(acts[is_train], labels[is_train])",
            why="the question is what a probe of this kind can learn by heart, so it is fitted on the control labels",
        ),
        Mistake(
            "fits on all statements",
            "from_data(acts[is_train], wanted[is_train])",
            "from_data(acts, wanted)",
            why="only the training statements are for fitting",
        ),
        Mistake(
            "judges on the training statements",
            "compute_accuracy(probe, acts[~is_train], wanted[~is_train])",
            "compute_accuracy(probe, acts[is_train], wanted[is_train])",
            why="both probes are judged on the statements that neither has seen",
        ),
        Mistake(
            "returns control and task the wrong way round",
            "Selectivity(*accuracies)",
            "Selectivity(*reversed(accuracies))",
            why="the task comes first",
        ),
        Mistake(
            "shuffles labels over statements",
            function=selectivity_of_shuffled,
            why="a control task is fixed for each type: shuffled labels can't be learned by anyone, and the probe looks honest",
        ),
    ],
)
