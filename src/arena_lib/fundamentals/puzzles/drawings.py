"""Letters and digits as small colour images, so that a tensor can be seen.

Shapes:  "batch channel height width" with 3 channels (red, green, blue), height 10 and width 8, from 0 (dark) to 1.
Raises:  ConfigError for an empty text; UnknownNameError for a character that isn't drawn.
Source:  own drawing, in dot matrices of 5 by 7.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from arena_lib.errors import ConfigError, UnknownNameError

HEIGHT, WIDTH = 10, 8
"""Pixels of an image; both are even, so that it can be halved."""
TOP, LEFT = 2, 1
"""Pixels above and left of a character. They aren't those below and right, so that a mirrored image shows."""
COLOURS = (
    (0.00, 0.45, 0.70),
    (0.84, 0.37, 0.00),
    (0.00, 0.62, 0.45),
    (0.80, 0.47, 0.65),
    (0.10, 0.10, 0.10),
    (0.90, 0.62, 0.00),
)
"""Red, green and blue of each character in turn: Okabe and Ito's colours, which most colour-blind readers tell apart."""

_DOTS = {
    "0": ".###. #...# #..## #.#.# ##..# #...# .###.",
    "1": "..#.. .##.. ..#.. ..#.. ..#.. ..#.. .###.",
    "2": ".###. #...# ....# ...#. ..#.. .#... #####",
    "3": ".###. #...# ....# ..##. ....# #...# .###.",
    "4": "...#. ..##. .#.#. #..#. ##### ...#. ...#.",
    "5": "##### #.... ####. ....# ....# #...# .###.",
    "6": "..##. .#... #.... ####. #...# #...# .###.",
    "7": "##### ....# ...#. ..#.. .#... .#... .#...",
    "8": ".###. #...# #...# .###. #...# #...# .###.",
    "9": ".###. #...# #...# .#### ....# ...#. .##..",
    "A": ".###. #...# #...# ##### #...# #...# #...#",
    "B": "####. #...# #...# ####. #...# #...# ####.",
    "C": ".###. #...# #.... #.... #.... #...# .###.",
    "D": "###.. #..#. #...# #...# #...# #..#. ###..",
    "E": "##### #.... #.... ####. #.... #.... #####",
    "F": "##### #.... #.... ####. #.... #.... #....",
    "G": ".###. #...# #.... #.### #...# #...# .####",
    "H": "#...# #...# #...# ##### #...# #...# #...#",
    "I": ".###. ..#.. ..#.. ..#.. ..#.. ..#.. .###.",
    "J": "..### ...#. ...#. ...#. ...#. #..#. .##..",
    "K": "#...# #..#. #.#.. ##... #.#.. #..#. #...#",
    "L": "#.... #.... #.... #.... #.... #.... #####",
    "M": "#...# ##.## #.#.# #.#.# #...# #...# #...#",
    "N": "#...# ##..# #.#.# #.#.# #..## #...# #...#",
    "O": ".###. #...# #...# #...# #...# #...# .###.",
    "P": "####. #...# #...# ####. #.... #.... #....",
    "Q": ".###. #...# #...# #...# #.#.# #..#. .##.#",
    "R": "####. #...# #...# ####. #.#.. #..#. #...#",
    "S": ".#### #.... #.... .###. ....# ....# ####.",
    "T": "##### ..#.. ..#.. ..#.. ..#.. ..#.. ..#..",
    "U": "#...# #...# #...# #...# #...# #...# .###.",
    "V": "#...# #...# #...# #...# #...# .#.#. ..#..",
    "W": "#...# #...# #...# #.#.# #.#.# #.#.# .#.#.",
    "X": "#...# #...# .#.#. ..#.. .#.#. #...# #...#",
    "Y": "#...# #...# .#.#. ..#.. ..#.. ..#.. ..#..",
    "Z": "##### ....# ...#. ..#.. .#... #.... #####",
}


def draw(text: str) -> Float[Tensor, "batch channel=3 height=10 width=8"]:
    """Each character as an image of its own colour on white: digits, and the capital letters of English.

    >>> draw("012345").shape
    torch.Size([6, 3, 10, 8])
    """
    if not text:
        raise ConfigError("a text to draw must have at least one character: got an empty text. Write draw('012345').")
    for character in text:
        if character not in _DOTS:
            raise UnknownNameError("drawn character", character, _DOTS)
    images = torch.ones(len(text), 3, HEIGHT, WIDTH)
    for i, character in enumerate(text):
        dots = torch.tensor([[dot == "#" for dot in row] for row in _DOTS[character].split()])
        colour = torch.tensor(COLOURS[i % len(COLOURS)])
        n_rows, n_columns = dots.shape
        place = images[i, :, TOP : TOP + n_rows, LEFT : LEFT + n_columns]
        place[:, dots] = colour[:, None]
    return images
