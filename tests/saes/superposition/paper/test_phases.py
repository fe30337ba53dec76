"""The phase diagram: theory where it is plain, training against it, and how they are compared."""

import torch

from arena_lib.saes.superposition.paper.phases import (
    Phases,
    agreement,
    draw_phases,
    make_grid,
    theoretical_phases,
    train_phases,
)


def test_the_grid_goes_from_dense_to_sparse_and_from_unimportant_to_important():
    densities, importances = make_grid(5)
    torch.testing.assert_close(densities[[0, -1]], torch.tensor([1.0, 0.01]))
    torch.testing.assert_close(importances[[0, 2, -1]], torch.tensor([0.1, 1.0, 10.0]))


def test_by_theory_dense_features_share_nothing_and_sparse_ones_do():
    theory = theoretical_phases(9)
    assert theory.lengths[0, 0] == 0  # unimportant
    assert (theory.lengths[-1, 0], theory.shared[-1, 0]) == (1, 0)  # important
    assert theory.shared[4, -1] == 1  # sparse, equally important


def test_training_comes_to_what_theory_says_for_most_points():
    trained = train_phases(n_points=6, n_starts=3, n_steps=500)
    assert agreement(trained, theoretical_phases(6)) > 0.8
    assert trained.lengths[0, 0] < 0.3
    assert trained.lengths[-1, 0] > 0.8


def test_agreement_is_the_share_of_points_with_one_state():
    def phases(lengths, shared):
        return Phases(torch.ones(2), torch.ones(1), torch.tensor([lengths]), torch.tensor([shared]))

    alone, sharing = phases([1.0, 0.0], [0.1, 0.9]), phases([0.9, 0.1], [0.9, 0.0])
    assert agreement(alone, alone) == 1.0
    assert agreement(alone, sharing) == 0.5


def test_the_figure_shows_training_beside_theory():
    figure = draw_phases(n_points=3, n_starts=1, n_steps=2)
    assert [annotation.text for annotation in figure.layout.annotations] == ["trained", "theory"]
    assert "of the points agree" in figure.layout.title.text
