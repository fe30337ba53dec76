"""Rays: where they begin, where they go, and the cameras that send them out.

A ray is a half line. It begins in its origin O and goes in the direction D, so its points are O + u D with u >= 0.

Shapes:  rays "n_rays 2 3": rays[i, 0] is O and rays[i, 1] is D. Points are (x, y, z): x forward, y up, z to the right.
Raises:  ConfigError for a screen of fewer than two pixels along an axis, or without width.
Source:  Shirley and Marschner 2021, Fundamentals of computer graphics, section 4.3 (rays of a camera).
Differs: the camera always stands in the origin and looks along x: the world is moved instead.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from arena_lib.fundamentals.ray_tracing.inputs import check_pixels


def points_on_ray(ray: Float[Tensor, "2 3"], u: Float[Tensor, " n_points"]) -> Float[Tensor, "n_points 3"]:
    """The points O + u D of one ray, one for each entry of u.

    `ray[0]` is the origin O and `ray[1]` the direction D. A point with a negative u lies behind the origin: it is
    computed like any other.

    >>> ray = torch.tensor([[1.0, 0.0, 0.0], [2.0, 3.0, 0.0]])
    >>> points_on_ray(ray, torch.tensor([0.0, 1.0, 2.0]))
    tensor([[1., 0., 0.],
            [3., 3., 0.],
            [5., 6., 0.]])
    """
    O, D = ray
    return O + u[:, None] * D


def make_rays_1d(num_pixels: int, y_limit: float) -> Float[Tensor, "n_rays 2 3"]:
    """The rays of a camera in a flat world: from the origin through each pixel of a screen, all with z = 0.

    The screen stands at x = 1. Its pixels lie evenly from y = -y_limit to y = y_limit, both included, and the rays come in
    this order. Each ray begins in (0, 0, 0), and its direction is the pixel itself, (1, y, 0). All numbers are float32.

    >>> make_rays_1d(3, 2.0)[:, 1]
    tensor([[ 1., -2.,  0.],
            [ 1.,  0.,  0.],
            [ 1.,  2.,  0.]])
    """
    check_pixels(y=(num_pixels, y_limit))
    rays = torch.zeros(num_pixels, 2, 3)
    rays[:, 1, 0] = 1
    rays[:, 1, 1] = torch.linspace(-y_limit, y_limit, num_pixels)
    return rays


def make_rays_2d(num_pixels_y: int, num_pixels_z: int, y_limit: float, z_limit: float) -> Float[Tensor, "n_rays 2 3"]:
    """The rays of a camera: from the origin through each pixel of a screen at x = 1.

    Pixels lie evenly from y = -y_limit to y = y_limit and from z = -z_limit to z = z_limit, ends included. There are
    num_pixels_y * num_pixels_z rays: first all z of the lowest y, then all z of the next y, and so on. Each ray begins in
    (0, 0, 0), and its direction is the pixel itself, (1, y, z). All numbers are float32.

    >>> make_rays_2d(2, 3, 1.0, 4.0)[:, 1]
    tensor([[ 1., -1., -4.],
            [ 1., -1.,  0.],
            [ 1., -1.,  4.],
            [ 1.,  1., -4.],
            [ 1.,  1.,  0.],
            [ 1.,  1.,  4.]])
    """
    check_pixels(y=(num_pixels_y, y_limit), z=(num_pixels_z, z_limit))
    y = torch.linspace(-y_limit, y_limit, num_pixels_y)
    z = torch.linspace(-z_limit, z_limit, num_pixels_z)
    pixels = torch.cartesian_prod(torch.ones(1), y, z)
    return torch.stack([torch.zeros_like(pixels), pixels], dim=1)
