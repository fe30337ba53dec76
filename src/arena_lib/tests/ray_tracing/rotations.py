"""Judges of the rotation matrix, and of a mesh that is turned."""

import math

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of, outputs
from arena_lib.checking.mistakes import changes_an_argument
from arena_lib.fundamentals.ray_tracing import rotations

__test__ = False

ANGLES = {
    "a small angle": 0.3,
    "a large angle": 2.1,
    "to the other side": -1.2,
    "no turn": 0.0,
    "more than one turn": 8.0,
}
DEGREES = "theta is in radians, as cos and sin take it"


def angle_cases(generator: torch.Generator) -> list[Case]:
    """Angles of either sign, none, more than one turn; double precision."""
    cases = [
        Case(label=label, args=(torch.tensor(angle),), axes={"output": "row column"}) for label, angle in ANGLES.items()
    ]
    return [*cases, Case(label="in double precision", args=(torch.tensor(0.7, dtype=torch.float64),))]


def rotation_by_filling(theta: Tensor) -> Tensor:
    """Writes into zeros."""
    matrix = torch.zeros(3, 3, dtype=theta.dtype)
    matrix[0, 0] = matrix[2, 2] = torch.cos(theta)
    matrix[0, 2], matrix[2, 0], matrix[1, 1] = torch.sin(theta), -torch.sin(theta), 1
    return matrix


def rotation_by_exponential(theta: Tensor) -> Tensor:
    """As the exponential of what turns a little."""
    generator = torch.tensor([[0.0, 0.0, 1.0], [0.0, 0.0, 0.0], [-1.0, 0.0, 0.0]], dtype=theta.dtype)
    return torch.linalg.matrix_exp(theta * generator)


test_rotation_matrix = exercise(
    reference=rotations.rotation_matrix,
    cases=angle_cases,
    observe=outputs,
    accepts=[rotation_by_filling, rotation_by_exponential],
    mistakes=[
        *instead_of(
            "[cos, zero, sin, zero, one, zero, -sin, zero, cos]",
            {
                "[cos, zero, -sin, zero, one, zero, sin, zero, cos]": (
                    "turns the other way",
                    "the minus stands at the lower left, so that z turns towards x",
                ),
                "[cos, -sin, zero, sin, cos, zero, zero, zero, one]": (
                    "turns about the z axis",
                    "the y axis stays: row 1 and column 1 are those of the identity",
                ),
                "[one, zero, zero, zero, cos, -sin, zero, sin, cos]": (
                    "turns about the x axis",
                    "the y axis stays: row 1 and column 1 are those of the identity",
                ),
                "[sin, zero, cos, zero, one, zero, -cos, zero, sin]": (
                    "swaps cos and sin",
                    "no turn is the identity: cos(0) = 1 stands on the diagonal",
                ),
                "[cos, zero, sin, zero, one, zero, sin, zero, cos]": (
                    "forgets the minus",
                    "a rotation keeps lengths: one of the two sines is negative",
                ),
                "[cos, zero, sin, zero, zero, zero, -sin, zero, cos]": (
                    "flattens y",
                    "heights stay as they are: the entry in the middle is 1",
                ),
            },
        ),
        *instead_of(
            "theta.cos(), theta.sin()",
            {
                "(theta * torch.pi / 180).cos(), (theta * torch.pi / 180).sin()": ("takes degrees", DEGREES),
                "(2 * theta).cos(), (2 * theta).sin()": ("turns twice as far", "the angle is theta itself"),
            },
        ),
        Mistake(
            "returns float32 whatever the dtype of theta",
            ".reshape(3, 3)",
            ".reshape(3, 3).float()",
            why="the result has the dtype of theta",
        ),
    ],
)


