"""What learners hand in for rotary positions: right in other ways, and wrong."""

import importlib

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


def test_rotary_passes_if_it_is_computed_in_single_precision():
    assert run(judges.test_apply_rotary, rotary_in_single_precision).status == "passed"


def test_angles_of_many_turns_show_that_they_were_cast_before_cos_and_sin():
    result = run(judges.test_apply_rotary, rotary_cast_first)
    assert result.diagnosis.mistake == "casts the angles before it takes cos and sin"


def test_interleaved_pairs_are_named():
    def rotary_of_neighbours(x, angles):
        turned = torch.view_as_complex(x.float().reshape(*x.shape[:-1], -1, 2)) * torch.exp(1j * angles)[:, None]
        return torch.view_as_real(turned).flatten(-2).to(x.dtype)

    assert run(judges.test_apply_rotary, rotary_of_neighbours).diagnosis.mistake == "pairs neighbouring dimensions"


def test_angles_in_double_precision_are_named():
    def rotary_angles(positions, d_head, rope_theta):
        return positions.double()[:, None] * rope_theta ** (-torch.arange(0, d_head, 2).double() / d_head)

    assert run(judges.test_rotary_angles, rotary_angles).diagnosis.mistake == "returns double precision"


def test_rotary_that_changes_the_dtype_is_named():
    result = run(judges.test_apply_rotary, rotary_without_cast)
    assert result.diagnosis.mistake == "returns the dtype of the angles"
