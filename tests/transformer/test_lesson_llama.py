import dataclasses

import pytest
import torch
import torch.nn.functional as F
from transformers import LlamaConfig as HFLlamaConfig
from transformers import LlamaForCausalLM
from transformers.models.llama.modeling_llama import LlamaRMSNorm

from arena_lib.errors import ConfigError
from arena_lib.transformer import lesson_llama
from arena_lib.transformer.lesson_llama import LlamaConfig

SIZES = LlamaConfig(
    d_model=12,
    d_vocab=19,
    n_ctx=13,
    n_layers=2,
    n_heads=6,
    n_kv_heads=2,
    d_head=4,
    d_mlp=22,
    rms_norm_eps=0.1,
    rope_theta=50.0,
)


def make(module_class, cfg=SIZES, seed=0):
    """A module in float64 whose parameters are all random, gains included."""
    torch.manual_seed(seed)
    module = module_class(cfg).double()
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, mean=0.1, std=0.7)
    return module


def residual(seed=1, batch=2, seq=7):
    generator = torch.Generator().manual_seed(seed)
    return 0.5 + torch.randn(batch, seq, SIZES.d_model, generator=generator, dtype=torch.float64)


def test_config_defaults_are_smollm2():
    assert dataclasses.asdict(LlamaConfig()) == {
        "d_model": 576,
        "d_vocab": 49152,
        "n_ctx": 8192,
        "n_layers": 30,
        "n_heads": 9,
        "n_kv_heads": 3,
        "d_head": 64,
        "d_mlp": 1536,
        "rms_norm_eps": 1e-5,
        "rope_theta": 1e5,
        "init_range": 0.02,
        "tie_embeddings": True,
    }


@pytest.mark.parametrize("name", ["d_model", "d_vocab", "n_ctx", "n_heads", "n_kv_heads", "d_head", "d_mlp"])
def test_config_rejects_sizes_below_one(name):
    with pytest.raises(ConfigError, match=f"LlamaConfig.{name} must be a whole number of at least 1: got 0"):
        LlamaConfig(**{name: 0})


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"n_layers": -1}, "n_layers must be a whole number of at least 0: got -1"),
        ({"rms_norm_eps": 0.0}, "rms_norm_eps must be finite and above 0: got 0.0"),
        ({"rope_theta": -1.0}, "rope_theta must be finite and above 0: got -1.0"),
        ({"init_range": -1.0}, "init_range must be finite and at least 0: got -1.0"),
        (
            {"n_heads": 9, "n_kv_heads": 2},
            "n_kv_heads must divide n_heads: got n_kv_heads=2 and n_heads=9.*n_kv_heads=9",
        ),
        ({"d_head": 7}, "d_head must be even: got 7.*d_head=8 works"),
    ],
)
def test_config_rejects_what_cannot_work(fields, message):
    with pytest.raises(ConfigError, match=message):
        LlamaConfig(**fields)


def test_rotary_angles_by_hand():
    angles = lesson_llama.rotary_angles(torch.tensor([0, 3]), 6, 8.0)
    torch.testing.assert_close(angles, torch.tensor([[0.0, 0.0, 0.0], [3.0, 1.5, 0.75]]))


def test_rotary_angles_are_float32_and_where_the_positions_are():
    torch.set_default_dtype(torch.float64)
    try:
        assert lesson_llama.rotary_angles(torch.tensor([0, 3]), 6, 8.0).dtype == torch.float32
    finally:
        torch.set_default_dtype(torch.float32)
    assert lesson_llama.rotary_angles(torch.arange(3, device="meta"), 6, 8.0).device.type == "meta"


def test_config_takes_its_fields_by_name_only():
    with pytest.raises(TypeError):
        LlamaConfig(12)


def test_rotation_turns_pairs_of_the_two_halves():
    x = torch.tensor([1.0, 2.0, 0.0, 0.0]).reshape(1, 1, 1, 4)
    angles = torch.tensor([[torch.pi / 2, torch.pi]])
    result = lesson_llama.apply_rotary(x, angles).flatten()
    torch.testing.assert_close(result, torch.tensor([0.0, -2.0, 1.0, 0.0]), rtol=0, atol=1e-6)