def turn_cases(generator: torch.Generator) -> list[Case]:
    """Meshes away from their center and around it, centers at other heights, angles of either sign."""

    def case(label: str, n_triangles: int, theta: float, center: list[float]) -> Case:
        triangles = torch.randn(n_triangles, 3, 3, generator=generator)
        arguments = (triangles, torch.tensor(theta), torch.tensor(center))
        return Case(label=label, args=arguments, axes={"output": "n_triangles corner dim"})

    return [
        case("about a center", 4, 0.4, [2.0, 1.0, -0.5]),
        case("about the origin", 2, -1.1, [0.0, 0.0, 0.0]),
        case("as many triangles as corners", 3, 2.5, [3.0, -2.0, 1.5]),
        case("one triangle, a quarter of a turn", 1, math.pi / 2, [4.0, 0.0, 0.0]),
        case("about a point below", 5, 0.9, [-1.0, -2.5, 2.0]),
    ]


def turn_by_einsum(triangles: Tensor, theta: Tensor, center: Tensor) -> Tensor:
    """In the notation of einsum."""
    turned = torch.einsum("ij,nkj->nki", rotations.rotation_matrix(theta), triangles - center)
    return turned + center


def turn_by_coordinates(triangles: Tensor, theta: Tensor, center: Tensor) -> Tensor:
    """Without a matrix."""
    x, y, z = (triangles - center).unbind(dim=-1)
    cos, sin = math.cos(float(theta)), math.sin(float(theta))
    return torch.stack([cos * x + sin * z, y, cos * z - sin * x], dim=-1) + center


def turned_one_by_one(triangles: Tensor, theta: Tensor, center: Tensor) -> Tensor:
    """About another line for each triangle."""
    middles = triangles.mean(dim=1, keepdim=True)
    return (triangles - middles) @ rotations.rotation_matrix(theta).T + middles


test_rotate_mesh = exercise(
    reference=rotations.rotate_mesh,
    cases=turn_cases,
    observe=outputs,
    accepts=[turn_by_einsum, turn_by_coordinates],
    mistakes=[
        *instead_of(
            "(triangles - center) @ rotation_matrix(theta).T + center",
            {
                "(triangles - center) @ rotation_matrix(theta) + center": (
                    "turns the other way",
                    "points are rows here: matrix @ point becomes point @ matrix.T",
                ),
                "triangles @ rotation_matrix(theta).T": (
                    "turns about the origin",
                    "the mesh turns about its center: subtract it before, and add it afterwards",
                ),
                "(triangles - center) @ rotation_matrix(theta).T": (
                    "leaves the mesh at the origin",
                    "what was subtracted before the turn is added again after it",
                ),
                "triangles @ rotation_matrix(theta).T + center": (
                    "moves the mesh away",
                    "subtract the center before the turn, and add it afterwards",
                ),
                "(triangles - center) @ rotation_matrix(theta).T - center": (
                    "subtracts the center twice",
                    "what was subtracted before the turn is added again after it",
                ),
                "rotation_matrix(theta) @ (triangles - center) + center": (
                    "turns corners into each other",
                    "the matrix belongs to x, y and z, the last axis: (triangles - center) @ matrix.T",
                ),
                "(triangles + center) @ rotation_matrix(theta).T - center": (
                    "adds the center before the turn",
                    "subtract the center before the turn, and add it afterwards",
                ),
                "(triangles - center) @ rotation_matrix(theta * torch.pi / 180).T + center": (
                    "takes degrees",
                    DEGREES,
                ),
            },
        ),
        Mistake(
            "turns about the mesh's own middle",
            "(triangles - center) @ rotation_matrix(theta).T + center",
            "(triangles - triangles.mean(dim=(0, 1))) @ rotation_matrix(theta).T + triangles.mean(dim=(0, 1))",
            why="the line that it turns about goes through center",
        ),
        Mistake(
            "turns each triangle about its own middle",
            function=turned_one_by_one,
            why="the whole mesh turns about one line, that through center",
        ),
        Mistake(
            "changes the mesh that was given",
            "triangles - center)",
            "triangles.sub_(center))",
            why="triangles - center makes a new tensor: the next frame turns the same mesh again",
            shows=changes_an_argument,
        ),
    ],
)
