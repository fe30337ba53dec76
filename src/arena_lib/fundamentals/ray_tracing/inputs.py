"""What rays, segments and triangles must be: their axes, and numbers of one kind.

Raises:  ShapeError for other axes, DtypeError for whole numbers or for dtypes that differ.
"""

from torch import Tensor

from arena_lib.errors import ConfigError, DtypeError, ShapeError

RAYS = 'rays must have the shape "n_rays 2 3", for each ray its origin and its direction'
SEGMENTS = 'segments must have the shape "n_segments 2 3", for each segment its two ends'
TRIANGLES = 'triangles must have the shape "n_triangles 3 3", for each triangle its three corners'


def check_rays(rays: Tensor) -> None:
    """Refuse anything but rays "n_rays 2 3"."""
    _check_shape(rays, (2, 3), RAYS, "Use torch.stack([origins, directions], dim=1).")
    check_numbers(rays=rays)


def check_segments(rays: Tensor, segments: Tensor) -> None:
    """Refuse anything but rays "n_rays 2 3" and segments "n_segments 2 3" of one dtype."""
    check_rays(rays)
    _check_shape(segments, (2, 3), SEGMENTS, "Give a single one as segment[None].")
    check_numbers(rays=rays, segments=segments)


def check_triangles(rays: Tensor, triangles: Tensor) -> None:
    """Refuse anything but rays "n_rays 2 3" and triangles "n_triangles 3 3" of one dtype, of which there is one."""
    check_rays(rays)
    check_mesh(triangles)
    check_numbers(rays=rays, triangles=triangles)


def check_mesh(triangles: Tensor) -> None:
    """Refuse anything but triangles "n_triangles 3 3", of which there is at least one."""
    _check_shape(triangles, (3, 3), TRIANGLES, "Give a single one as triangle[None].")
    check_numbers(triangles=triangles)
    if not len(triangles):
        raise ShapeError("a mesh must have at least one triangle: got none. Is it a part of a mesh that is empty?")


def check_numbers(**tensors: Tensor) -> None:
    """Refuse tensors of whole numbers, of half precision and of different dtypes; each under its own name.

    Three digits are too few: a ray that meets a triangle near its edge would pass it without a word.
    """
    first, *_ = tensors
    for name, tensor in tensors.items():
        if not tensor.is_floating_point():
            raise DtypeError(f"{name} must be floating-point numbers: got {tensor.dtype}. Use {name}.float().")
        if tensor.dtype.itemsize < 4:
            raise DtypeError(f"{name} must be float32 or float64: got {tensor.dtype}. Use {name}.float().")
        if tensor.dtype != tensors[first].dtype:
            raise DtypeError(
                f"{first} and {name} must have one dtype: got {tensors[first].dtype} and {tensor.dtype}. "
                f"Use {name}.to({first}.dtype)."
            )


def check_pixels(**limits: tuple[int, float]) -> None:
    """Refuse a screen with fewer than two pixels along an axis, or without width; each axis as (pixels, limit)."""
    for axis, (num_pixels, limit) in limits.items():
        if num_pixels < 2:
            raise ConfigError(
                f"a screen must have at least 2 pixels along {axis}, one at either edge: got {num_pixels}. Pass 2 or more."
            )
        if not 0 < limit < float("inf"):
            raise ConfigError(f"{axis}_limit must be finite and above 0: got {limit}. Pass 1.0.")


def check_chunk_size(chunk_size: int) -> None:
    """Refuse a chunk of no triangles."""
    if chunk_size < 1:
        raise ConfigError(f"chunk_size must be at least 1: got {chunk_size}. Leave it out to get the default.")


def _check_shape(tensor: Tensor, tail: tuple[int, int], must: str, advice: str) -> None:
    if tensor.ndim != 3 or tuple(tensor.shape[1:]) != tail:
        raise ShapeError(f"{must}: got {tuple(tensor.shape)}. {advice}")
