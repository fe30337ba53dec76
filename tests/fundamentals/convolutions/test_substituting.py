import pytest
import torch
from torch import nn

from arena_lib.errors import ConfigError
from arena_lib.fundamentals.convolutions import conv2d, maxpool2d, run_on


@pytest.fixture
def model():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(2, 3, (3, 2), stride=(2, 1), padding=(1, 0)),
        nn.Sequential(nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(3, 4, 2, bias=False)),
        nn.MaxPool2d(3, 1, 1),
    )


def test_a_network_gives_the_same_on_our_functions(model):
    x = torch.randn(5, 2, 12, 9)
    torch.testing.assert_close(run_on(model)(x), model(x))


def test_every_layer_calls_the_functions_that_are_given(model):
    calls = []

    def counted(function):
        return lambda *args: (calls.append(function.__name__), function(*args))[1]

    run_on(model, counted(conv2d), counted(maxpool2d))(torch.randn(1, 2, 12, 9))
    assert calls == ["conv2d", "maxpool2d", "conv2d", "maxpool2d"]


def test_the_model_stays_as_it_is_and_shares_nothing(model):
    copied = run_on(model)
    assert type(model[0]) is nn.Conv2d
    with torch.no_grad():
        copied[0].weight.zero_()
    assert model[0].weight.abs().sum() > 0


def test_a_single_layer_and_a_class_of_ones_own_are_replaced():
    class Conv2d(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight, self.stride, self.padding = nn.Parameter(torch.randn(3, 2, 2, 2)), 2, 1

    mine, x = Conv2d(), torch.randn(1, 2, 5, 6)
    torch.testing.assert_close(run_on(mine)(x), nn.functional.conv2d(x, mine.weight, stride=2, padding=1))
    assert len(list(run_on(mine).parameters())) == 1


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (nn.Conv2d(2, 2, 3, groups=2), "groups=1"),
        (nn.Conv2d(2, 2, 3, dilation=2), r"dilation=\(1, 1\)"),
        (nn.Conv2d(2, 2, 3, padding=1, padding_mode="circular"), "padding_mode='zeros'"),
        (nn.Conv2d(2, 2, 3, padding="same"), "padding must be numbers"),
        (nn.MaxPool2d(2, dilation=2), "dilation=1"),
        (nn.MaxPool2d(2, ceil_mode=True), "ceil_mode=False"),
        (nn.MaxPool2d(2, return_indices=True), "return_indices=False"),
    ],
)
def test_what_a_plain_function_does_not_have_is_refused(layer, message):
    with pytest.raises(ConfigError, match=message):
        run_on(layer)
