"""Figures of double descent show each run."""

import pytest

from arena_lib.saes.superposition.paper.double_descent import draw_geometry, draw_losses, train_by_points


@pytest.fixture(scope="module")
def runs():
    return train_by_points(n_points=(3, 6), n_feats=15, n_inst=2, n_steps=20)


def test_losses_are_means_over_instances(runs):
    figure = draw_losses(runs)
    assert figure.data[0].x.tolist() == [3.0, 6.0]
    assert figure.data[0].y[1] == pytest.approx(runs[1].test_losses.mean().item())
    assert figure.data[1].y[0] == pytest.approx(runs[0].train_losses.mean().item())


def test_geometry_has_features_above_and_examples_below(runs):
    figure = draw_geometry(runs, [0, 1])
    names = [annotation.text for annotation in figure.layout.annotations]
    assert names == ["features, 3", "features, 6", "examples, 3", "examples, 6"]
