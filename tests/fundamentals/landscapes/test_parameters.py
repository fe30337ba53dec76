import pytest
import torch
from torch import nn

from arena_lib.errors import ConfigError, ShapeError
from arena_lib.fundamentals.landscapes import flatten_parameters, make_loss_function, outputs_at, unflatten_parameters


def make_model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2))


def test_the_vector_is_torchs_and_cut_up_again_it_is_the_parameters():
    model = make_model()
    theta = flatten_parameters(model)
    torch.testing.assert_close(theta, nn.utils.parameters_to_vector(model.parameters()).detach())
    for (name, part), (expected, parameter) in zip(
        unflatten_parameters(theta, model).items(), model.named_parameters(), strict=True
    ):
        assert name == expected
        torch.testing.assert_close(part, parameter.detach())


def test_outputs_at_the_models_own_place_are_its_own_and_elsewhere_the_model_stays():
    model, inputs = make_model(), torch.randn(4, 3)
    theta = flatten_parameters(model)
    torch.testing.assert_close(outputs_at(model, theta, inputs), model(inputs))
    moved = outputs_at(model, theta + 1, inputs)
    assert not torch.allclose(moved, model(inputs))
    torch.testing.assert_close(flatten_parameters(model), theta)


def test_a_loss_function_has_one_height_for_each_place():
    model, inputs, targets = make_model(), torch.randn(6, 3), torch.randn(6, 2)
    loss_fn = make_loss_function(model, inputs, targets, nn.functional.mse_loss)
    assert loss_fn(flatten_parameters(model)).item() == pytest.approx(
        nn.functional.mse_loss(model(inputs), targets).item()
    )


@pytest.mark.parametrize("layer", [nn.BatchNorm1d(3), nn.Dropout(0.5)])
def test_noise_of_training_is_refused_by_name(layer):
    model = nn.Sequential(layer, nn.Linear(3, 2))
    with pytest.raises(ConfigError, match=rf"{type(layer).__name__} in training mode"):
        make_loss_function(model, torch.ones(4, 3), torch.ones(4, 2), nn.functional.mse_loss)
    assert callable(make_loss_function(model.eval(), torch.ones(4, 3), torch.ones(4, 2), nn.functional.mse_loss))


def test_models_without_parameters_and_vectors_of_another_length_are_refused():
    with pytest.raises(ConfigError, match="parameters must be at least 1: got 0"):
        flatten_parameters(nn.ReLU())
    with pytest.raises(ShapeError, match=r"each of the model.s 32 parameters: got 31"):
        unflatten_parameters(torch.zeros(31), make_model())
