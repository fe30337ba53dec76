"""Small tensors, cell by cell, and tensors that are images.

cells     tensors of up to three axes with their numbers, side by side
pictures  images side by side, such as a target and what came out
"""

from arena_lib.plots.tensors.cells import cells
from arena_lib.plots.tensors.pictures import pictures

__all__ = ["cells", "pictures"]
