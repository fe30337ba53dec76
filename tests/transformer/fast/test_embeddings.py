"""Embedding, unembedding, and what they refuse."""

import pytest
import torch

from arena_lib.errors import TokenError
from arena_lib.transformer.activations.hooks import HookPoint
from arena_lib.transformer.fast.embeddings import Embed, PosEmbed, TiedUnembed, Unembed


def make_embed() -> Embed:
    embed = Embed(5, 3)
    with torch.no_grad():
        embed.W_E.copy_(torch.arange(15.0).reshape(5, 3))
    return embed


def test_each_token_gets_its_row() -> None:
    rows = make_embed()(torch.tensor([[4, 0]]))
    assert torch.equal(rows, torch.tensor([[[12.0, 13.0, 14.0], [0.0, 1.0, 2.0]]]))


@pytest.mark.parametrize("wrong", [-1, 5])
def test_ids_outside_the_vocabulary_are_refused(wrong: int) -> None:
    message = rf"token ids must be between 0 and 4 \(d_vocab - 1\): got {wrong}\. Use the tokenizer"
    with pytest.raises(TokenError, match=message):
        make_embed()(torch.tensor([[4, wrong]]))


def test_no_tokens_are_no_vectors() -> None:
    assert make_embed()(torch.zeros(2, 0, dtype=torch.int64)).shape == (2, 0, 3)


def test_positions_start_where_asked() -> None:
    pos_embed = PosEmbed(6, 2)
    with torch.no_grad():
        pos_embed.W_pos.copy_(torch.arange(12.0).reshape(6, 2))
    assert torch.equal(pos_embed(slice(2, 5)), torch.arange(4.0, 10.0).reshape(3, 2))


def test_positions_get_memory_of_their_own_only_for_hooks_that_may_write() -> None:
    pos_embed, point = PosEmbed(6, 2), HookPoint()
    torch.nn.init.normal_(pos_embed.W_pos)
    assert pos_embed.by_example(slice(1, 4), 4, point).shape == (3, 2)
    point.sink, point.is_idle = {}, False
    assert pos_embed.by_example(slice(1, 4), 4, point).stride(0) == 0

    def zero_first(tensor: torch.Tensor, hook: HookPoint) -> None:
        tensor[0] = 0.0

    point.attach(zero_first, "fwd")
    by_example = pos_embed.by_example(slice(1, 4), 4, point)
    assert by_example.shape == (4, 3, 2)
    assert by_example[0].abs().sum() == 0
    torch.testing.assert_close(by_example[1], pos_embed(slice(1, 4)))


def test_unembedding_is_a_product_and_a_bias() -> None:
    unembed = Unembed(2, 3, has_bias=True)
    with torch.no_grad():
        unembed.W_U.copy_(torch.tensor([[1.0, 2.0, 3.0], [0.0, 1.0, 0.0]]))
        unembed.b_U.copy_(torch.tensor([0.0, 0.0, 7.0]))
    assert torch.equal(unembed(torch.tensor([[[2.0, 5.0]]])), torch.tensor([[[2.0, 9.0, 13.0]]]))


def test_tied_unembedding_has_no_weight_of_its_own() -> None:
    embed = make_embed()
    unembed = TiedUnembed(embed, has_bias=False, is_saved=False)
    assert list(unembed.parameters()) == []
    assert list(unembed.state_dict()) == []
    x = torch.randn(2, 4, 3)
    torch.testing.assert_close(unembed(x), x @ embed.W_E.T)


def test_tied_unembedding_saves_a_copy_and_wants_it_equal() -> None:
    embed = make_embed()
    unembed = TiedUnembed(embed, has_bias=True, is_saved=True)
    state = unembed.state_dict()
    assert torch.equal(state["W_U"], embed.W_E.T)
    assert state["W_U"].data_ptr() != embed.W_E.data_ptr()
    unembed.load_state_dict(state)
    unembed.load_state_dict({"b_U": torch.ones(5)})
    assert torch.equal(unembed.b_U, torch.ones(5))
    with pytest.raises(RuntimeError, match=r"W_U is not embed\.W_E transposed"):
        unembed.load_state_dict(state | {"W_U": state["W_U"] + 1})
    with pytest.raises(RuntimeError, match=r"W_U is not embed\.W_E transposed"):
        unembed.load_state_dict(state | {"W_U": state["W_U"][:, :2]})
