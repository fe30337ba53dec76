"""Turning things about the upright axis.

Shapes:  an angle "", a matrix "3 3", triangles "n_triangles 3 3" (a corner in each row).
Source:  Shirley and Marschner 2021, Fundamentals of computer graphics, section 7.2.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from arena_lib.fundamentals.ray_tracing.inputs import check_mesh


def rotation_matrix(theta: Float[Tensor, ""]) -> Float[Tensor, "3 3"]:
    """The matrix that turns points by the angle theta (in radians) about the y axis: matrix @ point.

        [ cos(theta)  0  sin(theta)]
        [     0       1      0     ]
        [-sin(theta)  0  cos(theta)]

    Seen from above, with x to the right and z down the page, that is counterclockwise: z turns towards x. The result has
    the dtype of theta.

    >>> rotation_matrix(torch.tensor(torch.pi / 2)).round(decimals=4) + 0
    tensor([[ 0.,  0.,  1.],
            [ 0.,  1.,  0.],
            [-1.,  0.,  0.]])
    """
    cos, sin = theta.cos(), theta.sin()
    zero, one = torch.zeros_like(theta), torch.ones_like(theta)
    return torch.stack([cos, zero, sin, zero, one, zero, -sin, zero, cos]).reshape(3, 3)


def rotate_mesh(
    triangles: Float[Tensor, "n_triangles 3 3"], theta: Float[Tensor, ""], center: Float[Tensor, "3"]
) -> Float[Tensor, "n_triangles 3 3"]:
    """The mesh, turned by theta about the upright line through `center`; see `rotation_matrix`.

    `center` itself stays where it is: turn what lies between it and each corner. The mesh that was given isn't changed.

    >>> corners = torch.tensor([[[3.0, 0.0, 0.0], [3.0, 1.0, 0.0], [3.0, 0.0, 1.0]]])
    >>> rotate_mesh(corners, torch.tensor(torch.pi / 2), center=torch.tensor([2.0, 0.0, 0.0])).round(decimals=4)
    tensor([[[ 2.,  0., -1.],
             [ 2.,  1., -1.],
             [ 3.,  0., -1.]]])
    """
    check_mesh(triangles)
    return (triangles - center) @ rotation_matrix(theta).T + center
