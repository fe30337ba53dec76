"""What learners hand in for the exercises on Llama's attention: right in other ways, and wrong."""

import importlib

import pytest
import torch

from arena_lib.checking import run

judges = importlib.import_module("arena_lib.tests.transformer_from_scratch")


def rotary_in_single_precision(x, angles):
    cos, sin = angles.cos()[None, :, None], angles.sin()[None, :, None]
    half = x.shape[-1] // 2
    a, b = x.float().split(half, -1)
    out = torch.empty_like(x, dtype=torch.float32)
    out[..., :half] = a * cos - b * sin
    out[..., half:] = a * sin + b * cos
    return out.to(x.dtype)


def rotary_cast_first(x, angles):
    a = angles.to(x.dtype)[:, None, :]
    x1, x2 = torch.chunk(x, 2, dim=-1)
    return torch.cat((x1 * a.cos() - x2 * a.sin(), x1 * a.sin() + x2 * a.cos()), -1)


def rotary_without_cast(x, angles):
    cos, sin = angles.cos()[:, None], angles.sin()[:, None]
    x1, x2 = x.chunk(2, dim=-1)
    return torch.cat([x1 * cos - x2 * sin, x2 * cos + x1 * sin], dim=-1)


@pytest.mark.parametrize("solution", [rotary_in_single_precision, rotary_cast_first])
def test_rotary_passes_in_whatever_precision_it_is_computed(solution):
    assert run(judges.test_apply_rotary, solution).status == "passed"


def test_rotary_that_changes_the_dtype_is_named():
    result = run(judges.test_apply_rotary, rotary_without_cast)
    assert result.diagnosis.mistake == "returns the dtype of the angles"


@pytest.mark.parametrize(
    "solution",
    [
        lambda x, n: x[:, :, :, None].expand(-1, -1, -1, n // x.shape[2], -1).reshape(*x.shape[:2], n, x.shape[3]),
        lambda x, n: torch.cat([x[:, :, i // (n // x.shape[2])].unsqueeze(2) for i in range(n)], 2),
    ],
)
def test_repeat_kv_passes(solution):
    assert run(judges.test_repeat_kv, solution).status == "passed"
