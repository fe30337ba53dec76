"""Judge of the matrix of generalisation between data sets.

Shapes:  activations by data set "n_statements d_model" -> accuracies "n_datasets n_datasets"
"""

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, Unfit, exercise, instead_of
from arena_lib.checking.cases import map_tensors, tensors_in
from arena_lib.checking.observing import Observations
from arena_lib.interp.probes.generalization import compute_generalization_matrix
from arena_lib.interp.probes.mean_difference import MMProbe

__test__ = False


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
    """Data sets of different sizes whose directions agree, stand across, and oppose each other.

    The last test statement of each is zero, so that a probe without a bias gives it exactly 0.5; its label is 1.
    """

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
            parts[2][name][-1], parts[3][name][-1] = 0.0, 1
        return parts

    three, two = ["cities", "opposites", "sizes"], ["first", "second"]
    unsorted = ["sizes", "cities"]
    return [
        Case(
            label=label,
            given={"call": (tables, names, probe_cls)},
            call=f"train_acts, train_labels, test_acts, test_labels, dataset_names={names}, {probe_cls.__name__}",
            axes={"accuracies": "trained_on tested_on"},
        )
        for label, tables, names, probe_cls in (
            ("three data sets", draw(three, 5, 14), three, MMProbe),
            ("another probe", draw(two, 4, 11), two, TimidProbe),
            ("some of the data sets, in another order", draw(three, 3, 12), unsorted, MMProbe),
        )
    ]


def matrix_of_accuracies(function: Callable[..., Any], case: Case) -> Observations:
    """The matrix; whether it carries a gradient; how many probes were fitted; what was changed."""
    (tables, names, probe_cls), n_fitted = case.given["call"], [0]
    own_tables = map_tensors(Tensor.clone, tables)

    def fit(*args: Any, **kwargs: Any) -> Any:
        n_fitted[0] += 1
        return probe_cls.from_data(*args, **kwargs)

    matrix = function(*own_tables, list(names), SimpleNamespace(from_data=fit))
    if not isinstance(matrix, Tensor):
        raise Unfit(f"The matrix must be a tensor: got {type(matrix).__name__}.")
    return {
        "accuracies": matrix.detach(),
        "the result carries a gradient": matrix.requires_grad,
        "number of probes fitted": n_fitted[0],
        "activations or labels are changed": not all(map(torch.equal, tensors_in(tables), tensors_in(own_tables))),
    }


def matrix_by_lists(
    train_acts: Any, train_labels: Any, test_acts: Any, test_labels: Any, dataset_names: Any, probe_cls: Any
) -> Tensor:
    """Fits all probes first, and rounds the probabilities: 0.5 is rounded to the even 0."""
    probes = [probe_cls.from_data(train_acts[name], train_labels[name]) for name in dataset_names]
    rows = [
        [(probe(test_acts[name]).round() == test_labels[name].float()).float().mean() for name in dataset_names]
        for probe in probes
    ]
    return torch.tensor(rows)


def matrix_of_mm_probes(
    train_acts: Any, train_labels: Any, test_acts: Any, test_labels: Any, dataset_names: Any, probe_cls: Any
) -> Tensor:
    """The mistake of fitting the same kind of probe whatever is asked for."""
    return compute_generalization_matrix(train_acts, train_labels, test_acts, test_labels, dataset_names, MMProbe)


def is_float64(observations: Sequence[Observations]) -> bool:
    """Whether all matrices are in double precision."""
    return all(seen["accuracies"].dtype == torch.float64 for seen in observations)


def join(table: str, which: str = "") -> str:
    """The code that joins the parts of several data sets."""
    return f"torch.cat([{table}[name] for name in dataset_names{which}])"


OTHERS = " if name != train_name"
SIDE_OF_HALF = "a probe predicts 1 where its probability is above 0.5, and accuracy is the share of right predictions"

