"""Figures for chapters and reports: one function for each kind of picture, all of them plotly figures.

    attention            heads side by side, query by key, tokens as labels
    heads                one number for each head: layer by head
    matrix               any matrix with named rows and columns: circuits, attributions
    bars                 bars with names, one series or several
    clouds               points in the plane by class, panel by panel: PCA by layer
    scatter              points with two numbers each, by class
    circuit              nodes by layer, and edges by their effect
    lines                training curves and other series
    histogram            how many numbers lie in each part of their range
    token_probabilities  the likeliest next tokens, as bars
    token_effects        the tokens that something favours, and those it works against
    comparison           expected, actual and difference, with numbers and marks
    tensors              cells of small tensors, and tensors that are images
    coloured_text        tokens with a number each (HTML)
    save_html, to_png    a figure as a file that needs no network, or as an image

Raises:  ShapeError for other shapes; ArenaError where an image cannot be made.
"""

from arena_lib.plots.attention import attention
from arena_lib.plots.bars import bars
from arena_lib.plots.clouds import clouds
from arena_lib.plots.comparison import comparison
from arena_lib.plots.graphs.circuit import circuit
from arena_lib.plots.graphs.scatter import scatter
from arena_lib.plots.heads import heads
from arena_lib.plots.latents.histogram import histogram
from arena_lib.plots.latents.token_effects import token_effects
from arena_lib.plots.lines import lines
from arena_lib.plots.matrix import matrix
from arena_lib.plots.saving import save_html, to_png
from arena_lib.plots.text import coloured_text
from arena_lib.plots.tokens import token_probabilities

__all__ = [
    "attention",
    "bars",
    "circuit",
    "clouds",
    "coloured_text",
    "comparison",
    "heads",
    "histogram",
    "lines",
    "matrix",
    "save_html",
    "scatter",
    "to_png",
    "token_effects",
    "token_probabilities",
]
