"""Pictures of digits, drawn by strokes that shake, lean and move: a small data set that needs no download.

Shapes:  images "n_images height width" with values from 0 to 1, labels "n_images".
Raises:  ConfigError for sizes that can't work.
Source:  own drawing.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from arena_lib.errors import ConfigError, ShapeError


def _arc(
    center: tuple[float, float], radii: tuple[float, float], start: float, stop: float
) -> list[tuple[float, float]]:
    """Nine points along an ellipse, from one angle to another in degrees; 0 points right, 90 down."""
    angles = np.radians(np.linspace(start, stop, 9))
    return [(center[0] + radii[0] * np.cos(a), center[1] + radii[1] * np.sin(a)) for a in angles]


STROKES: tuple[tuple[list[tuple[float, float]], ...], ...] = (
    (_arc((0.5, 0.5), (0.26, 0.38), 0.0, 360.0),),
    ([(0.36, 0.26), (0.52, 0.12), (0.52, 0.88)],),
    ([*_arc((0.5, 0.34), (0.25, 0.22), 190.0, 390.0), (0.25, 0.88), (0.77, 0.88)],),
    ([*_arc((0.47, 0.31), (0.24, 0.19), 210.0, 450.0), *_arc((0.47, 0.69), (0.27, 0.19), 270.0, 510.0)],),
    ([(0.62, 0.9), (0.62, 0.12), (0.22, 0.64), (0.8, 0.64)],),
    ([(0.72, 0.12), (0.33, 0.12), (0.3, 0.45), *_arc((0.48, 0.65), (0.26, 0.23), 240.0, 500.0)],),
    ([(0.66, 0.12), (0.36, 0.4), (0.26, 0.66)], _arc((0.5, 0.66), (0.24, 0.22), 0.0, 360.0)),
    ([(0.24, 0.12), (0.76, 0.12), (0.42, 0.88)],),
    (_arc((0.5, 0.31), (0.2, 0.19), 0.0, 360.0), _arc((0.5, 0.69), (0.25, 0.2), 0.0, 360.0)),
    (_arc((0.5, 0.34), (0.24, 0.22), 0.0, 360.0), [(0.74, 0.34), (0.68, 0.6), (0.44, 0.88)]),
)
"""For each digit its strokes, lines through points (x from the left, y from the top) in a square of side 1."""
N_CLASSES = len(STROKES)
SHAKE = 0.035
"""Deviation of each point from its place."""
LARGEST_SHIFT, LARGEST_LEAN, LARGEST_STRETCH = 0.12, 0.35, 0.2
THINNEST, THICKEST = 0.035, 0.075
"""Half the width of a pen, as a share of the picture."""


@dataclass(frozen=True, kw_only=True)
class ImageData:
    """Pictures to learn from, and others to be tested on. Any pictures with labels fit in."""

    train_images: Float[np.ndarray, "n_train height width"]
    """With values from 0 to 1."""
    train_labels: Int[np.ndarray, " n_train"]
    """Whole numbers from 0."""
    test_images: Float[np.ndarray, "n_test height width"]
    test_labels: Int[np.ndarray, " n_test"]

    def __post_init__(self) -> None:
        for name in ("train", "test"):
            images, labels = getattr(self, f"{name}_images"), getattr(self, f"{name}_labels")
            if images.ndim != 3 or labels.shape != images.shape[:1] or not len(labels):
                raise ShapeError(
                    f"{name}_images must be pictures by height by width, with one label each: got shapes {images.shape} "
                    f"and {labels.shape}."
                )
        if self.train_images.shape[1:] != self.test_images.shape[1:]:
            raise ShapeError(
                "all pictures must have one size: got "
                f"{self.train_images.shape[1:]} to learn from and {self.test_images.shape[1:]} to be tested on."
            )

    @property
    def n_pixels(self) -> int:
        """Of one picture."""
        return self.train_images[0].size

    @property
    def n_classes(self) -> int:
        """How many kinds of pictures there are."""
        return int(max(self.train_labels.max(), self.test_labels.max())) + 1


def draw_digits(
    labels: Int[np.ndarray, " n_images"], rng: np.random.Generator, *, side: int = 14, noise: float = 0.25
) -> Float[np.ndarray, "n_images side side"]:
    """A picture of each of these digits, no two alike.

    The points of a digit shake; the whole is shifted, leans, and is stretched; the pen is thin or thick; and every pixel
    gets noise.

    Args:
        labels: digits from 0 to 9.
        rng: where all this is drawn from.
        side: pixels along each side.
        noise: its deviation. A line without noise has the value 1, the ground 0.
    """
    if side < 4 or noise < 0 or not ((labels >= 0) & (labels < N_CLASSES)).all():
        raise ConfigError(
            f"digits go from 0 to {N_CLASSES - 1}, on at least 4 pixels a side, with noise of at least 0: got "
            f"side={side}, noise={noise}, labels from {labels.min()} to {labels.max()}."
        )
    images = np.zeros((len(labels), side, side))
    for digit, strokes in enumerate(STROKES):
        places = np.flatnonzero(labels == digit)
        images[places] = _draw(strokes, len(places), rng, side)
    images += noise * rng.standard_normal(images.shape)
    return images.clip(0, 1)


def _draw(
    strokes: tuple[list[tuple[float, float]], ...], n_images: int, rng: np.random.Generator, side: int
) -> Float[np.ndarray, "n_images side side"]:
    """One digit in several hands: how dark a pixel is depends on how far it is from the nearest stroke."""
    shift = rng.uniform(-LARGEST_SHIFT, LARGEST_SHIFT, (n_images, 1, 2))
    lean = rng.uniform(-LARGEST_LEAN, LARGEST_LEAN, (n_images, 1))
    stretch = rng.uniform(1 - LARGEST_STRETCH, 1 + LARGEST_STRETCH, (n_images, 1, 2))
    half_width = rng.uniform(THINNEST, THICKEST, (n_images, 1, 1))
    nearest = np.full((n_images, side * side), np.inf)
    for stroke in strokes:
        points = np.array(stroke) - 0.5 + SHAKE * rng.standard_normal((n_images, len(stroke), 2))
        points = points * stretch + shift
        points[:, :, 0] -= lean * points[:, :, 1]
        for start, end in zip(points[:, :-1].swapaxes(0, 1), points[:, 1:].swapaxes(0, 1), strict=True):
            nearest = np.minimum(nearest, _distance_to_segment(start, end, side))
    blur = 1 / side
    return (1 - (nearest.reshape(n_images, side, side) - half_width) / blur).clip(0, 1)


def _distance_to_segment(
    start: Float[np.ndarray, "n_images 2"], end: Float[np.ndarray, "n_images 2"], side: int
) -> Float[np.ndarray, "n_images n_pixels"]:
    """How far each pixel's middle is from the segment; the picture's middle is at (0, 0)."""
    along = (np.arange(side) + 0.5) / side - 0.5
    pixels = np.stack(np.meshgrid(along, along), axis=-1).reshape(-1, 2)
    direction = end - start
    length = (direction**2).sum(axis=1, keepdims=True) + 1e-12
    share = (((pixels - start[:, None]) * direction[:, None]).sum(axis=2) / length).clip(0, 1)
    nearest = start[:, None] + share[..., None] * direction[:, None]
    return np.sqrt(((pixels - nearest) ** 2).sum(axis=2))


def make_digits(
    n_train: int = 4000, n_test: int = 1000, *, side: int = 14, noise: float = 0.25, seed: int = 0
) -> ImageData:
    """A set of digits to learn from, and another to be tested on, all drawn from one seed.

    >>> data = make_digits(30, 20, side=8)
    >>> data.train_images.shape, data.test_labels.shape, data.n_classes
    ((30, 8, 8), (20,), 10)
    """
    if n_train < N_CLASSES or n_test < N_CLASSES:
        raise ConfigError(f"there must be at least {N_CLASSES} pictures of each set: got {n_train} and {n_test}.")
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(n_train + n_test) % N_CLASSES)
    images = draw_digits(labels, rng, side=side, noise=noise)
    return ImageData(
        train_images=images[:n_train],
        train_labels=labels[:n_train],
        test_images=images[n_train:],
        test_labels=labels[n_train:],
    )
