"""Scores, patterns and fused attention agree with each other and with hand-computed cases."""

import pytest
import torch

from arena_lib.transformer.scores import (
    attention_scores,
    fused_attention,
    future_mask,
    mix_values,
    visible_pairs,
)


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_future_mask_puts_the_last_query_at_the_last_key() -> None:
    expected = torch.tensor([[False, False, True], [False, False, False]])
    assert torch.equal(future_mask(2, 3, torch.device("cpu")), expected)


def test_scores_are_scaled_dot_products_with_the_future_hidden() -> None:
    q = torch.tensor([[[[1.0, 2.0, 0.0, 0.0]], [[0.0, 1.0, 0.0, 1.0]]]])
    k = torch.tensor([[[[3.0, 1.0, 5.0, 5.0]], [[1.0, 4.0, 0.0, 2.0]]]])
    expected = torch.tensor([[[[2.5, -torch.inf], [3.0, 3.0]]]])
    torch.testing.assert_close(attention_scores(q, k), expected)


def test_query_heads_of_a_group_read_the_same_key_head() -> None:
    q, k = draw(1, 3, 6, 4), draw(1, 3, 2, 4, seed=1)
    grouped = attention_scores(q, k)
    for head_idx in range(6):
        alone = attention_scores(q[:, :, [head_idx]], k[:, :, [head_idx // 3]])
        torch.testing.assert_close(grouped[:, [head_idx]], alone)


def test_values_are_averaged_by_the_pattern_of_their_group() -> None:
    pattern = torch.tensor([[[[1.0, 0.0], [0.25, 0.75]], [[1.0, 0.0], [0.5, 0.5]]]])
    v = torch.tensor([[[[4.0]], [[8.0]]]])
    expected = torch.tensor([[[[4.0], [4.0]], [[7.0], [6.0]]]])
    torch.testing.assert_close(mix_values(pattern, v), expected)


@pytest.mark.parametrize(("seq_q", "seq_k"), [(5, 5), (1, 1), (1, 6), (3, 7)])
@pytest.mark.parametrize("n_kv_heads", [1, 2, 4])
def test_fused_attention_equals_softmax_of_scores_times_values(seq_q: int, seq_k: int, n_kv_heads: int) -> None:
    q, k, v = draw(2, seq_q, 4, 3), draw(2, seq_k, n_kv_heads, 3, seed=1), draw(2, seq_k, n_kv_heads, 3, seed=2)
    written_out = mix_values(attention_scores(q, k).softmax(dim=-1), v)
    torch.testing.assert_close(fused_attention(q, k, v), written_out)


def test_real_tokens_see_real_ones_up_to_themselves_and_padding_sees_itself() -> None:
    mask = torch.tensor([[False, True, True, False], [True, True, True, True]])
    first = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 1, 1, 0], [0, 0, 0, 1]]
    assert visible_pairs(mask, 4)[:, 0].int().tolist() == [first, torch.ones(4, 4).tril().int().tolist()]
    assert torch.equal(visible_pairs(mask, 2), visible_pairs(mask, 4)[:, :, 2:])


@pytest.mark.parametrize(("seq_q", "seq_k"), [(5, 5), (1, 6), (3, 7)])
def test_fused_attention_hides_what_the_scores_hide(seq_q: int, seq_k: int) -> None:
    q, k, v = draw(2, seq_q, 4, 6), draw(2, seq_k, 2, 6, seed=1), draw(2, seq_k, 2, 6, seed=2)
    mask = torch.ones(2, seq_k, dtype=torch.bool)
    mask[0, :2] = False
    visible = visible_pairs(mask, seq_q)
    scores = attention_scores(q, k, visible)
    assert torch.equal(scores.isneginf(), ~visible.expand_as(scores))
    torch.testing.assert_close(fused_attention(q, k, v, visible), mix_values(scores.softmax(dim=-1), v))


def test_products_beyond_float16_give_finite_scores():
    q = torch.full((1, 2, 1, 64), 50.0, dtype=torch.float16)
    assert attention_scores(q, q)[0, 0].tolist() == [[20000.0, -torch.inf], [20000.0, 20000.0]]
