"""Every function on a bridge of every family: right, or refused, as docs/interp_by_family.md says."""

import pytest
import torch
from tests.interp.families import FAMILIES, judge, load_bridge, read_table
from tests.interp.invariants import CHECKS

from arena_lib.errors import ConfigError
from arena_lib.interp.bridge_models import find_window
from arena_lib.interp.hooking import hooked, padded
from arena_lib.interp.patching.edges import all_edges, run_edges
from arena_lib.interp.patching.nodes import Head, MLPInput


@pytest.mark.parametrize("family", FAMILIES)
def test_every_function_is_right_or_refused_as_the_table_says(family):
    assert judge(family) == read_table()[family]


def test_the_table_lists_the_families_and_functions_that_are_tried():
    table = read_table()
    assert set(table) == set(FAMILIES)
    assert all(list(column) == list(CHECKS) for column in table.values())


def test_padded_prompts_longer_than_a_layers_window_are_refused():
    bridge = load_bridge("gemma3")
    mask = torch.tensor([[True] * 12, [False] * 2 + [True] * 10])
    assert find_window(bridge) == 8
    with pytest.raises(ConfigError, match="that some layers of Gemma3ForCausalLM look back by, 8 positions: got 12"):
        padded(bridge, mask)
    tokens = torch.arange(16).unflatten(0, (2, 8))
    run = padded(bridge, mask[:, :8]).run(tokens)
    torch.testing.assert_close(run[1:, 2:], bridge(tokens[1:, 2:]), rtol=1e-4, atol=1e-4)
    assert padded(bridge, mask[:1]).attention_mask is None


def test_a_family_that_does_not_heed_the_mask_is_refused_by_name():
    with pytest.raises(ConfigError, match="a padded prompt must get what it gets alone: got BloomForCausalLM"):
        padded(load_bridge("bloom"), torch.tensor([[True, True], [False, True]]))


def test_in_parallel_blocks_an_mlp_has_no_edge_from_its_own_layers_heads():
    bridge, edge = load_bridge("phi"), (Head(1, 2), MLPInput(1))
    assert hooked(bridge).is_parallel
    assert edge not in all_edges(bridge)
    assert (Head(0, 2), MLPInput(1)) in all_edges(bridge)
    tokens = torch.tensor([[3, 5, 9]])
    with pytest.raises(ConfigError, match="whose block runs attention and MLP side by side"):
        run_edges(bridge, tokens, tokens, [edge])
    assert edge in all_edges(load_bridge("gpt2"))
