"""Does a probe that was fitted on one data set work on another?

Shapes:  activations by data set "n_statements d_model", labels "n_statements" -> accuracies "n_datasets n_datasets"
Raises:  UnknownNameError for a data set that isn't there; what the probe's `from_data` raises.
Source:  Marks and Tegmark 2023, arXiv:2310.06824, section 5.2.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from arena_lib.errors import UnknownNameError


def compute_generalization_matrix(
    train_acts: dict[str, Float[Tensor, "_ d_model"]],
    train_labels: dict[str, Tensor],
    test_acts: dict[str, Float[Tensor, "_ d_model"]],
    test_labels: dict[str, Tensor],
    dataset_names: list[str],
    probe_cls: type[Any],
) -> Float[Tensor, "n_datasets n_datasets"]:
    """Entry (i, j): accuracy on data set j's test part of a probe fitted on data set i's training part.

    Rows and columns are in the order of `dataset_names`. A probe is `probe_cls.from_data(acts, labels)`,
    fitted once for each row; called with activations it gives probabilities, and it says 1 where they are
    above 0.5. The result is float32, on the CPU, and carries no gradient.
    """
    for table in (train_acts, train_labels, test_acts, test_labels):
        for name in dataset_names:
            if name not in table:
                raise UnknownNameError("data set", name, table)
    matrix = torch.zeros(len(dataset_names), len(dataset_names))
    for i, train_name in enumerate(dataset_names):
        probe = probe_cls.from_data(train_acts[train_name], train_labels[train_name])
        for j, test_name in enumerate(dataset_names):
            matrix[i, j] = compute_accuracy(probe, test_acts[test_name], test_labels[test_name])
    return matrix


@torch.no_grad()
def compute_accuracy(probe: Any, acts: Float[Tensor, "n_statements d_model"], labels: Tensor) -> float:
    """The share of statements whose probability is on its label's side of 0.5."""
    is_right = (probe(acts) > 0.5) == (labels == 1)
    return is_right.double().mean().item()
