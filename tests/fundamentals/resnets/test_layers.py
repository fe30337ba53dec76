import pytest
import torch
from torch import nn

from arena_lib.errors import ConfigError, ShapeError
from arena_lib.fundamentals.resnets import Flatten, Linear, ReLU
from arena_lib.fundamentals.resnets.layers import check_images, check_last_axis


def test_relu_agrees_with_torchs_and_leaves_its_input_alone():
    x = torch.randn(3, 5, 2)
    before = x.clone()
    torch.testing.assert_close(ReLU()(x), torch.relu(x))
    torch.testing.assert_close(x, before)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(7,), (3, 7), (2, 4, 7)])
def test_linear_agrees_with_torchs(shape, bias):
    ours, theirs = Linear(7, 4, bias), nn.Linear(7, 4, bias)
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(shape)
    torch.testing.assert_close(ours(x), theirs(x))
    assert repr(ours) == repr(theirs)


@pytest.mark.parametrize(("in_features", "out_features"), [(100, 30), (7, 400)])
def test_linear_begins_as_torchs_does_from_the_same_seed(in_features, out_features):
    torch.manual_seed(3)
    ours = Linear(in_features, out_features)
    torch.manual_seed(3)
    theirs = nn.Linear(in_features, out_features)
    torch.testing.assert_close(ours.weight, theirs.weight)
    torch.testing.assert_close(ours.bias, theirs.bias)


def test_linear_refuses_what_does_not_fit():
    with pytest.raises(ShapeError, match=r"the last axis must be in_features = 7: got an input of shape \(7, 3\)"):
        Linear(7, 2)(torch.zeros(7, 3))
    with pytest.raises(ConfigError, match="out_features must be at least 1: got 0"):
        Linear(7, 0)


@pytest.mark.parametrize("ends", [(1, -1), (0, -1), (1, 2), (-3, -2), (0, 1), (2, 2), (-1, -1)])
def test_flatten_agrees_with_torchs(ends):
    x = torch.randn(2, 3, 4, 5)
    torch.testing.assert_close(Flatten(*ends)(x), x.flatten(*ends))


@pytest.mark.parametrize("shape", [(3, 5), (2, 5, 3), (2, 4, 3, 3)])
def test_images_have_four_axes_and_the_right_channels(shape):
    with pytest.raises(ShapeError, match="images must be batch x channel x height x width, with 5 as channel"):
        check_images(torch.zeros(shape), 5)


def test_the_last_axis_must_be_there():
    with pytest.raises(ShapeError, match=r"the last axis must be n = 2: got an input of shape \(\)"):
        check_last_axis(torch.tensor(1.0), 2, "n")


def test_flatten_takes_a_batch_of_nothing():
    assert Flatten()(torch.zeros(0, 3, 4)).shape == (0, 12)
