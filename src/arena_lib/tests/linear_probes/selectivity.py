"""Judge of selectivity: a probe on its task and on a control task.

Shapes:  activations "n_statements d_model", labels and types "n_statements" -> two accuracies
"""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, Unfit, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.interp.probes.control import Selectivity, compute_selectivity, make_control_labels
from arena_lib.interp.probes.generalization import compute_accuracy

__test__ = False


class ByHeart:
    """A probe that learns by heart: the label of the type whose one-hot code stands in the first entries.

    It says the opposite where the entry after the code is 1, so that it may do worse on new statements.
    """

    def __init__(self, share: Tensor) -> None:
        self.share = share

    def __call__(self, x: Tensor) -> Tensor:
        """The share of label 1 among the training statements of this type."""
        share = self.share[x[:, : len(self.share)].argmax(dim=1)]
        return torch.where(x[:, len(self.share)] == 1, 1 - share, share)

    @staticmethod
    def from_data(acts: Tensor, labels: Tensor) -> "ByHeart":
        """All but the last two entries are the code."""
        codes = acts[:, :-2]
        return ByHeart((codes * labels[:, None]).sum(dim=0) / codes.sum(dim=0).clamp(min=1))


def selectivity_cases(generator: torch.Generator) -> list[Case]:
    """Activations that are codes of the types: what is learned of the control task does not hang on its draw."""

    def call(n_types: int, n_of_each: int, probe: Any, is_flipped: bool) -> tuple[Any, ...]:
        types = [f"type {i}" for i in range(n_types)] * n_of_each
        codes = torch.eye(n_types).repeat(n_of_each, 1)
        labels = torch.randint(0, 2, (len(types),), generator=generator)
        is_train = torch.arange(len(types)) < n_types * (n_of_each - 2)
        if is_flipped:
            is_train = is_train.flip(0)
        is_turned = ~is_train & (torch.arange(len(types)) % 4 == 0)
        acts = torch.cat([codes, is_turned[:, None].float(), labels[:, None].float()], dim=1)
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


def selectivity_of_one_probe(
    acts: Tensor, labels: Tensor, types: Any, is_train: Tensor, probe_cls: Any, generator: torch.Generator
) -> Selectivity:
    """The mistake of fitting only the task's probe."""
    probe, control = probe_cls.from_data(acts[is_train], labels[is_train]), make_control_labels(types, generator)
    accuracies = [compute_accuracy(probe, acts[~is_train], wanted[~is_train]) for wanted in (labels, control)]
    return Selectivity(*accuracies)


def selectivity_of_two_draws(
    acts: Tensor, labels: Tensor, types: Any, is_train: Tensor, probe_cls: Any, generator: torch.Generator
) -> Selectivity:
    """The mistake of drawing control labels for each part by itself."""
    train, test = (
        [kind for kind, is_in in zip(types, part.tolist(), strict=True) if is_in] for part in (is_train, ~is_train)
    )
    task = probe_cls.from_data(acts[is_train], labels[is_train])
    control = probe_cls.from_data(acts[is_train], make_control_labels(train, generator))
    return Selectivity(
        compute_accuracy(task, acts[~is_train], labels[~is_train]),
        compute_accuracy(control, acts[~is_train], make_control_labels(test, generator)),
    )


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
                "compute_accuracy(probe, acts[~is_train], labels[~is_train])": (
                    "tests the control probe on the task's labels",
                    "the control probe is tested on the control labels, to show what it has memorised",
                ),
                "compute_accuracy(probe, *((acts[~is_train], wanted[~is_train]) if wanted is labels else "
                "(acts[is_train], wanted[is_train])))": (
                    "tests the control probe on the training statements",
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
                "Selectivity(accuracies[0] - accuracies[1], accuracies[1])": (
                    "returns the selectivity as the task accuracy",
                    "Selectivity takes both accuracies, and computes the difference itself",
                ),
                "Selectivity(*(100 * accuracy for accuracy in accuracies))": (
                    "returns percent",
                    "accuracies are shares between 0 and 1",
                ),
                "Selectivity(*(1 - accuracy for accuracy in accuracies))": (
                    "returns the shares of wrong predictions",
                    "an accuracy is the share of right predictions",
                ),
                "tuple(accuracies)": (
                    "returns a plain tuple",
                    "the parts of a Selectivity have names: write Selectivity(...) around them",
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
            "fits only one probe",
            function=selectivity_of_one_probe,
            why="the control task has a probe of its own, to show what a probe of this kind can memorise",
        ),
        Mistake(
            "draws control labels for training and testing independently",
            function=selectivity_of_two_draws,
            why="a type must have the same label in both parts, or no probe can memorise it",
        ),
        *instead_of(
            "make_control_labels(types, generator)",
            {
                "make_control_labels(types, torch.Generator().manual_seed(0))": (
                    "draws the control task with a generator of its own",
                    "the control task is drawn with the argument generator, so that another generator gives another task",
                ),
                "make_control_labels(list(range(len(types))), generator)": (
                    "gives each statement a type of its own",
                    "statements of one type share one label: no probe can memorise labels of single statements",
                ),
            },
        ),
    ],
)
