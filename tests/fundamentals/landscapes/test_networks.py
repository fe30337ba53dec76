import pytest
import torch
from torch import nn

from arena_lib.errors import ConfigError, TrainingError
from arena_lib.fundamentals.landscapes import TwoLayers, compute_accuracy, shrink_images, train_to_loss


@pytest.mark.parametrize(("activation", "layer"), [("relu", nn.ReLU()), ("tanh", nn.Tanh())])
def test_it_is_two_linear_layers_of_torch(activation, layer):
    model = TwoLayers(3, 5, 2, activation, seed=4)
    theirs = nn.Sequential(nn.Linear(3, 5), layer, nn.Linear(5, 2)).double()
    with torch.no_grad():
        theirs[0].weight.copy_(model.W_in.T), theirs[0].bias.copy_(model.b_in + 0.1)
        theirs[2].weight.copy_(model.W_out.T), theirs[2].bias.copy_(model.b_out - 0.2)
        model.b_in += 0.1
        model.b_out -= 0.2
    x = torch.randn(7, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(model(x), theirs(x))


def test_the_seed_decides_the_weights_and_the_global_generator_stays():
    state = torch.get_rng_state()
    first, again, other = (TwoLayers(3, 4, 2, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(first.W_in, again.W_in)
    assert not torch.equal(first.W_in, other.W_in)
    assert torch.equal(torch.get_rng_state(), state)
    torch.testing.assert_close(TwoLayers(3, 4, 2, seed=1, gain=3.0).W_out, 3 * first.W_out)


def test_training_ends_at_the_goal():
    x = torch.randn(20, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    y = (x[:, 0] > 0).long()
    model = TwoLayers(3, 8, 2)
    assert train_to_loss(model, x, y, 0.1) > 0
    assert 0.05 < nn.functional.cross_entropy(model(x), y).item() <= 0.1
    assert train_to_loss(model, x, y, 0.1) == 0
    assert compute_accuracy(model, x, y) == 1.0
    with pytest.raises(TrainingError, match="reach 1e-09 within 3 steps"):
        train_to_loss(model, x, y, 1e-9, max_steps=3)


def test_pictures_shrink_to_means_of_squares():
    images = torch.arange(32.0).reshape(2, 4, 4)
    assert shrink_images(images)[0].tolist() == [2.5, 4.5, 10.5, 12.5]


def test_layers_without_units_and_unknown_activations_are_refused():
    with pytest.raises(ConfigError, match="at least one unit: got 3, 0 and 2"):
        TwoLayers(3, 0, 2)
    with pytest.raises(ConfigError, match="goal must be finite and above 0"):
        train_to_loss(TwoLayers(3, 2, 2), torch.ones(1, 3).double(), torch.zeros(1).long(), 0.0)
