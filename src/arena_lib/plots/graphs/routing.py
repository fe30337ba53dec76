"""Where the edges of a drawn graph run, and where their numbers stand, so that nothing hides anything else.

All places are (x, y) in pixels. An edge is a straight line where nothing is in the way, and bends as little as it
must otherwise.

Source:  own design: quadratic Bezier curves, tried from the straight one on.
"""

from collections.abc import Sequence

import numpy as np

BENDS = (0.0, *(sign * size for size in (0.06, 0.12, 0.18, 0.25, 0.33, 0.42, 0.55) for sign in (1, -1)))
"""How far a curve's middle may be from the straight line, as a share of the line's length, the least first."""
N_POINTS = 33
ALONG = (0.34, 0.42, 0.27, 0.5, 0.58, 0.66, 0.74, 0.2)
"""Where on an edge its number may stand, as a share of its way, the best first."""
LABEL = (38.0, 15.0)
"""Width and height of an edge's number."""

Box = tuple[float, float, float, float]
"""Left, bottom, right, top."""


def route(start: np.ndarray, end: np.ndarray, boxes: Sequence[Box]) -> np.ndarray:
    """The points of the straightest curve from start to end that touches no box; of the clearest, if all touch one.

    >>> route(np.array([0.0, 0.0]), np.array([0.0, 100.0]), [])[16].tolist()
    [0.0, 50.0]
    """
    curves = [_bend(start, end, bend) for bend in BENDS]
    touched = [sum(bool(_is_inside(curve, box).any()) for box in boxes) for curve in curves]
    return curves[int(np.argmin(touched))]


def place_number(curve: np.ndarray, taken: Sequence[Box]) -> tuple[np.ndarray, Box]:
    """The place on a curve where a number overlaps the fewest of the boxes that are taken, and its own box."""
    places = [curve[round(share * (len(curve) - 1))] for share in ALONG]
    boxes = [box_around(place, *LABEL) for place in places]
    overlaps = [sum(_do_overlap(box, other) for other in taken) for box in boxes]
    best = int(np.argmin(overlaps))
    return places[best], boxes[best]


def box_around(centre: np.ndarray, width: float, height: float) -> Box:
    """A box of this size around a point."""
    x, y = float(centre[0]), float(centre[1])
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


def _bend(start: np.ndarray, end: np.ndarray, bend: float) -> np.ndarray:
    across = np.array([start[1] - end[1], end[0] - start[0]])
    control = (start + end) / 2 + 2 * bend * across
    t = np.linspace(0, 1, N_POINTS)[:, None]
    return np.asarray((1 - t) ** 2 * start + 2 * t * (1 - t) * control + t**2 * end)


def _is_inside(points: np.ndarray, box: Box) -> np.ndarray:
    left, bottom, right, top = box
    x, y = points.T
    return np.asarray((left <= x) & (x <= right) & (bottom <= y) & (y <= top))


def _do_overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
