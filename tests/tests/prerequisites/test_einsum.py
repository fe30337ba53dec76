"""What learners hand in for einsum: other libraries, and wrong in one likely way each."""

import importlib

import numpy as np
import pytest
import torch

from arena_lib.checking import run

judges = importlib.import_module("arena_lib.tests.prerequisites")


def trace_as_number(mat):
    return float(np.einsum("ii", mat))


def inner_as_array(vec1, vec2):
    return np.array(np.einsum("i,i", vec1, vec2))


def outer_by_torch(vec1, vec2):
    return torch.einsum("i,j->ij", torch.from_numpy(vec1), torch.from_numpy(vec2)).numpy()


@pytest.mark.parametrize(
    ("name", "solution"),
    [("einsum_trace", trace_as_number), ("einsum_inner", inner_as_array), ("einsum_outer", outer_by_torch)],
)
def test_numbers_and_arrays_of_any_origin_pass(name, solution):
    assert run(getattr(judges, f"test_{name}"), solution).passed


WRONG = {
    ("einsum_trace", "sums all entries"): lambda mat: np.einsum("ij->", mat),
    ("einsum_trace", "returns the diagonal"): lambda mat: np.einsum("ii->i", mat),
    ("einsum_mv", "does not sum"): lambda mat, vec: np.einsum("ij,j->ij", mat, vec),
    ("einsum_mv", "sums over the rows"): lambda mat, vec: np.einsum("ij,j->j", mat, vec),
    ("einsum_mm", "returns the transpose"): lambda mat1, mat2: np.einsum("ij,jk->ki", mat1, mat2),
    ("einsum_inner", "multiplies the two sums"): lambda vec1, vec2: np.einsum("i,j->", vec1, vec2),
    ("einsum_outer", "returns the transpose"): lambda vec1, vec2: np.outer(vec2, vec1),
    ("batched_product", "multiplies with the sum of all second matrices"): lambda first, second: first @ second.sum(0),
    ("attention_scores", "swaps queries and keys"): lambda q, k: torch.einsum("bqhd,bkhd->bhkq", q, k),
    ("attention_scores", "leaves the heads third"): lambda q, k: torch.einsum("bqhd,bkhd->bqhk", q, k),
}


@pytest.mark.parametrize(("name", "mistake"), WRONG)
def test_a_wrong_product_is_named(name, mistake):
    assert run(getattr(judges, f"test_{name}"), WRONG[name, mistake]).diagnosis.mistake == mistake
