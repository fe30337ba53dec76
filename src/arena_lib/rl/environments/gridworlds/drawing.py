"""Gridworlds as pictures of pixels, drawn with numpy alone: the map, the agent, values as colours, a policy as arrows.

Shapes:  values "n_states", policy "n_states" -> picture "height width 3", bytes.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int, UInt8

CELL = 48
"""Pixels of one cell's side."""
COLOURS = {
    "S": (222, 235, 247),
    ".": (248, 248, 248),
    "#": (70, 70, 70),
    "G": (120, 198, 121),
    "X": (222, 102, 80),
    "C": (120, 86, 60),
}
LINE, AGENT, ARROW = (200, 200, 200), (0, 114, 178), (40, 40, 40)
LOW, HIGH = np.array([222.0, 160.0, 140.0]), np.array([140.0, 205.0, 160.0])
"""Colours of the lowest and of the highest value."""


def draw_gridworld(
    rows: Sequence[str],
    *,
    state: int | None = None,
    values: Float[np.ndarray, " n_states"] | None = None,
    policy: Int[np.ndarray, " n_states"] | None = None,
    cell: int = CELL,
) -> UInt8[np.ndarray, "height width 3"]:
    """The map as an image; with the agent at `state`, values as colours of the free cells, and arrows of a policy."""
    width = len(rows[0])
    picture = np.empty((len(rows) * cell, width * cell, 3), dtype=np.uint8)
    shares = None if values is None else (values - values.min()) / max(float(np.ptp(values)), 1e-12)
    for place, letter in enumerate("".join(rows)):
        top, left = place // width * cell, place % width * cell
        box = picture[top : top + cell, left : left + cell]
        box[:] = COLOURS[letter]
        if letter in "S.":
            if shares is not None:
                box[:] = (LOW + (HIGH - LOW) * shares[place]).astype(np.uint8)
            if policy is not None:
                box[_arrow(int(policy[place]), cell)] = ARROW
        box[0], box[:, 0] = LINE, LINE
        if place == state:
            box[_disc(cell)] = AGENT
    return picture


def _disc(cell: int) -> np.ndarray:
    """The pixels of a disc in the middle of a cell."""
    offset = np.arange(cell) - (cell - 1) / 2
    return offset[:, None] ** 2 + offset**2 <= (0.3 * cell) ** 2


def _arrow(action: int, cell: int) -> np.ndarray:
    """The pixels of a triangle that points up, right, down or left."""
    row = (np.arange(cell) / cell)[:, None]
    column = np.arange(cell) / cell
    points_up = (row > 0.25) & (row < 0.6) & (abs(column - 0.5) < (row - 0.25) * 0.6)
    return np.rot90(points_up, k=-action)
