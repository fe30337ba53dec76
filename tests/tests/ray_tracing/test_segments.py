"""What learners hand in for rays and segments, and the names under which other notebooks call the tests."""

import pytest
import torch

from arena_lib.checking import run
from arena_lib.errors import CheckFailed
from arena_lib.fundamentals.ray_tracing import intersect_ray_1d, intersect_rays_1d, is_singular
from arena_lib.tests import ray_tracing as tests


def crash_on_parallels(ray, segment):
    (O, D), (L_1, L_2) = ray[:, :2], segment[:, :2]
    u, v = torch.linalg.solve(torch.stack([D, L_1 - L_2], dim=1), L_1 - O)
    return bool(u >= 0 and 0 <= v <= 1)


def zeros_for_parallels(rays, segments):
    """The identity in place of a singular matrix, and no second thought."""
    O, D = rays[:, None, 0, :2], rays[:, None, 1, :2]
    L_1, L_2 = segments[:, 0, :2], segments[:, 1, :2]
    matrices = torch.stack(torch.broadcast_tensors(D, L_1 - L_2), dim=-1)
    matrices[torch.linalg.det(matrices).abs() < 1e-8] = torch.eye(2, dtype=rays.dtype)
    u, v = torch.linalg.solve(matrices, L_1 - O).unbind(dim=-1)
    return ((u >= 0) & (v >= 0) & (v <= 1)).any(dim=1)


def exact_zero(ray, segment):
    (O, D), (L_1, L_2) = ray[:, :2], segment[:, :2]
    matrix = torch.stack([D, L_1 - L_2], dim=1)
    if torch.linalg.det(matrix) == 0:
        return False
    u, v = torch.linalg.solve(matrix, L_1 - O)
    return bool(u >= 0 and 0 <= v <= 1)


def identity_in_float32(rays, segments):
    O, D = rays[:, None, 0, :2], rays[:, None, 1, :2]
    L_1, L_2 = segments[:, 0, :2], segments[:, 1, :2]
    matrices = torch.stack(torch.broadcast_tensors(D, L_1 - L_2), dim=-1)
    singular = is_singular(matrices)
    matrices[singular] = torch.eye(2)
    u, v = torch.linalg.solve(matrices, L_1 - O).unbind(dim=-1)
    return ((u >= 0) & (v >= 0) & (v <= 1) & ~singular).any(dim=1)


def test_a_determinant_that_rounding_made_small_is_no_hit():
    message = run(tests.test_intersect_ray_1d, exact_zero).message
    assert "looks for a determinant of exactly 0" in message


def test_the_identity_of_torchs_own_type_is_enough():
    assert run(tests.test_intersect_rays_1d, identity_in_float32).passed


def test_the_special_cases_have_a_test_of_their_own():
    tests.test_intersect_ray_1d_special_case(intersect_ray_1d)
    tests.test_intersect_rays_1d_special_case(intersect_rays_1d)
    with pytest.raises(CheckFailed, match="special case"):
        tests.test_intersect_ray_1d_special_case(lambda ray, segment: True)


def test_a_crash_on_parallels_shows_the_special_case():
    result = run(tests.test_intersect_ray_1d, crash_on_parallels)
    assert not result.passed
    assert "special case: parallel" in result.message
    assert "solves for parallel rays too" in result.message


def test_made_up_solutions_of_singular_systems_are_rejected():
    assert not run(tests.test_intersect_rays_1d, zeros_for_parallels).passed
    assert "special case" in run(tests.test_intersect_rays_1d_special_case, zeros_for_parallels).message


@pytest.mark.parametrize("answer", [torch.tensor(True), torch.tensor([True]), 1], ids=["a tensor", "an axis", "an int"])
def test_only_a_single_truth_counts_as_an_answer(answer):
    """A tensor without axes is fine where the answer is right; anything else is named."""
    result = run(tests.test_intersect_ray_1d, lambda ray, segment: answer)
    assert not result.passed
    assert ("output should be False" in result.message) is (isinstance(answer, torch.Tensor) and answer.ndim == 0)
