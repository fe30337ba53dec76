"""The shared functions, by hand and by their properties."""

import torch

from arena_lib.core.seeds import make_generator
from arena_lib.saes.autoencoders.functions import (
    compute_geometric_median,
    compute_pre_acts,
    compute_spread,
    compute_squared_error,
    make_directions,
    normalize_decoder,
    remove_radial_gradient,
)


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=make_generator(seed), dtype=torch.float64)


def test_pre_acts_are_the_same_with_any_leading_axes():
    acts, W_enc, b_enc = draw(2, 3, 5), draw(5, 7, seed=1), draw(7, seed=2)
    expected = torch.einsum("abi,is->abs", acts, W_enc) + b_enc
    assert torch.allclose(compute_pre_acts(acts, W_enc, b_enc), expected)
    assert torch.allclose(compute_pre_acts(acts.flatten(0, 1), W_enc, b_enc), expected.flatten(0, 1))


def test_errors_by_hand():
    target = torch.tensor([[0.0, 0.0, 1.0], [4.0, 2.0, 1.0]])
    assert compute_squared_error(torch.zeros(2, 3), target).item() == (1 + 16 + 4 + 1) / 2
    assert compute_spread(target).item() == 4 + 1


def test_a_target_that_never_varies_has_no_spread_and_divides_all_the_same():
    assert compute_spread(torch.ones(3, 2)).item() > 0


def test_the_tangent_gradient_keeps_lengths_to_first_order():
    W_dec, gradient = normalize_decoder(draw(6, 4)), draw(6, 4, seed=1)
    tangent = remove_radial_gradient(gradient, W_dec)
    step = 1e-4
    assert ((W_dec - step * tangent).norm(dim=-1) - 1).abs().max() < 10 * step**2
    assert ((W_dec - step * gradient).norm(dim=-1) - 1).abs().max() > step / 10
    assert torch.allclose(remove_radial_gradient(tangent, W_dec), tangent)


def test_directions_have_length_one_and_no_favourite_side():
    directions = make_directions(4000, 3, make_generator(0))
    assert torch.allclose(directions.norm(dim=-1), torch.ones(4000))
    assert directions.mean(dim=0).abs().max() < 6 / (3 * 4000) ** 0.5  # six standard errors


def test_the_geometric_median_of_a_line_is_its_median_and_outliers_do_not_move_it():
    points = torch.tensor([[0.0, 1.0], [1.0, 1.0], [2.0, 1.0], [3.0, 1.0], [1000.0, 1.0]], dtype=torch.float64)
    median = compute_geometric_median(points, n_rounds=2000, tolerance=0.0)
    assert torch.allclose(median, torch.tensor([2.0, 1.0], dtype=torch.float64), atol=1e-3)


def test_at_the_geometric_median_the_directions_to_all_points_cancel():
    points = draw(50, 3)
    median = compute_geometric_median(points, tolerance=1e-12)
    assert normalize_decoder(points - median).sum(dim=0).norm() < 1e-4
    assert normalize_decoder(points - points.mean(dim=0)).sum(dim=0).norm() > 0.1
