"""What learners hand in for indexing and broadcasting: wrong in one likely way each."""

import importlib

import pytest
import torch
import torch.nn.functional as F

from arena_lib.checking import run

judges = importlib.import_module("arena_lib.tests.prerequisites")


def total_as_numpy(prices, items):
    return prices[items].numpy().sum()


def counts_in_place(values, n_values):
    counts = torch.zeros(n_values, dtype=torch.int64)
    counts[values] += 1
    return counts


WRONG = {
    ("collect_columns", "returns the columns as rows"): lambda matrix, index: matrix.T[index],
    ("gather_2d", "takes every index in every row"): lambda matrix, indexes: matrix[:, indexes],
    ("integer_array_indexing", "takes whole rows"): lambda matrix, coords: matrix[coords],
    ("last_vectors", "takes the last position of all"): lambda vectors, lengths: vectors[:, -1],
    ("count_values", "adds 1 once for each number"): counts_in_place,
    ("count_values", "ends at the largest number that occurs"): lambda values, n_values: torch.bincount(values),
    ("zero_outliers", "cuts off at the limit"): lambda x, limit: torch.clamp(x, -limit, limit),
    ("classifier_accuracy", "counts the right ones"): lambda scores, classes: (scores.argmax(1) == classes).sum(),
    ("one_hot", "returns whole numbers"): lambda labels, n_classes: F.one_hot(labels, n_classes),
    ("normalize_rows", "divides column j by the length of row j"): lambda matrix: matrix / matrix.norm(dim=1),
    ("cos_sim_matrix", "compares columns"): lambda matrix: (
        (matrix / matrix.norm(dim=1, keepdim=True)).T @ (matrix / matrix.norm(dim=1, keepdim=True))
    ),
    ("distance_matrix", "forgets the root"): lambda first, second: torch.cdist(first, second) ** 2,
    ("can_see", "sees one position too many"): lambda seq, window: (
        torch.ones(seq, seq, dtype=torch.bool).tril().triu(-window)
    ),
    ("temperatures_normalized", "divides by 7 in the spread"): lambda temps: torch.cat(
        [(week - week.mean()) / week.std(unbiased=False) for week in temps.split(7)]
    ),
}


@pytest.mark.parametrize(("name", "mistake"), WRONG)
def test_a_wrong_index_or_shape_is_named(name, mistake):
    assert run(getattr(judges, f"test_{name}"), WRONG[name, mistake]).diagnosis.mistake == mistake


@pytest.mark.parametrize("name", ["total_price_indexing", "total_price_gather"])
def test_a_total_must_be_a_number_of_python(name):
    assert not run(getattr(judges, f"test_{name}"), total_as_numpy).passed
