"""What learners hand in for key heads that queries share: right in other ways, and wrong."""

import importlib

import pytest
import torch

from arena_lib.checking import run

judges = importlib.import_module("arena_lib.tests.transformer_from_scratch")


@pytest.mark.parametrize(
    "solution",
    [
        lambda x, n: x[:, :, :, None].expand(-1, -1, -1, n // x.shape[2], -1).reshape(*x.shape[:2], n, x.shape[3]),
        lambda x, n: torch.cat([x[:, :, i // (n // x.shape[2])].unsqueeze(2) for i in range(n)], 2),
    ],
)
def test_repeat_kv_passes(solution):
    assert run(judges.test_repeat_kv, solution).status == "passed"
