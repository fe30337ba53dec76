"""The figures of double descent: loss by number of examples, and what is stored at three of them.

Source:  Henighan et al. 2023, "Superposition, Memorization, and Double Descent", Transformer Circuits Thread.
"""

from collections.abc import Sequence

import plotly.graph_objects as go
from jaxtyping import Float
from torch import Tensor

from arena_lib.plots.lines import lines
from arena_lib.plots.superposition.directions import feature_directions
from arena_lib.saes.superposition.double_descent import DoubleDescentConfig, DoubleDescentRun, train_on_points

N_POINTS = (3, 5, 8, 15, 30, 60, 100, 200, 400, 600, 800, 1_200, 1_600)
"""How many examples the models see: from a handful that can be memorised to enough to learn the features."""


def train_by_points(
    n_points: Sequence[int] = N_POINTS, n_feats: int = 1_000, n_inst: int = 1, n_steps: int = 1_500, seed: int = 0
) -> list[DoubleDescentRun]:
    """One run of `n_inst` models for each number of examples."""
    return [
        train_on_points(
            DoubleDescentConfig(
                n_points=n, n_feats=n_feats, n_inst=n_inst, n_steps=n_steps, warmup=n_steps // 20, seed=seed
            )
        )
        for n in n_points
    ]


def draw_losses(runs: Sequence[DoubleDescentRun]) -> go.Figure:
    """The mean loss on the examples, and on fresh ones, by number of examples."""
    series = {
        "fresh examples": [run.test_losses.mean().item() for run in runs],
        "the examples trained on": [run.train_losses.mean().item() for run in runs],
    }
    figure = lines(
        series,
        x=[run.n_points for run in runs],
        x_title="examples in training",
        y_title="squared error",
        title="Double descent: the loss on fresh examples rises before it falls",
    )
    return figure.update_xaxes(type="log")


def draw_geometry(runs: Sequence[DoubleDescentRun], places: Sequence[int]) -> go.Figure:
    """For the runs at `places`, what is stored: directions of features above, hidden states of examples below."""
    chosen = [runs[place] for place in places]
    panels = {f"features, {run.n_points}": _scaled(run.W[0]) for run in chosen}
    panels |= {f"examples, {run.n_points}": _scaled(run.hidden[0]) for run in chosen}
    return feature_directions(
        panels, columns=len(chosen), title="What is stored after training on so many examples (scaled to fit)"
    )


def _scaled(directions: Float[Tensor, "d_hidden n"]) -> Float[Tensor, "d_hidden n"]:
    """The longest of them gets length 1."""
    return directions / directions.norm(dim=0).max()
