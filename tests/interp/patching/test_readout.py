"""Where a metric reads, and that no more is computed than that."""

import pytest
import torch

from arena_lib.errors import ShapeError
from arena_lib.interp.hooking import hooked
from arena_lib.interp.patching.readout import (
    MAX_TOKENS,
    chunks,
    difference,
    find_positions,
    keep_positions,
    make_readout,
)


def test_chunks_hold_every_patch_and_at_most_so_many_tokens():
    tokens = torch.zeros(3, 7, dtype=torch.long)
    assert list(chunks(range(5), tokens, 42)) == [[0, 1], [2, 3], [4]]
    assert list(chunks("abc", tokens, 1)) == [["a"], ["b"], ["c"]]
    assert [len(chunk) for chunk in chunks(range(200), tokens, None)] == [MAX_TOKENS // 21] * 2 + [200 - 2 * 97]


def test_positions_are_one_for_all_or_one_for_each_prompt(model):
    lm = hooked(model)
    assert find_positions(lm, (3, 7), None) is None
    assert find_positions(lm, (3, 7), -1).tolist() == [6, 6, 6]
    assert find_positions(lm, (3, 7), torch.tensor([0, -7, 5])).tolist() == [0, 0, 5]
    with pytest.raises(ShapeError, match=r"one for each of 3 prompts: got shape \(2,\)"):
        find_positions(lm, (3, 7), torch.tensor([1, 2]))


def test_positions_repeat_for_each_patch_of_the_prompts():
    rows = torch.arange(4 * 5).reshape(4, 5)
    assert keep_positions(rows, torch.tensor([1, 3])).tolist() == [[1], [8], [11], [18]]
    assert keep_positions(rows, None) is rows


def test_caches_of_other_prompts_are_refused_by_name():
    name = "blocks.0.attn.hook_z"
    assert difference({name: torch.ones(2)}, {name: torch.zeros(2)}, name).tolist() == [1, 1]
    with pytest.raises(ShapeError, match=rf"got {name} of shape \(3,\) to patch into one of shape \(2,\)"):
        difference({name: torch.ones(3)}, {name: torch.zeros(2)}, name)


@torch.no_grad()
@pytest.mark.parametrize("read_at", [None, -1, torch.tensor([2, 6, 0])])
def test_every_entrance_gives_the_metric_of_the_whole_run(model, prompts, read_at):
    lm, tokens = hooked(model), prompts[0]
    positions = find_positions(lm, tokens.shape, read_at)

    def metric(logits):
        assert logits.shape[1] == (7 if read_at is None else 1)
        return logits[..., 3].mean()

    expected = metric(keep_positions(model(tokens), positions)).expand(2)
    read = make_readout(lm, tokens, metric, read_at)
    _, cache = lm.run_with_cache(tokens)
    for layer in range(lm.n_layers):
        pre = cache["resid_pre", layer].repeat(2, 1, 1)
        torch.testing.assert_close(read.of_pre(pre, layer), expected)
        mid = pre + cache["attn_out", layer].repeat(2, 1, 1)
        torch.testing.assert_close(read.of_mid(mid, layer), expected)
    final = cache["resid_post", lm.n_layers - 1].repeat(2, 1, 1)
    torch.testing.assert_close(read.of_pre(final, lm.n_layers), expected)