test_compute_generalization_matrix = exercise(
    reference=compute_generalization_matrix,
    cases=generalization_cases,
    observe=matrix_of_accuracies,
    accepts=[matrix_by_lists],
    mistakes=[
        *instead_of(
            "matrix[i, j] =",
            {
                "matrix[j, i] =": (
                    "swaps rows and columns",
                    "a row belongs to the data set of training, a column to the one of testing",
                ),
                "matrix[i, j] = 100 *": ("returns percent", "an accuracy is a share between 0 and 1"),
                "matrix[i, j] = 0.0 if i == j else": (
                    "leaves the diagonal at 0",
                    "the diagonal shows how well each probe does on new statements of its own data set",
                ),
            },
        ),
        *instead_of(
            "return matrix",
            {
                "return matrix.tolist()": ("returns lists instead of a tensor", "the matrix is a float32 tensor"),
                "return matrix.mean(dim=0)": (
                    "averages over the data sets of training",
                    "the result has a row for each data set of training",
                ),
            },
        ),
        Mistake(
            "goes through all data sets, not those in dataset_names",
            "matrix = torch.zeros",
            "dataset_names = list(train_acts)\n    matrix = torch.zeros",
            why="rows and columns are those of dataset_names, in its order",
        ),
        Mistake(
            "ignores probe_cls",
            function=matrix_of_mm_probes,
            why="a probe is probe_cls.from_data(acts, labels), so that any kind of probe can be compared",
        ),
        *instead_of(
            "compute_accuracy(probe, test_acts[test_name], test_labels[test_name])",
            {
                "compute_accuracy(probe, train_acts[test_name], train_labels[test_name])": (
                    "tests on the training parts",
                    "on the diagonal, training parts would be the statements that the probe was fitted on",
                ),
                "compute_accuracy(probe, *((train_acts[test_name], train_labels[test_name]) if i == j else "
                "(test_acts[test_name], test_labels[test_name])))": (
                    "tests on the training part on the diagonal",
                    "the statements that a probe was fitted on don't show whether it works on new ones",
                ),
                "compute_accuracy(probe, torch.cat([train_acts[test_name], test_acts[test_name]]), "
                "torch.cat([train_labels[test_name], test_labels[test_name]]))": (
                    "tests on training and test part together",
                    "the statements that a probe was fitted on don't show whether it works on new ones",
                ),
                "compute_accuracy(probe_cls.from_data(train_acts[train_name], train_labels[train_name]), "
                "test_acts[test_name], test_labels[test_name])": (
                    "fits a probe for every entry",
                    "a row's probe is the same for all its columns: fit it once, before the loop over columns",
                ),
                "compute_accuracy(probe, test_acts[test_name].sub_(test_acts[test_name].mean(dim=0)), "
                "test_labels[test_name])": (
                    "centres each test part",
                    "the caller has centred the activations: use them as they are, and don't change them",
                ),
                "compute_accuracy(probe, test_acts[test_name] - test_acts[test_name].mean(dim=0), "
                "test_labels[test_name])": (
                    "tests on centred test parts",
                    "the caller has centred the activations: use them as they are",
                ),
            },
        ),
        *instead_of(
            "probe_cls.from_data(train_acts[train_name], train_labels[train_name])",
            {
                "probe_cls.from_data(test_acts[train_name], test_labels[train_name])": (
                    "fits on the test parts",
                    "probes are fitted on the training parts",
                ),
                "probe_cls.from_data(train_acts[dataset_names[-1]], train_labels[dataset_names[-1]])": (
                    "uses the last data set's probe in every row",
                    "each row has the probe of its own data set",
                ),
                f"probe_cls.from_data({join('train_acts')}, {join('train_labels')})": (
                    "fits every probe on all data sets",
                    "a row's probe is fitted on its own data set, to see whether it works on the others",
                ),
                f"probe_cls.from_data({join('train_acts', OTHERS)}, {join('train_labels', OTHERS)})": (
                    "fits on all other data sets",
                    "a row's probe is fitted on its own data set, to see whether it works on the others",
                ),
            },
        ),
        Mistake(
            "fits one probe for each column",
            "probe = probe_cls.from_data(train_acts[train_name], train_labels[train_name])\n        for j, test_name in enumerate(dataset_names):\n",
            "for j, test_name in enumerate(dataset_names):\n            probe = probe_cls.from_data(train_acts[test_name], train_labels[test_name])\n",
            why="the columns are test data, so each row's probe is fitted once, on the row's training part",
        ),
        Mistake(
            "averages probabilities",
            "is_right = (probe(acts) > 0.5) == (labels == 1)",
            "is_right = torch.where(labels == 1, probe(acts), 1 - probe(acts))",
            within="compute_accuracy",
            why=SIDE_OF_HALF,
        ),
        Mistake(
            "counts the right predictions",
            "is_right.double().mean()",
            "is_right.double().sum()",
            within="compute_accuracy",
            why="accuracy is the share of right predictions, between 0 and 1",
        ),
        Mistake(
            "counts only statements with the label 1",
            "(probe(acts) > 0.5) == (labels == 1)",
            "(probe(acts) > 0.5) & (labels == 1)",
            within="compute_accuracy",
            why="a prediction of 0 for the label 0 is right too: compare with ==",
        ),
        *instead_of(
            "(probe(acts) > 0.5)",
            {
                "(probe(acts) >= 0.5)": (
                    "predicts 1 at exactly 0.5 too",
                    "the prediction is 1 only where the probability is above 0.5",
                ),
                "(probe(acts) > 0.0)": (
                    "uses 0 as the threshold",
                    "the probe returns probabilities, so the threshold is 0.5",
                ),
                "(probe(acts) > probe(acts).median())": (
                    "uses the median as the threshold",
                    "the threshold is 0.5 for every data set; moving it would hide that a probe's probabilities are shifted",
                ),
                "(probe(acts) <= 0.5)": ("counts the wrong statements", SIDE_OF_HALF),
            },
            within="compute_accuracy",
        ),
        Mistake(
            "returns float64",
            "torch.zeros(len(dataset_names), len(dataset_names))",
            "torch.zeros(len(dataset_names), len(dataset_names), dtype=torch.float64)",
            shows=is_float64,
            why="the result is float32: torch.zeros makes it so, and torch.tensor of Python's floats",
        ),
        Mistake(
            "sorts the data sets of the columns",
            "for j, test_name in enumerate(dataset_names):",
            "for j, test_name in enumerate(sorted(dataset_names)):",
            why="columns are in the order of dataset_names",
        ),
        Mistake(
            "sorts the data sets of the rows",
            "for i, train_name in enumerate(dataset_names):",
            "for i, train_name in enumerate(sorted(dataset_names)):",
            why="rows are in the order of dataset_names",
        ),
    ],
)
