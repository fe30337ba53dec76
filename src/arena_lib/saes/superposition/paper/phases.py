"""The phase diagram: what one dimension does with two features, trained and by theory.

Shapes:  lengths and shared "n_importances n_densities"
Source:  Elhage et al. 2022, arXiv:2209.10652, section "Superposition as a Phase Change".
Differs: of several starts the one with the lowest loss counts, judged on fresh examples.
"""

from dataclasses import dataclass

import einops
import plotly.graph_objects as go
import torch
from jaxtyping import Float, Int
from torch import Tensor

from arena_lib.core.seeds import make_generator
from arena_lib.plots.superposition.phases import phase_diagram
from arena_lib.saes.superposition.geometry import compute_feature_norms, compute_interference, two_feature_losses
from arena_lib.saes.superposition.model import ToyModel, ToyModelConfig
from arena_lib.saes.superposition.training import ToyTrainingConfig, cosine_lr, evaluate_losses, train_toy_model

LR = 3e-2
"""Peak learning rate: four numbers are learned, so it may be high."""


@dataclass(frozen=True)
class Phases:
    """What became of the second feature, by its importance (rows) and the density of both (columns)."""

    densities: Float[Tensor, " n_densities"]
    """Each column's feature probability 1 - S, the densest first."""
    importances: Float[Tensor, " n_importances"]
    """Each row's importance of the second feature; the first one has 1."""
    lengths: Float[Tensor, "n_importances n_densities"]
    """The second feature's length ||W_2||."""
    shared: Float[Tensor, "n_importances n_densities"]
    """How much of the first feature lies in its direction, (W_2_hat . W_1)^2."""


def make_grid(n_points: int) -> tuple[Float[Tensor, " n_densities"], Float[Tensor, " n_importances"]]:
    """Densities from 1 to 0.01 and importances from 0.1 to 10, evenly spaced in their logarithms."""
    return torch.logspace(0, -2, n_points), torch.logspace(-1, 1, n_points)


def train_phases(n_points: int = 32, n_starts: int = 5, n_steps: int = 800, seed: int = 0) -> Phases:
    """Train two features in one dimension at every point of the grid, `n_starts` times, and keep the best."""
    densities, importances = make_grid(n_points)
    axes = {"n_importances": n_points, "n_densities": n_points, "n_starts": n_starts}
    into = "-> (n_importances n_densities n_starts)"
    probability = einops.repeat(densities, f"n_densities {into}", **_without(axes, "n_densities"))
    second = einops.repeat(importances, f"n_importances {into}", **_without(axes, "n_importances"))
    importance = torch.stack([torch.ones_like(second), second], dim=1)
    cfg = ToyModelConfig(n_inst=len(second), n_feats=2, d_hidden=1)
    model = ToyModel(cfg, probability[:, None], importance, make_generator(seed))
    train_toy_model(model, ToyTrainingConfig(n_steps=n_steps, lr=LR, schedule=cosine_lr, seed=seed))
    losses = evaluate_losses(model, 16_384, make_generator(seed + 1), batch_size=256)
    best = losses.reshape(n_points, n_points, n_starts).argmin(dim=-1, keepdim=True)

    def pick(values: Float[Tensor, "n_inst n_feats"]) -> Float[Tensor, "n_importances n_densities"]:
        return values[:, 1].reshape(n_points, n_points, n_starts).gather(-1, best)[..., 0].detach()

    return Phases(densities, importances, pick(compute_feature_norms(model.W)), pick(compute_interference(model.W)))


def theoretical_phases(n_points: int = 32) -> Phases:
    """At every point of the grid, the lowest of the three losses that theory gives."""
    densities, importances = make_grid(n_points)
    best = two_feature_losses(densities[None, :], importances[:, None]).argmin(dim=-1)
    return Phases(densities, importances, (best != 0).float(), (best == 2).float())


def agreement(trained: Phases, theory: Phases) -> float:
    """The share of points at which both say the same of the second feature: absent, alone, or sharing."""

    def state(phases: Phases) -> Int[Tensor, "n_importances n_densities"]:
        return torch.where(phases.lengths < 0.5, 0, torch.where(phases.shared < 0.5, 1, 2))

    return (state(trained) == state(theory)).double().mean().item()


def draw_phases(n_points: int = 32, n_starts: int = 5, n_steps: int = 800, seed: int = 0) -> go.Figure:
    """The second of two features in one dimension, trained beside the theory."""
    trained, theory = train_phases(n_points, n_starts, n_steps, seed), theoretical_phases(n_points)
    share = agreement(trained, theory)
    panels = {"trained": (trained.lengths, trained.shared), "theory": (theory.lengths, theory.shared)}
    title = f"The second of two features in one dimension; {share:.0%} of the points agree"
    return phase_diagram(panels, trained.densities.tolist(), trained.importances.tolist(), title=title)


def _without(sizes: dict[str, int], name: str) -> dict[str, int]:
    return {other: size for other, size in sizes.items() if other != name}
