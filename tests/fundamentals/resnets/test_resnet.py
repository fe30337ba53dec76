import pytest
import torch
from torch import nn

from arena_lib.errors import ConfigError
from arena_lib.fundamentals.resnets import ResNet34, predict, read_manifest


def test_names_and_shapes_are_torchvisions_in_order():
    state = {name: tuple(tensor.shape) for name, tensor in ResNet34().state_dict().items()}
    manifest = read_manifest()
    assert len(manifest) == 218
    assert list(state.items()) == list(manifest.items())


def test_the_whole_network_agrees_with_torchvisions_on_random_weights():
    try:
        from torchvision.models import resnet34
    except (ImportError, RuntimeError) as error:  # a torchvision that was made for another torch raises RuntimeError
        pytest.skip(f"torchvision isn't here, or was made for another torch: {error}")
    torch.manual_seed(0)
    theirs, ours = resnet34().double(), ResNet34().double()
    ours.load_state_dict(theirs.state_dict())
    images = torch.randn(2, 3, 65, 80, dtype=torch.float64)
    for mode in (True, False):
        expected, actual = theirs.train(mode)(images), ours.train(mode)(images)
        torch.testing.assert_close(actual, expected)
        torch.testing.assert_close(actual.softmax(-1), expected.softmax(-1), rtol=1e-4, atol=0)
    torch.testing.assert_close(ours.state_dict(), theirs.state_dict())


def test_a_small_network_takes_pictures_of_any_size():
    model = ResNet34((1, 2), (4, 6), (1, 2), n_classes=5)
    for size in ((28, 28), (33, 50)):
        assert model(torch.randn(2, 3, *size)).shape == (2, 5)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ConfigError, match=r"as many as there are groups: got \[2, 3, 2\] of them"):
        ResNet34((1, 1), (4, 4, 4), (1, 1))
    with pytest.raises(ConfigError, match=r"got \[0, 0, 0\]"):
        ResNet34((), (), ())


def test_predictions_are_made_in_evaluation_mode_and_leave_the_mode_alone():
    model = nn.Sequential(nn.Flatten(), nn.Dropout(0.9), nn.Linear(12, 5))
    images = torch.randn(6, 3, 2, 2)
    for mode in (True, False):
        model.train(mode)
        largest, classes = predict(model, images)
        assert model.training == model[1].training == mode
        probabilities = model.eval()(images).softmax(-1)
        torch.testing.assert_close(largest, probabilities.max(-1).values)
        assert classes.tolist() == probabilities.argmax(-1).tolist()
        assert not largest.requires_grad
