"""What a strided view picks: memory as one row of cells, and the view below it, in the same colours.

Shapes:  a tensor, and a view of it with up to four axes.
Raises:  ShapeError for a view that has a memory of its own, for more than four axes, or too many cells.
"""

import numpy as np
import plotly.graph_objects as go
import torch
from plotly.subplots import make_subplots
from torch import Tensor

from arena_lib.errors import ShapeError
from arena_lib.plots.style import finish

MOST_CELLS = 240
PER_LINE = 24
"""Cells of memory in a line; a longer memory goes on in the next one."""
CELL, HEAD, LABELS = 32, 110, 52
"""Pixels of a cell, of title and margins, and of a panel's name with the gap above it."""
NOT_PICKED, GREY_UP_TO = "#e3e7eb", 0.1
COLOURS = ("#fde725", "#8fd744", "#35c0a0", "#5fa8d8", "#b79ad6")
"""From the first place to the last; black numbers can be read on all of them."""
_RAMP = [[GREY_UP_TO + (1 - GREY_UP_TO) * i / (len(COLOURS) - 1), colour] for i, colour in enumerate(COLOURS)]


def memory(tensor: Tensor, view: Tensor, *, title: str = "") -> go.Figure:
    """The numbers in `tensor`'s memory, and those that `view` picks: a number keeps its colour.

    Grey numbers aren't picked. A view with three axes is a row of matrices, one with four a grid of them.

    >>> x = torch.arange(10, 16)
    >>> figure = memory(x, x.as_strided((2, 2), (3, 1)))
    >>> [panel.text for panel in figure.layout.annotations]
    ['memory: 6 numbers', 'view: size (2, 2), stride (3, 1), offset 0']
    """
    numbers = _numbers_in_memory(tensor)
    _check(tensor, view, len(numbers))
    places = _places(view, len(numbers))
    panels = [_lines(len(numbers)), _blocks(places)]
    heights = [panel.shape[0] * CELL for panel in panels]
    whole = sum(heights) + LABELS
    figure = make_subplots(
        rows=2,
        cols=1,
        row_heights=heights,
        vertical_spacing=LABELS / whole,
        subplot_titles=[
            f"memory: {len(numbers)} numbers",
            f"view: size {tuple(view.shape)}, stride {view.stride()}, offset {view.storage_offset()}",
        ],
    )
    picked = set(places.ravel().tolist())
    widest = max(panel.shape[1] for panel in panels)
    for row, panel in enumerate(panels, start=1):
        figure.add_trace(_cells(panel, numbers, picked), row=row, col=1)
        figure.update_xaxes(range=[-0.5, widest - 0.5], row=row, col=1)
        figure.update_yaxes(range=[panel.shape[0] - 0.5, -0.5], row=row, col=1)
    for axis in (figure.update_xaxes, figure.update_yaxes):
        axis(showgrid=False, zeroline=False, showticklabels=False)
    figure.update_annotations(font={"size": 13}, x=0, xanchor="left")
    return finish(figure, title, width=max(CELL * widest + 90, 420), height=whole + HEAD + LABELS // 2)


def _numbers_in_memory(tensor: Tensor) -> np.ndarray:
    """Everything in a tensor's memory, in order, whatever the tensor itself picks."""
    n_numbers = tensor.untyped_storage().nbytes() // tensor.element_size()
    numbers: np.ndarray = tensor.detach().cpu().as_strided((n_numbers,), (1,), 0).numpy()
    return numbers


def _lines(n_numbers: int) -> np.ndarray:
    """Places from 0 on, line by line; -1 where the last line is empty."""
    width = min(n_numbers, PER_LINE)
    lines = np.full((-(-n_numbers // width), width), -1)
    lines.ravel()[:n_numbers] = np.arange(n_numbers)
    return lines


def _check(tensor: Tensor, view: Tensor, n_numbers: int) -> None:
    if view.untyped_storage().data_ptr() != tensor.untyped_storage().data_ptr():
        raise ShapeError(
            "a view must share the memory of the tensor: got one with numbers of its own. Don't copy it "
            "(clone, contiguous, arithmetic) before it is drawn."
        )
    n_cells = max(n_numbers, view.numel())
    if view.ndim > 4 or view.numel() == 0 or n_cells > MOST_CELLS:
        raise ShapeError(
            f"this figure shows views of up to four axes and 1 to {MOST_CELLS} cells: got the shape "
            f"{tuple(view.shape)}, and a memory of {n_numbers} numbers. Pick a part."
        )


def _places(view: Tensor, n_numbers: int) -> np.ndarray:
    """For each entry of the view its place in memory."""
    places: np.ndarray = torch.arange(n_numbers).as_strided(view.shape, view.stride(), view.storage_offset()).numpy()
    return places


def _blocks(places: np.ndarray) -> np.ndarray:
    """As one matrix: of three axes the matrices side by side, of four in a grid, with a gap (-1) in between."""
    grid = places.reshape((1,) * (4 - places.ndim) + places.shape) if places.ndim != 4 else places
    with_gaps = np.pad(grid, ((0, 0), (0, 0), (0, 1), (0, 1)), constant_values=-1)
    n_down, n_across, height, width = with_gaps.shape
    matrix: np.ndarray = with_gaps.transpose(0, 2, 1, 3).reshape(n_down * height, n_across * width)
    return matrix[:-1, :-1]


def _cells(places: np.ndarray, numbers: np.ndarray, picked: set[int]) -> go.Heatmap:
    """Cells that show the numbers at these places, coloured by place; none where the place is below 0."""
    last = max(len(numbers) - 1, 1)
    return go.Heatmap(
        z=[[_shade(place, picked, last) for place in row] for row in places.tolist()],
        text=[["" if place < 0 else f"{numbers[place]:.3g}" for place in row] for row in places],
        texttemplate="%{text}",
        textfont={"color": "#1a1a1a"},
        customdata=places,
        hovertemplate="place %{customdata} in memory: %{text}<extra></extra>",
        colorscale=[[0.0, NOT_PICKED], [GREY_UP_TO, NOT_PICKED], *_RAMP],
        zmin=0,
        zmax=1,
        showscale=False,
        xgap=2,
        ygap=2,
    )


def _shade(place: int, picked: set[int], last: int) -> float | None:
    if place < 0:
        return None
    return GREY_UP_TO + 0.001 + (1 - GREY_UP_TO - 0.001) * place / last if place in picked else 0.0
