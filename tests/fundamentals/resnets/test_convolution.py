import pytest
import torch
from torch import nn

from arena_lib.errors import ConfigError, ShapeError
from arena_lib.fundamentals.resnets import AveragePool, Conv2d


@pytest.mark.parametrize("settings", [(3, 1, 0), (3, 2, 1), (1, 2, 0), (5, 3, 2), (7, 2, 3)])
def test_conv2d_agrees_with_torchs(settings):
    torch.manual_seed(1)
    ours = Conv2d(3, 5, *settings)
    torch.manual_seed(1)
    theirs = nn.Conv2d(3, 5, *settings, bias=False)
    torch.testing.assert_close(ours.weight, theirs.weight)
    x = torch.randn(2, 3, 11, 8)
    torch.testing.assert_close(ours(x), theirs(x))


def test_conv2d_refuses_what_does_not_fit():
    with pytest.raises(ShapeError, match=r"with 3 as channel: got shape \(2, 4, 5, 5\)"):
        Conv2d(3, 2, 3)(torch.zeros(2, 4, 5, 5))
    with pytest.raises(ConfigError, match="stride must be at least 1: got 0"):
        Conv2d(3, 2, 3, stride=0)
    with pytest.raises(ConfigError, match="padding must be at least 0: got -1"):
        Conv2d(3, 2, 3, padding=-1)


def test_conv2d_says_what_it_is():
    assert repr(Conv2d(3, 8, 5, 2, 1)) == "Conv2d(3, 8, kernel_size=5, stride=2, padding=1)"


def test_average_pool_agrees_with_torchs():
    x = torch.randn(2, 5, 3, 4)
    torch.testing.assert_close(AveragePool()(x), nn.AdaptiveAvgPool2d(1)(x).flatten(1))
