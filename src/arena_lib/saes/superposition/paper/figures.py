"""Every figure by its name, and all of them as files.

Raises:  UnknownNameError for a figure that isn't there.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import plotly.graph_objects as go

from arena_lib.errors import ArenaError, UnknownNameError
from arena_lib.plots.saving import save_html, to_png
from arena_lib.saes.superposition.paper.batch_sizes import draw_batch_sizes
from arena_lib.saes.superposition.paper.double_descent import draw_geometry, draw_losses, train_by_points
from arena_lib.saes.superposition.paper.geometry import draw_dimensionality, draw_five_features, draw_gram_matrices
from arena_lib.saes.superposition.paper.neurons import draw_absolute_values, draw_neurons
from arena_lib.saes.superposition.paper.phases import draw_phases
from arena_lib.saes.superposition.paper.sets import draw_sets

Size = Literal["tiny", "full"]


@dataclass(frozen=True)
class PaperFigure:
    """A figure that is trained and drawn by one call."""

    draw: Callable[..., go.Figure | list[go.Figure]]
    """Trains, and gives one figure or several."""
    shows: str
    """What one sees, in a few words."""
    tiny: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of `draw` that make it a matter of seconds; the picture means nothing then."""


def draw_double_descent(seed: int = 0, **settings: Any) -> list[go.Figure]:
    """Both pictures of double descent; `settings` are those of `train_by_points`."""
    runs = train_by_points(seed=seed, **settings)
    last = len(runs) - 1
    worst = max(range(len(runs)), key=lambda place: runs[place].test_losses.mean().item())
    return [draw_losses(runs), draw_geometry(runs, sorted({last // 5, last // 2, worst, last}))]


FIGURES = {
    "five_features": PaperFigure(
        draw_five_features, "five features in two dimensions, by sparsity", {"n_inst": 2, "n_steps": 5}
    ),
    "gram_matrices": PaperFigure(draw_gram_matrices, "twenty features in five dimensions", {"n_steps": 5}),
    "dimensionality": PaperFigure(
        draw_dimensionality,
        "each feature's share of a dimension, by sparsity",
        {"n_feats": 12, "d_hidden": 3, "n_inst": 3, "n_steps": 5},
    ),
    "phases": PaperFigure(
        draw_phases, "absent, alone or sharing: trained and by theory", {"n_points": 4, "n_starts": 2, "n_steps": 5}
    ),
    "sets": PaperFigure(
        draw_sets, "correlated and anticorrelated features", {"n_kept": 2, "n_starts": 3, "n_steps": 5}
    ),
    "neurons": PaperFigure(draw_neurons, "features stored in neurons", {"n_steps": 5}),
    "absolute_values": PaperFigure(
        draw_absolute_values, "absolute values computed by neurons", {"n_feats": 8, "d_hidden": 4, "n_steps": 5}
    ),
    "double_descent": PaperFigure(
        draw_double_descent,
        "memorising examples, then learning features",
        {"n_points": (3, 5, 8), "n_feats": 20, "n_inst": 2, "n_steps": 20},
    ),
    "batch_sizes": PaperFigure(
        draw_batch_sizes,
        "training with 64, 256 and 1,024 examples for each update",
        {"batch_sizes": (4, 8), "n_densities": 2, "n_seeds": 2, "n_steps": 20, "n_examples": 100},
    ),
}
"""In the order of the papers; the last is a study of our own."""


def save_figures(
    folder: Path,
    *,
    only: Sequence[str] = (),
    size: Size = "full",
    seed: int = 0,
    figures: Mapping[str, PaperFigure] = FIGURES,
) -> dict[str, list[Path]]:
    """Train and draw those of `figures` with these names (or all) into `folder`, and return each one's files.

    Each is an HTML page, and a PNG too where kaleido and a Chromium can be found.
    """
    for name in only:
        if name not in figures:
            raise UnknownNameError("figure", name, figures)
    return {name: _save(name, figures[name], folder, size, seed) for name in only or figures}


def _save(name: str, paper_figure: PaperFigure, folder: Path, size: Size, seed: int) -> list[Path]:
    drawn = paper_figure.draw(seed=seed, **(paper_figure.tiny if size == "tiny" else {}))
    pictures = drawn if isinstance(drawn, list) else [drawn]
    files = [save_html(pictures, folder / f"{name}.html", title=name)]
    for i, picture in enumerate(pictures):
        try:
            files.append(to_png(picture, folder / f"{name}{f'_{i}' if len(pictures) > 1 else ''}.png"))
        except ArenaError:  # the page shows the same
            break
    return files
