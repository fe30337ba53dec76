import pytest
import torch

from arena_lib.errors import ConfigError, TokenError
from arena_lib.interp.ioi import embed_names, get_copying_scores
from arena_lib.transformer.fast.attention_only import AttentionOnly, AttentionOnlyConfig

NAMES = torch.tensor([5, 2, 9, 14, 7])


def test_scores_agree_with_a_loop_over_names(model):
    k = 4
    scores = get_copying_scores(model, k, NAMES)
    assert scores.shape == (2, 2, 4)
    for layer in (1, 2):
        for head in range(4):
            kv = head // (4 // model.W_V.shape[1])
            hits = torch.zeros(2)
            for name in NAMES:
                stream = model.W_E[name]
                block = model.blocks[0]
                stream = stream + block.mlp(block.ln2(stream[None, None]))[0, 0]
                out = model.blocks[layer].ln1(stream[None, None])[0, 0] @ model.W_V[layer, kv] @ model.W_O[layer, head]
                for row, sign in enumerate((1, -1)):
                    logits = model.unembed(model.ln_final(sign * out[None, None]))[0, 0]
                    hits[row] += int((logits > logits[name]).sum() < k)
            assert torch.allclose(scores[:, layer - 1, head].float(), hits / len(NAMES))


def test_a_model_without_mlps_hands_over_the_embedding_itself():
    model = AttentionOnly(AttentionOnlyConfig(d_model=8, d_vocab=20, n_ctx=6, n_layers=2, n_heads=2, d_head=4))
    assert torch.equal(embed_names(model, NAMES), model.W_E[NAMES])


def test_every_name_is_among_all_tokens(model):
    assert get_copying_scores(model, model.cfg.d_vocab, NAMES).eq(1).all()


def test_what_cannot_work_is_refused(model):
    with pytest.raises(ConfigError, match="got k = 0"):
        get_copying_scores(model, 0, NAMES)
    with pytest.raises(TokenError, match="names must be token ids"):
        get_copying_scores(model, 1, torch.tensor([1000]))
