import pytest
import torch
from torch import nn

from arena_lib.errors import ConfigError, ShapeError
from arena_lib.fundamentals.resnets import BatchNorm2d


@pytest.mark.parametrize("shape", [(3, 5, 4, 2), (1, 3, 2, 7), (6, 4, 1, 1)])
@pytest.mark.parametrize("eps", [1e-5, 0.3])
@pytest.mark.parametrize("momentum", [0.1, 0.6, 1.0])
def test_every_number_agrees_with_torchs_over_many_batches(shape, eps, momentum):
    torch.manual_seed(sum(shape))
    ours, theirs = BatchNorm2d(shape[1], eps, momentum).double(), nn.BatchNorm2d(shape[1], eps, momentum).double()
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.normal_()
    ours.load_state_dict(theirs.state_dict())
    for step in range(6):
        x = (torch.randn(shape, dtype=torch.float64) * 3 + step).requires_grad_()
        weights = torch.randn(shape, dtype=torch.float64)
        for module in (ours, theirs):
            module.train(step != 4)
        out, expected = ours(x), theirs(x)
        torch.testing.assert_close(out, expected)
        gradients, expected_gradients = (
            torch.autograd.grad((y * weights).sum(), [x, *module.parameters()])
            for y, module in ((out, ours), (expected, theirs))
        )
        torch.testing.assert_close(gradients, expected_gradients)
        assert ours.state_dict().keys() == theirs.state_dict().keys()
        for name, tensor in theirs.state_dict().items():
            torch.testing.assert_close(ours.state_dict()[name], tensor)


def test_statistics_by_hand():
    norm = BatchNorm2d(1, momentum=0.5)
    norm(torch.tensor([1.0, 3.0]).reshape(2, 1, 1, 1))
    assert norm.running_mean.tolist() == [1.0]  # half of 0 and half of 2
    assert norm.running_var.tolist() == [1.5]  # half of 1 and half of 2, the unbiased variance
    assert norm.num_batches_tracked == 1


def test_running_statistics_are_moved_in_place_and_hold_no_graph():
    norm = BatchNorm2d(2)
    before = norm.running_mean
    norm(torch.randn(3, 2, 4, 5, requires_grad=True))
    assert norm.running_mean is before
    assert not norm.running_var.requires_grad


def test_images_of_other_channels_are_refused():
    with pytest.raises(ShapeError, match="images must be batch x channel x height x width, with 5 as channel"):
        BatchNorm2d(5)(torch.zeros(2, 4, 3, 3))


def test_a_single_value_for_each_channel_is_refused_in_training_mode_alone():
    norm = BatchNorm2d(3)
    with pytest.raises(ShapeError, match=r"must have two values or more: got an input of shape \(1, 3, 1, 1\)"):
        norm(torch.zeros(1, 3, 1, 1))
    assert norm.num_batches_tracked == 0
    assert norm.eval()(torch.zeros(1, 3, 1, 1)).shape == (1, 3, 1, 1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ((0,), "num_features must be at least 1: got 0"),
        ((2, -0.1), "eps must be at least 0: got -0.1"),
        ((2, 0.1, 1.5), "momentum must be between 0 and 1: got 1.5"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        BatchNorm2d(*settings)


def test_it_says_what_it_is():
    assert repr(BatchNorm2d(7)) == "BatchNorm2d(7, eps=1e-05, momentum=0.1)"
