import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from arena_lib.fundamentals.ray_tracing import rotate_mesh, rotation_matrix

ANGLES = st.floats(-10, 10)


@given(first=ANGLES, second=ANGLES)
@settings(max_examples=30, deadline=None)
def test_turns_add_up_and_keep_lengths(first, second):
    matrices = [rotation_matrix(torch.tensor(angle, dtype=torch.float64)) for angle in (first, second, first + second)]
    torch.testing.assert_close(matrices[0] @ matrices[1], matrices[2])
    torch.testing.assert_close(matrices[0] @ matrices[0].T, torch.eye(3, dtype=torch.float64))
    assert float(torch.linalg.det(matrices[0])) == pytest.approx(1.0)
    assert matrices[0][1].tolist() == [0.0, 1.0, 0.0]


def test_a_quarter_of_a_turn_takes_z_to_x():
    quarter = rotation_matrix(torch.tensor(math.pi / 2))
    torch.testing.assert_close(quarter @ torch.tensor([0.0, 0.0, 1.0]), torch.tensor([1.0, 0.0, 0.0]))
    torch.testing.assert_close(quarter @ torch.tensor([1.0, 0.0, 0.0]), torch.tensor([0.0, 0.0, -1.0]))


def test_gradients_flow_to_the_angle():
    theta = torch.tensor(0.4, requires_grad=True)
    rotation_matrix(theta)[0, 2].backward()
    assert float(theta.grad) == pytest.approx(math.cos(0.4))


def test_a_mesh_turns_about_its_center():
    mesh = torch.randn(6, 3, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    center = torch.tensor([3.0, 1.0, -2.0], dtype=torch.float64)
    before = mesh.clone()
    half = rotate_mesh(mesh, torch.tensor(math.pi, dtype=torch.float64), center)
    expected = torch.stack([6 - mesh[..., 0], mesh[..., 1], -4 - mesh[..., 2]], dim=-1)
    torch.testing.assert_close(half, expected)
    torch.testing.assert_close((half - center).norm(dim=-1), (mesh - center).norm(dim=-1))
    assert torch.equal(mesh, before)