def test_rotated_dot_products_depend_on_distance_alone():
    generator = torch.Generator().manual_seed(0)
    q, k = torch.randn(2, 1, 1, 1, 8, generator=generator, dtype=torch.float64).unbind()

    def score(q_position, k_position):
        turned = [
            lesson_llama.apply_rotary(x, lesson_llama.rotary_angles(torch.tensor([position]), 8, 30.0).double())
            for x, position in [(q, q_position), (k, k_position)]
        ]
        return (turned[0] * turned[1]).sum()

    torch.testing.assert_close(score(9, 4), score(25, 20), rtol=0, atol=1e-5)
    assert abs(score(9, 4) - score(9, 5)) > 1e-2
    assert abs(score(9, 4) - score(4, 9)) > 1e-2


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_rotation_keeps_dtype_and_norm_of_each_head(dtype):
    x = torch.randn(2, 3, 5, 6).to(dtype)
    turned = lesson_llama.apply_rotary(x, lesson_llama.rotary_angles(torch.arange(3), 6, 20.0))
    assert turned.dtype == dtype
    torch.testing.assert_close(turned.norm(dim=-1), x.norm(dim=-1), rtol=2e-2, atol=1e-2)
    assert torch.equal(turned[:, 0], x[:, 0])


def test_repeat_kv_gives_neighbouring_heads_the_same_copy():
    x = torch.randn(2, 3, 2, 5)
    repeated = lesson_llama.repeat_kv(x, 6)
    assert repeated.shape == (2, 3, 6, 5)
    for head_idx in range(6):
        assert torch.equal(repeated[:, :, head_idx], x[:, :, head_idx // 3])


def test_rms_norm_agrees_with_torch_where_eps_matters():
    norm = make(lesson_llama.RMSNorm)
    expected = F.rms_norm(residual(), (SIZES.d_model,), norm.w, eps=0.1)
    torch.testing.assert_close(norm(residual()), expected, rtol=0, atol=1e-12)


def test_grouped_query_attention_agrees_with_torch_head_by_head():
    attn, x = make(lesson_llama.GroupedQueryAttention), residual()
    angles = lesson_llama.rotary_angles(torch.arange(7), SIZES.d_head, SIZES.rope_theta)
    expected = torch.zeros_like(x)
    for head_idx in range(SIZES.n_heads):
        q, k, v = x @ attn.W_Q[head_idx], x @ attn.W_K[head_idx // 3], x @ attn.W_V[head_idx // 3]
        q, k = (lesson_llama.apply_rotary(turned[:, :, None], angles)[:, :, 0] for turned in (q, k))
        expected = expected + F.scaled_dot_product_attention(q, k, v, is_causal=True) @ attn.W_O[head_idx]
    torch.testing.assert_close(attn(x), expected, rtol=0, atol=1e-10)


def test_gated_mlp_follows_its_formula():
    mlp, x = make(lesson_llama.GatedMLP), residual()
    gate = x @ mlp.W_gate
    expected = (gate * torch.sigmoid(gate) * (x @ mlp.W_in)) @ mlp.W_out
    torch.testing.assert_close(mlp(x), expected, rtol=0, atol=1e-11)


def test_block_adds_each_part_to_the_stream():
    block, x = make(lesson_llama.LlamaBlock), residual()
    resid_mid = x + block.attn(block.ln1(x))
    assert torch.equal(block(x), resid_mid + block.mlp(block.ln2(resid_mid)))


def test_parameters_have_the_names_and_shapes_that_weights_are_copied_by():
    cfg = SIZES
    block = {
        "ln1.w": (cfg.d_model,),
        "attn.W_Q": (cfg.n_heads, cfg.d_model, cfg.d_head),
        "attn.W_K": (cfg.n_kv_heads, cfg.d_model, cfg.d_head),
        "attn.W_V": (cfg.n_kv_heads, cfg.d_model, cfg.d_head),
        "attn.W_O": (cfg.n_heads, cfg.d_head, cfg.d_model),
        "ln2.w": (cfg.d_model,),
        "mlp.W_gate": (cfg.d_model, cfg.d_mlp),
        "mlp.W_in": (cfg.d_model, cfg.d_mlp),
        "mlp.W_out": (cfg.d_mlp, cfg.d_model),
    }
    expected = {"embed.W_E": (cfg.d_vocab, cfg.d_model), "ln_final.w": (cfg.d_model,)}
    expected |= {
        f"blocks.{layer_idx}.{name}": shape for layer_idx in range(cfg.n_layers) for name, shape in block.items()
    }
    tied = lesson_llama.DemoLlama(cfg).state_dict()
    assert {name: tuple(tensor.shape) for name, tensor in tied.items()} == expected
    untied = lesson_llama.DemoLlama(dataclasses.replace(cfg, tie_embeddings=False)).state_dict()
    expected["unembed.W_U"] = (cfg.d_model, cfg.d_vocab)
    assert {name: tuple(tensor.shape) for name, tensor in untied.items()} == expected


def test_weights_start_normal_and_gains_one():
    torch.manual_seed(0)
    cfg = LlamaConfig(
        d_model=60,
        d_vocab=70,
        n_layers=1,
        n_heads=4,
        n_kv_heads=2,
        d_head=30,
        d_mlp=80,
        init_range=0.3,
        tie_embeddings=False,
    )
    for name, parameter in lesson_llama.DemoLlama(cfg).named_parameters():
        if "W_" in name:
            assert parameter.std().item() == pytest.approx(0.3, rel=0.08), name
            assert abs(parameter.mean().item()) < 0.03, name
        else:
            assert torch.all(parameter == 1.0), name


def to_llama(model):
    """The same model as a LlamaForCausalLM, whose norms are kept from rounding to float32."""
    cfg = model.cfg
    theirs = LlamaForCausalLM(
        HFLlamaConfig(
            vocab_size=cfg.d_vocab,
            hidden_size=cfg.d_model,
            intermediate_size=cfg.d_mlp,
            num_hidden_layers=cfg.n_layers,
            num_attention_heads=cfg.n_heads,
            num_key_value_heads=cfg.n_kv_heads,
            head_dim=cfg.d_head,
            max_position_embeddings=cfg.n_ctx,
            rms_norm_eps=cfg.rms_norm_eps,
            rope_parameters={"rope_type": "default", "rope_theta": cfg.rope_theta},
            tie_word_embeddings=cfg.tie_embeddings,
            bos_token_id=None,
            eos_token_id=None,
        )
    )
    rotary = theirs.model.rotary_emb.inv_freq.clone()
    theirs = theirs.double()
    assert torch.equal(theirs.model.rotary_emb.inv_freq.float(), rotary)
    ours = model.state_dict()
    state = {"model.embed_tokens.weight": ours["embed.W_E"], "model.norm.weight": ours["ln_final.w"]}
    state["lm_head.weight"] = ours["embed.W_E"] if cfg.tie_embeddings else ours["unembed.W_U"].T
    for layer_idx in range(cfg.n_layers):
        here, there = f"blocks.{layer_idx}", f"model.layers.{layer_idx}"
        for letter in "QKV":
            by_head = ours[f"{here}.attn.W_{letter}"]
            state[f"{there}.self_attn.{letter.lower()}_proj.weight"] = by_head.movedim(0, 1).flatten(1).T
        state |= {
            f"{there}.self_attn.o_proj.weight": ours[f"{here}.attn.W_O"].flatten(0, 1).T,
            f"{there}.mlp.gate_proj.weight": ours[f"{here}.mlp.W_gate"].T,
            f"{there}.mlp.up_proj.weight": ours[f"{here}.mlp.W_in"].T,
            f"{there}.mlp.down_proj.weight": ours[f"{here}.mlp.W_out"].T,
            f"{there}.input_layernorm.weight": ours[f"{here}.ln1.w"],
            f"{there}.post_attention_layernorm.weight": ours[f"{here}.ln2.w"],
        }
    theirs.load_state_dict(state, strict=True)
    return theirs.eval()


@pytest.mark.parametrize(
    ("n_layers", "n_heads", "n_kv_heads", "d_head", "tie_embeddings", "seq"),
    [(1, 1, 1, 2, True, 1), (2, 6, 2, 4, True, 7), (3, 4, 4, 6, False, 13), (2, 3, 1, 10, False, 5)],
)
def test_logits_agree_with_transformers_in_float64(
    monkeypatch, n_layers, n_heads, n_kv_heads, d_head, tie_embeddings, seq
):
    monkeypatch.setattr(
        LlamaRMSNorm, "forward", lambda norm, x: F.rms_norm(x, x.shape[-1:], norm.weight, norm.variance_epsilon)
    )
    cfg = dataclasses.replace(
        SIZES, n_layers=n_layers, n_heads=n_heads, n_kv_heads=n_kv_heads, d_head=d_head, tie_embeddings=tie_embeddings
    )
    model = make(lesson_llama.DemoLlama, cfg)
    tokens = torch.randint(cfg.d_vocab, (2, seq), generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        torch.testing.assert_close(model(tokens), to_llama(model)(tokens).logits, rtol=0, atol=1e-8)
