import pytest
import torch
from torch import nn

from arena_lib.errors import ConfigError
from arena_lib.fundamentals.resnets import BlockGroup, ResidualBlock


@pytest.mark.parametrize(("in_feats", "out_feats", "stride"), [(4, 4, 1), (3, 5, 1), (4, 4, 2), (2, 6, 2)])
def test_a_block_is_the_sum_of_its_two_ways(in_feats, out_feats, stride):
    block = ResidualBlock(in_feats, out_feats, stride)
    x = torch.randn(3, in_feats, 7, 6)
    left = nn.Sequential(block.conv1, block.bn1, nn.ReLU(), block.conv2, block.bn2)(x)
    right = block.downsample(x) if block.downsample is not None else x
    torch.testing.assert_close(block(x), torch.relu(left + right))
    assert (block.downsample is None) == (stride == 1 and in_feats == out_feats)


def test_a_block_whose_left_way_gives_nothing_passes_on_what_is_above_zero():
    block = ResidualBlock(4, 4)
    nn.init.zeros_(block.bn2.weight)
    x = torch.randn(2, 4, 5, 5)
    torch.testing.assert_close(block(x), torch.relu(x))


def test_a_group_changes_channels_and_size_once():
    group = BlockGroup(3, 4, 6, 2)
    assert [block.conv1.in_channels for block in group] == [4, 6, 6]
    assert [block.conv1.stride for block in group] == [2, 1, 1]
    assert group(torch.zeros(2, 4, 9, 8)).shape == (2, 6, 5, 4)


def test_a_group_without_blocks_is_refused():
    with pytest.raises(ConfigError, match="n_blocks must be at least 1: got 0"):
        BlockGroup(0, 4, 4)
