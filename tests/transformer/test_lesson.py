import dataclasses

import pytest
import torch
import torch.nn.functional as F
from transformers import GPT2Config, GPT2LMHeadModel

from arena_lib.errors import ConfigError
from arena_lib.transformer import lesson

SIZES = lesson.Config(d_model=12, d_vocab=17, n_ctx=11, n_layers=2, n_heads=3, d_head=5, d_mlp=20, layer_norm_eps=0.1)


def make(module_class, cfg=SIZES, seed=0):
    """A module in float64 whose parameters are all random, biases and gains included."""
    torch.manual_seed(seed)
    module = module_class(cfg).double()
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, mean=0.1, std=0.7)
    return module


def residual(seed=1, batch=2, seq=7):
    generator = torch.Generator().manual_seed(seed)
    return 0.5 + torch.randn(batch, seq, SIZES.d_model, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("name", ["d_model", "d_vocab", "n_ctx", "n_heads", "d_head", "d_mlp"])
@pytest.mark.parametrize("value", [0, -2, True])
def test_config_rejects_sizes_that_are_not_positive_whole_numbers(name, value):
    with pytest.raises(
        ConfigError, match=rf"^Config.{name} must be a whole number of at least 1: got {value}\. Pass {name}=1 or more"
    ):
        lesson.Config(**{name: value})


def test_config_rejects_negative_layers_and_wrong_scales_but_allows_zero_layers():
    with pytest.raises(ConfigError, match="n_layers must be a whole number of at least 0: got -1"):
        lesson.Config(n_layers=-1)
    with pytest.raises(ConfigError, match="layer_norm_eps must be finite and above 0: got 0"):
        lesson.Config(layer_norm_eps=0.0)
    with pytest.raises(ConfigError, match=r"init_range must be finite and at least 0: got -0\.1"):
        lesson.Config(init_range=-0.1)
    with pytest.raises(ConfigError, match="init_range must be finite and at least 0: got inf"):
        lesson.Config(init_range=float("inf"))
    assert lesson.Config(n_layers=0, init_range=0.0).n_layers == 0


def test_config_defaults_are_gpt2_small():
    assert dataclasses.asdict(lesson.Config()) == {
        "d_model": 768,
        "d_vocab": 50257,
        "n_ctx": 1024,
        "n_layers": 12,
        "n_heads": 12,
        "d_head": 64,
        "d_mlp": 3072,
        "layer_norm_eps": 1e-5,
        "init_range": 0.02,
    }


def test_config_takes_its_fields_by_name_only():
    with pytest.raises(TypeError):
        lesson.Config(12)


def test_causal_mask_hides_later_keys_and_nothing_else():
    scores = torch.randn(2, 3, 4, 4)
    before = scores.clone()
    masked = lesson.causal_mask(scores)
    for query in range(4):
        assert torch.equal(masked[:, :, query, : query + 1], scores[:, :, query, : query + 1])
        assert torch.all(masked[:, :, query, query + 1 :] == -torch.inf)
    assert torch.equal(scores, before)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_causal_mask_keeps_the_dtype(dtype):
    assert lesson.causal_mask(torch.ones(1, 2, 3, 3, dtype=dtype)).dtype == dtype


def test_causal_mask_is_made_where_the_scores_are():
    assert lesson.causal_mask(torch.ones(1, 2, 3, 3, device="meta")).device.type == "meta"


def test_layer_norm_agrees_with_torch_where_eps_matters():
    norm = make(lesson.LayerNorm)
    expected = F.layer_norm(residual(), (SIZES.d_model,), norm.w, norm.b, eps=0.1)
    torch.testing.assert_close(norm(residual()), expected, rtol=0, atol=1e-12)


def test_layer_norm_of_a_constant_vector_is_its_bias():
    norm = make(lesson.LayerNorm)
    constant = torch.full((1, 2, SIZES.d_model), 3.0, dtype=torch.float64)
    torch.testing.assert_close(norm(constant), norm.b.expand(1, 2, -1))


def test_embed_looks_up_rows():
    embed = make(lesson.Embed)
    tokens = torch.tensor([[3, 16, 0], [5, 5, 1]])
    assert torch.equal(embed(tokens)[1, 2], embed.W_E[1])
    assert torch.equal(embed(tokens)[0, 1], embed.W_E[16])
    assert embed(tokens).shape == (2, 3, SIZES.d_model)


def test_pos_embed_depends_on_positions_alone():
    pos_embed = make(lesson.PosEmbed)
    result = pos_embed(torch.tensor([[3, 16, 0], [5, 5, 1]]))
    assert result.shape == (2, 3, SIZES.d_model)
    assert torch.equal(result[0], pos_embed.W_pos[:3])
    assert torch.equal(result[1], pos_embed.W_pos[:3])


def test_attention_agrees_with_torch_head_by_head():
    attn, x = make(lesson.Attention), residual()
    expected = attn.b_O.expand_as(x)
    for head_idx in range(SIZES.n_heads):
        q, k, v = (
            x @ getattr(attn, f"W_{letter}")[head_idx] + getattr(attn, f"b_{letter}")[head_idx] for letter in "QKV"
        )
        expected = expected + F.scaled_dot_product_attention(q, k, v, is_causal=True) @ attn.W_O[head_idx]
    torch.testing.assert_close(attn(x), expected, rtol=0, atol=1e-10)


def test_attention_masks_with_its_own_method():
    attn, x = make(lesson.Attention), residual(batch=1)
    attn.apply_causal_mask = lambda attn_scores: attn_scores
    is_seen = (attn(x) != make(lesson.Attention)(x)).any(dim=-1)
    assert is_seen[:, :-1].all()
    assert not is_seen[:, -1].any()


def test_apply_causal_mask_is_causal_mask():
    scores = torch.randn(1, 3, 4, 4, dtype=torch.float64)
    assert torch.equal(make(lesson.Attention).apply_causal_mask(scores), lesson.causal_mask(scores))


def test_mlp_follows_its_formula():
    mlp, x = make(lesson.MLP), residual()
    hidden = x @ mlp.W_in + mlp.b_in
    gelu = hidden / 2 * (1 + torch.tanh((2 / torch.pi) ** 0.5 * (hidden + 0.044715 * hidden**3)))
    torch.testing.assert_close(mlp(x), gelu @ mlp.W_out + mlp.b_out, rtol=0, atol=1e-11)


def test_block_adds_each_part_to_the_stream():
    block, x = make(lesson.TransformerBlock), residual()
    resid_mid = x + block.attn(block.ln1(x))
    assert torch.equal(block(x), resid_mid + block.mlp(block.ln2(resid_mid)))


def test_unembed_is_affine():
    unembed, x = make(lesson.Unembed), residual()
    torch.testing.assert_close(unembed(x), x @ unembed.W_U + unembed.b_U, rtol=0, atol=1e-12)


def test_later_tokens_do_not_change_earlier_logits():
    model = make(lesson.DemoTransformer)
    tokens = torch.tensor([[1, 2, 3, 4, 5]])
    changed = torch.tensor([[1, 2, 3, 9, 5]])
    is_equal = torch.isclose(model(tokens), model(changed), rtol=0, atol=1e-12).all(dim=-1)
    assert is_equal.tolist() == [[True, True, True, False, False]]


def test_parameters_have_the_names_and_shapes_that_weights_are_copied_by():
    cfg = SIZES
    block = {
        "ln1.w": (cfg.d_model,),
        "ln1.b": (cfg.d_model,),
        "attn.W_Q": (cfg.n_heads, cfg.d_model, cfg.d_head),
        "attn.W_K": (cfg.n_heads, cfg.d_model, cfg.d_head),
        "attn.W_V": (cfg.n_heads, cfg.d_model, cfg.d_head),
        "attn.W_O": (cfg.n_heads, cfg.d_head, cfg.d_model),
        "attn.b_Q": (cfg.n_heads, cfg.d_head),
        "attn.b_K": (cfg.n_heads, cfg.d_head),
        "attn.b_V": (cfg.n_heads, cfg.d_head),
        "attn.b_O": (cfg.d_model,),
        "ln2.w": (cfg.d_model,),
        "ln2.b": (cfg.d_model,),
        "mlp.W_in": (cfg.d_model, cfg.d_mlp),
        "mlp.b_in": (cfg.d_mlp,),
        "mlp.W_out": (cfg.d_mlp, cfg.d_model),
        "mlp.b_out": (cfg.d_model,),
    }
    expected = {
        "embed.W_E": (cfg.d_vocab, cfg.d_model),
        "pos_embed.W_pos": (cfg.n_ctx, cfg.d_model),
        "ln_final.w": (cfg.d_model,),
        "ln_final.b": (cfg.d_model,),
        "unembed.W_U": (cfg.d_model, cfg.d_vocab),
        "unembed.b_U": (cfg.d_vocab,),
    }
    expected |= {
        f"blocks.{layer_idx}.{name}": shape for layer_idx in range(cfg.n_layers) for name, shape in block.items()
    }
    state = lesson.DemoTransformer(cfg).state_dict()
    assert {name: tuple(tensor.shape) for name, tensor in state.items()} == expected


def test_weights_start_normal_biases_zero_and_gains_one():
    torch.manual_seed(0)
    cfg = lesson.Config(d_model=60, d_vocab=70, n_ctx=50, n_layers=1, n_heads=4, d_head=20, d_mlp=80, init_range=0.3)
    for name, parameter in lesson.DemoTransformer(cfg).named_parameters():
        letter = name.split(".")[-1][0]
        if letter == "W":
            assert parameter.std().item() == pytest.approx(0.3, rel=0.08), name
            assert abs(parameter.mean().item()) < 0.03, name
        else:
            assert torch.all(parameter == (1.0 if letter == "w" else 0.0)), name


def to_gpt2(model):
    """The same model as a GPT2LMHeadModel: heads side by side, q, k and v in one weight."""
    cfg = model.cfg
    theirs = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=cfg.d_vocab,
            n_positions=cfg.n_ctx,
            n_embd=cfg.d_model,
            n_layer=cfg.n_layers,
            n_head=cfg.n_heads,
            n_inner=cfg.d_mlp,
            layer_norm_epsilon=cfg.layer_norm_eps,
            tie_word_embeddings=False,
            bos_token_id=None,
            eos_token_id=None,
        )
    ).double()
    ours = model.state_dict()
    state = {
        "transformer.wte.weight": ours["embed.W_E"],
        "transformer.wpe.weight": ours["pos_embed.W_pos"],
        "transformer.ln_f.weight": ours["ln_final.w"],
        "transformer.ln_f.bias": ours["ln_final.b"],
        "lm_head.weight": ours["unembed.W_U"].T,
    }
    for layer_idx in range(cfg.n_layers):
        here, there = f"blocks.{layer_idx}", f"transformer.h.{layer_idx}"
        qkv = [ours[f"{here}.attn.W_{letter}"].movedim(0, 1).flatten(1) for letter in "QKV"]
        state |= {
            f"{there}.attn.c_attn.weight": torch.cat(qkv, dim=1),
            f"{there}.attn.c_attn.bias": torch.cat([ours[f"{here}.attn.b_{letter}"].flatten() for letter in "QKV"]),
            f"{there}.attn.c_proj.weight": ours[f"{here}.attn.W_O"].flatten(0, 1),
            f"{there}.attn.c_proj.bias": ours[f"{here}.attn.b_O"],
            f"{there}.mlp.c_fc.weight": ours[f"{here}.mlp.W_in"],
            f"{there}.mlp.c_fc.bias": ours[f"{here}.mlp.b_in"],
            f"{there}.mlp.c_proj.weight": ours[f"{here}.mlp.W_out"],
            f"{there}.mlp.c_proj.bias": ours[f"{here}.mlp.b_out"],
        }
        for ln, their_ln in [("ln1", "ln_1"), ("ln2", "ln_2")]:
            state |= {
                f"{there}.{their_ln}.weight": ours[f"{here}.{ln}.w"],
                f"{there}.{their_ln}.bias": ours[f"{here}.{ln}.b"],
            }
    theirs.load_state_dict(state, strict=True)
    return theirs.eval()


@pytest.mark.parametrize(
    ("n_layers", "n_heads", "d_head", "d_mlp", "seq"), [(1, 1, 6, 10, 1), (2, 3, 4, 20, 7), (3, 5, 2, 33, 11)]
)
def test_logits_agree_with_transformers_in_float64(n_layers, n_heads, d_head, d_mlp, seq):
    cfg = lesson.Config(
        d_model=n_heads * d_head,
        d_vocab=17,
        n_ctx=11,
        n_layers=n_layers,
        n_heads=n_heads,
        d_head=d_head,
        d_mlp=d_mlp,
        layer_norm_eps=1e-3,
    )
    model = make(lesson.DemoTransformer, cfg)
    torch.nn.init.zeros_(model.unembed.b_U)
    tokens = torch.randint(cfg.d_vocab, (2, seq), generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        torch.testing.assert_close(model(tokens), to_gpt2(model)(tokens).logits, rtol=0, atol=1e-8)
