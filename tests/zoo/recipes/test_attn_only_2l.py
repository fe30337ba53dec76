import torch

from arena_lib.zoo.recipes import attn_only_2l


def test_the_first_layer_of_attn_only_starts_looking_one_token_back_and_is_held() -> None:
    model = attn_only_2l.make_model()
    tokens = torch.randint(257, model.cfg.d_vocab, (2, 20), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        pattern = model.run_with_cache(tokens)[1]["pattern", 0]
    back = pattern.diagonal(offset=-1, dim1=-2, dim2=-1)
    assert back.mean() > 0.5
    attn_only_2l.freeze_first_layer(model, is_frozen=True)
    assert not any(weight.requires_grad for weight in model.blocks[0].parameters())
    assert not model.pos_embed.W_pos.requires_grad
    assert all(weight.requires_grad for weight in model.blocks[1].attn.parameters())
    attn_only_2l.freeze_first_layer(model, is_frozen=False)
    assert all(weight.requires_grad for weight in model.blocks[0].parameters())


def test_a_step_takes_each_wave_to_the_next() -> None:
    waves, step = attn_only_2l.make_waves(7, 10)
    torch.testing.assert_close(waves[:-1] @ step, waves[1:], rtol=0, atol=1e-5)
    assert (waves @ waves.T).diagonal().min() > 4 * (waves @ waves.T).fill_diagonal_(0).abs().max()
