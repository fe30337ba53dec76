"""Which latents are dead, and what their new directions are."""

import pytest
import torch

from arena_lib.core.seeds import make_generator
from arena_lib.errors import TrainingError
from arena_lib.saes.toy.resampling import (
    draw_directions,
    draw_examples,
    find_dead,
    mean_alive_norm,
    replace_latents,
    resampling_probabilities,
    zero_latents,
)

IS_DEAD = torch.tensor([[True, False, False, True], [False, False, True, False]])


def test_a_latent_is_dead_if_it_was_never_active_in_the_window():
    frac_active = torch.tensor([[[0.0, 0.0, 0.5]], [[0.0, 1e-6, 0.5]]])
    assert find_dead(frac_active).tolist() == [[True, False, False]]


def test_directions_have_length_one_and_no_preferred_side():
    directions = draw_directions(2, 30_000, 3, make_generator(0))
    torch.testing.assert_close(directions.norm(dim=-1), torch.ones(2, 30_000))
    assert directions.mean(dim=1).abs().max() < 0.02
    assert (directions.pow(2).mean(dim=1) - 1 / 3).abs().max() < 0.02


def test_probabilities_follow_the_squared_loss_in_each_instance():
    losses = torch.tensor([[1.0, 0.0], [3.0, 0.0]])
    expected = torch.tensor([[0.1, 0.5], [0.9, 0.5]])
    torch.testing.assert_close(resampling_probabilities(losses), expected)
    tiny = torch.tensor([[1e-30], [3e-30]])  # the squares are below float32's range
    torch.testing.assert_close(resampling_probabilities(tiny), expected[:, :1])
    with pytest.raises(TrainingError, match="finite to resample by: got nan"):
        resampling_probabilities(torch.tensor([[torch.nan]]))


def test_examples_are_drawn_with_their_probabilities_from_their_own_instance():
    h = torch.arange(6.0).reshape(3, 2, 1)
    probabilities = torch.tensor([[0.7, 0.0], [0.3, 0.0], [0.0, 1.0]])
    drawn = draw_examples(h, probabilities, 20_000, make_generator(0))
    assert (drawn[1] == 5.0).all()
    assert (drawn[0] == 0.0).float().mean().item() == pytest.approx(0.7, abs=0.02)
    assert (drawn[0] == 2.0).float().mean().item() == pytest.approx(0.3, abs=0.02)


def test_the_living_latents_norm_leaves_out_the_dead():
    W_enc = torch.tensor([[[3.0, 9.0, 0.0], [4.0, 9.0, 1.0]], [[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]])
    is_dead = torch.tensor([[False, True, False], [True, True, True]])
    assert mean_alive_norm(W_enc, is_dead).tolist() == [3.0, 1.0]


def test_only_dead_latents_are_replaced():
    W_enc, W_dec = torch.full((2, 3, 4), 7.0), torch.full((2, 4, 3), 8.0)
    directions = draw_directions(2, 4, 3, make_generator(1))
    replace_latents(W_enc, W_dec, IS_DEAD, directions, torch.tensor([0.5, 2.0]))
    assert torch.equal(W_dec[IS_DEAD], directions[IS_DEAD])
    assert (W_dec[~IS_DEAD] == 8.0).all()
    torch.testing.assert_close(W_enc[0, :, 3], 0.5 * directions[0, 3])
    torch.testing.assert_close(W_enc[1, :, 2], 2.0 * directions[1, 2])
    assert (W_enc.mT[~IS_DEAD] == 7.0).all()


def test_only_dead_entries_become_zero():
    parameter = torch.nn.Parameter(torch.ones(2, 4))
    zero_latents(parameter, IS_DEAD)
    assert torch.equal(parameter, (~IS_DEAD).float())
