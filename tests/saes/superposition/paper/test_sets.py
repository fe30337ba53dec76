"""Sets of features in pairs: trained, their geometry is the paper's."""

from dataclasses import replace

import torch

from arena_lib.core.seeds import make_generator
from arena_lib.saes.superposition.geometry import compute_feature_norms
from arena_lib.saes.superposition.model import ToyModel
from arena_lib.saes.superposition.paper.sets import SETS, draw_sets, train_set


def pair_cosines(W: torch.Tensor) -> torch.Tensor:
    """Of the two features of each pair."""
    return torch.nn.functional.cosine_similarity(W[:, :, ::2], W[:, :, 1::2], dim=1)


def test_correlated_pairs_are_orthogonal_and_anticorrelated_pairs_antipodal():
    correlated, anticorrelated = (
        train_set(replace(SETS[name], n_inst=8), 0.1, 1, 500, 0) for name in ("correlated", "anticorrelated")
    )
    assert compute_feature_norms(correlated).min() > 0.8
    assert pair_cosines(correlated).abs().max() < 0.15
    assert pair_cosines(anticorrelated).max() < -0.9


def test_the_lowest_losses_are_kept():
    cfg = replace(SETS["three pairs"], n_inst=6)
    kept = train_set(cfg, 0.1, 6, 60, 0)
    model = ToyModel(cfg, 0.1)
    with torch.no_grad():
        model.W.copy_(kept)
        batch = model.generate_batch(20_000, make_generator(5))
        losses = model.calculate_losses(model(batch), batch)
    # The biases differ a little after so few updates, and are left out here.
    assert losses[:3].mean() < losses[3:].mean()


def test_the_figure_has_a_panel_for_each_instance_of_each_set():
    figure = draw_sets(n_kept=2, n_starts=3, n_steps=2)
    names = [annotation.text for annotation in figure.layout.annotations]
    assert names[:2] == ["correlated 1", "correlated 2"]
    assert len(names) == 6
