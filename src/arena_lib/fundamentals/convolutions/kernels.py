"""Small kernels that people made by hand before networks learned theirs: they blur, sharpen, or find edges.

Shapes:  each "3 3", in float32.
Source:  Sobel and Feldman 1968, "A 3x3 isotropic gradient operator for image processing", for the edges.
"""

import torch

BLUR = torch.full((3, 3), 1 / 9)
"""The mean of a pixel and its eight neighbours."""
SHARPEN = torch.tensor([[0.0, -1.0, 0.0], [-1.0, 5.0, -1.0], [0.0, -1.0, 0.0]])
"""A pixel, and how far it stands out from its four neighbours on top."""
EDGES_ACROSS = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]])
"""Right less left: large where it gets lighter from left to right."""
EDGES_DOWN = torch.tensor([[-1.0, -2.0, -1.0], [0.0, 0.0, 0.0], [1.0, 2.0, 1.0]])
"""Bottom less top: large where it gets lighter from top to bottom."""
