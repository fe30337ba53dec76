"""What a model with the hook interface gives, and what it refuses."""

import pytest
import torch

from arena_lib.errors import ConfigError, ShapeError, UnknownNameError
from arena_lib.interp.models import HookedLM, check_aligned, check_metric, check_position
from arena_lib.transformer.fast.llama import Llama, LlamaConfig

SIZES = {"d_model": 12, "d_vocab": 19, "n_ctx": 9, "n_layers": 2, "d_head": 6, "d_mlp": 16}


@pytest.fixture(scope="module")
def lm():
    """Four query heads, of which 0 and 1 read key head 0, and 2 and 3 read key head 1."""
    cfg = LlamaConfig(**SIZES, n_heads=4, n_kv_heads=2, init_range=0.5)
    return HookedLM(Llama(cfg, generator=torch.Generator().manual_seed(0)).double().requires_grad_(False))


@pytest.mark.parametrize(("position", "index"), [(0, 0), (6, 6), (-1, 6), (-7, 0)])
def test_a_position_counts_from_the_start_or_from_the_end(position, index):
    assert check_position(position, 7) == index


@pytest.mark.parametrize("position", [7, -8])
def test_a_position_outside_the_sequence_is_refused(position):
    with pytest.raises(ShapeError, match=rf"a position must be between -7 and 6: got {position}"):
        check_position(position, 7)


def test_prompts_align_by_number_and_length():
    tokens = torch.zeros(2, 5, dtype=torch.long)
    check_aligned(tokens, tokens + 1)
    for other in (tokens[:1], tokens[:, :4]):
        with pytest.raises(ShapeError, match="must have the same shape"):
            check_aligned(tokens, other)


def test_a_metric_is_a_tensor_with_one_number_or_one_for_each_prompt():
    assert check_metric(torch.tensor(2.0)) == 2.0
    assert check_metric(torch.ones(3), per_prompt=3).shape == (3,)
    with pytest.raises(ConfigError, match="a metric must return a tensor: got float"):
        check_metric(2.0)
    with pytest.raises(ShapeError, match=r"must return one number: got a tensor of shape \(3,\)"):
        check_metric(torch.ones(3))
    with pytest.raises(ShapeError, match="one number for each of 3 prompts"):
        check_metric(torch.tensor(1.0), per_prompt=3)


def test_heads_that_share_keys_have_the_same(lm):
    shared, own = lm.W_K(1), lm.W_Q(1)
    assert shared.shape == own.shape == (4, 12, 6)
    assert torch.equal(shared[0], shared[1])
    assert torch.equal(shared[2], shared[3])
    assert not torch.equal(shared[1], shared[2])
    assert torch.equal(lm.W_V(0)[::2], lm.model.blocks[0].attn.W_V)
    assert [lm.input_head("k", head) for head in range(4)] == [0, 0, 1, 1]
    assert [lm.input_head("q", head) for head in range(4)] == [0, 1, 2, 3]


def test_a_few_tokens_logits_are_those_of_all(lm):
    resid = torch.randn(2, 3, 12, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    tokens = torch.tensor([[4, 0], [17, 4]])
    expected = torch.stack([lm.unembed(resid)[row][:, tokens[row]] for row in range(2)])
    torch.testing.assert_close(lm.unembed_tokens(resid, tokens), expected)


def test_a_run_may_start_and_stop_at_a_layer(lm):
    tokens = torch.tensor([[1, 2, 3], [4, 5, 6]])
    resid = lm.run(tokens, stop_at_layer=1)
    torch.testing.assert_close(lm.run(resid, start_at_layer=1), lm.run(tokens))
    kept = []
    lm.run_layer(resid, 1, [("blocks.1.attn.hook_z", lambda z, hook: kept.append(z))])
    _, cache = lm.run_with_cache(tokens)
    torch.testing.assert_close(kept[0], cache["z", 1])


def test_what_does_not_exist_is_refused_by_name(lm):
    assert lm.check_heads([(1, 3)]) == [(1, 3)]
    with pytest.raises(UnknownNameError, match=r"no head is called '1\.4'"):
        lm.check_heads([(0, 0), (1, 4)])
    for layer in (-1, 2):
        with pytest.raises(UnknownNameError, match=f"no layer is called '{layer}'"):
            lm.W_Q(layer)
    with pytest.raises(UnknownNameError, match="no hook is called"):
        lm.run(torch.tensor([[1]]), [("blocks.0.hook_resid", lambda resid, hook: resid)])


def test_a_model_without_hooks_is_refused():
    with pytest.raises(ConfigError, match="must have the hook interface: got Linear, which has no run_with_hooks"):
        HookedLM(torch.nn.Linear(2, 3))


def test_a_text_begins_with_the_tokenizers_token(lm):
    with pytest.raises(ConfigError, match="whose tokenizer has no bos_token_id"):
        _ = lm.bos_token_id
