"""Judge of the matrix of generalisation between data sets.

Shapes:  activations by data set "n_statements d_model" -> accuracies "n_datasets n_datasets"
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, Unfit, exercise
from arena_lib.checking.observing import Observations
from arena_lib.interp.probes.generalization import compute_generalization_matrix
from arena_lib.interp.probes.mean_difference import MMProbe

__test__ = False

AXES = {"output": "n_datasets n_datasets"}


class TimidProbe:
    """A probe whose probabilities are low and lopsided, so that only 0.5 is the right place to cut."""

    def __init__(self, direction: Tensor) -> None:
        self.direction = direction

    def __call__(self, x: Tensor) -> Tensor:
        """0.5 where the score is zero; never above 0.6."""
        score = x @ self.direction
        return torch.where(score > 0, 0.5 + 0.1 * score.tanh(), 0.5 + 0.5 * score.tanh())

    @staticmethod
    def from_data(acts: Tensor, labels: Tensor) -> "TimidProbe":
        """The difference of medians."""
        return TimidProbe(acts[labels == 1].median(dim=0).values - acts[labels == 0].median(dim=0).values)


def generalization_cases(generator: torch.Generator) -> list[Case]:
    """Data sets of different sizes whose directions agree, stand across, and oppose each other."""

    def draw(names: list[str], d_model: int, n_train: int) -> tuple[dict[str, Tensor], ...]:
        base = torch.randn(d_model, generator=generator)
        parts: tuple[dict[str, Tensor], ...] = ({}, {}, {}, {})
        for i, name in enumerate(names):
            own = torch.randn(d_model, generator=generator)
            towards = 0.5 * (1 - 0.8 * i) * base + 0.4 * own
            for acts, labels, n in ((parts[0], parts[1], n_train + 2 * i), (parts[2], parts[3], 9 + i)):
                labels[name] = torch.arange(n) % 2
                labels[name] = labels[name][torch.randperm(n, generator=generator)]
                noise = torch.randn(n, d_model, generator=generator)
                acts[name] = noise + (2 * labels[name][:, None] - 1) * towards
        return parts

    three, two = ["cities", "opposites", "sizes"], ["first", "second"]
    unsorted = ["sizes", "cities"]
    return [
        Case(label="three data sets", args=(*draw(three, 5, 14), three, MMProbe), axes=AXES),
        Case(label="another probe", args=(*draw(two, 4, 11), two, TimidProbe), axes=AXES),
        Case(label="some of the data sets, in another order", args=(*draw(three, 3, 12), unsorted, MMProbe), axes=AXES),
    ]


def matrix_of_accuracies(function: Callable[..., Any], case: Case) -> Observations:
    """The matrix in float32, whatever kind of float it is made of; whether it carries a gradient; what it changed."""
    fresh = case.fresh()
    matrix = function(*fresh.args)
    if not isinstance(matrix, Tensor):
        raise Unfit(f"The matrix must be a tensor: got {type(matrix).__name__}.")
    before, after = case.named_tensors(case.args, {}), fresh.named_tensors(fresh.args, {})
    changed = [name for (name, a), (_, b) in zip(before, after, strict=True) if not torch.equal(a, b)]
    plain = matrix.detach().float() if matrix.is_floating_point() else matrix
    return {"output": plain, "carries a gradient": matrix.requires_grad, "arguments changed": changed}


def matrix_by_lists(
    train_acts: Any, train_labels: Any, test_acts: Any, test_labels: Any, dataset_names: Any, probe_cls: Any
) -> Tensor:
    """Fits all probes first, and rounds the probabilities."""
    probes = [probe_cls.from_data(train_acts[name], train_labels[name]) for name in dataset_names]
    rows = [
        [(probe(test_acts[name]).round() == test_labels[name].float()).float().mean() for name in dataset_names]
        for probe in probes
    ]
    return torch.tensor(rows, dtype=torch.float64)


test_compute_generalization_matrix = exercise(
    reference=compute_generalization_matrix,
    cases=generalization_cases,
    observe=matrix_of_accuracies,
    accepts=[matrix_by_lists],
    mistakes=[
        Mistake(
            "swaps rows and columns",
            "matrix[i, j] =",
            "matrix[j, i] =",
            why="a row belongs to the data set of training, a column to the one of testing",
        ),
        Mistake(
            "tests on the training parts",
            "compute_accuracy(probe, test_acts[test_name], test_labels[test_name])",
            "compute_accuracy(probe, train_acts[test_name], train_labels[test_name])",
            why="on the diagonal that would be the very statements that the probe was fitted on",
        ),
        Mistake(
            "fits on the test parts",
            "probe_cls.from_data(train_acts[train_name], train_labels[train_name])",
            "probe_cls.from_data(test_acts[train_name], test_labels[train_name])",
            why="probes are fitted on the training parts",
        ),
        Mistake(
            "fits one probe for each column",
            "probe = probe_cls.from_data(train_acts[train_name], train_labels[train_name])\n        for j, test_name in enumerate(dataset_names):\n",
            "for j, test_name in enumerate(dataset_names):\n            probe = probe_cls.from_data(train_acts[test_name], train_labels[test_name])\n",
            why="the question is what happens on data that the probe was not fitted on",
        ),
        Mistake(
            "averages probabilities",
            "is_right = (probe(acts) > 0.5) == (labels == 1)",
            "is_right = torch.where(labels == 1, probe(acts), 1 - probe(acts))",
            within="compute_accuracy",
            why="accuracy counts statements on the right side of 0.5",
        ),
        Mistake(
            "cuts at zero",
            "(probe(acts) > 0.5)",
            "(probe(acts) > 0.0)",
            within="compute_accuracy",
            why="the probe gives probabilities, and half is the boundary",
        ),
        Mistake(
            "cuts where half of the statements lie",
            "(probe(acts) > 0.5)",
            "(probe(acts) > probe(acts).median())",
            within="compute_accuracy",
            why="the boundary is 0.5: moving it for each data set would hide that a probe is off there",
        ),
        Mistake(
            "sorts the data sets",
            "for j, test_name in enumerate(dataset_names):",
            "for j, test_name in enumerate(sorted(dataset_names)):",
            why="rows and columns are in the order of dataset_names",
        ),
        Mistake(
            "centres each test part",
            "compute_accuracy(probe, test_acts[test_name], test_labels[test_name])",
            "compute_accuracy(probe, test_acts[test_name].sub_(test_acts[test_name].mean(dim=0)), test_labels[test_name])",
            why="how activations are centred is the caller's affair: here they are taken as they are, and left so",
        ),
    ],
)
