"""Our configs as transformers' config.json, and what neither side can express."""

import json
import re
from collections.abc import Callable
from dataclasses import fields

import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st

from arena_lib.errors import ConfigError
from arena_lib.transformer.fast.attention_only import AttentionOnlyConfig
from arena_lib.transformer.fast.gpt2 import GPT2Config
from arena_lib.transformer.fast.llama import LinearScaling, Llama3Scaling, LlamaConfig
from arena_lib.transformer.fast.model import Transformer
from arena_lib.transformer.huggingface import build
from arena_lib.transformer.huggingface_config import (
    FIXED,
    GPT2_DEFAULTS,
    GPT2_FIXED,
    HARMLESS,
    LLAMA_DEFAULTS,
    LLAMA_FIXED,
    config_from_huggingface,
    huggingface_config,
)


@pytest.mark.parametrize("form", ["gpt2", "llama", "attention_only"])
def test_configs_round_trip(form: str, make_random: Callable[..., Transformer]) -> None:
    model = make_random(form, init_range=0.07)
    config = huggingface_config(model)
    assert config["dtype"] == "float64"
    assert config_from_huggingface(config) == model.cfg


def test_a_tokenizers_special_tokens_are_written(make_random: Callable[..., Transformer]) -> None:
    class WithEnd:
        bos_token_id, eos_token_id = 3, 4

    model = make_random("llama")
    assert huggingface_config(model)["eos_token_id"] is None
    model.tokenizer = WithEnd()
    config = huggingface_config(model)
    assert (config["bos_token_id"], config["eos_token_id"]) == (3, 4)


def test_what_a_config_leaves_out_has_transformers_defaults() -> None:
    for defaults, config in [(GPT2_DEFAULTS, transformers.GPT2Config), (LLAMA_DEFAULTS, transformers.LlamaConfig)]:
        theirs = {field.name: field.default for field in fields(config)} | {"rope_theta": config.default_theta}
        assert {name: theirs[name] for name in defaults if name != "initializer_range"} | {
            "initializer_range": config().initializer_range
        } == defaults
    assert config_from_huggingface({"model_type": "gpt2"}) == GPT2Config(
        d_model=768, d_vocab=50257, n_ctx=1024, n_layers=12, n_heads=12, d_head=64, d_mlp=3072, tie_embeddings=True
    )
    assert config_from_huggingface({"model_type": "llama", "num_key_value_heads": None, "head_dim": None}) == (
        LlamaConfig(
            d_model=4096,
            d_vocab=32000,
            n_ctx=2048,
            n_layers=32,
            n_heads=32,
            n_kv_heads=32,
            d_head=128,
            d_mlp=11008,
            rms_norm_eps=1e-6,
            rope_theta=1e4,
            tie_embeddings=False,
        )
    )


def test_fields_are_sorted_into_one_list_each() -> None:
    for defaults, fixed in [(GPT2_DEFAULTS, GPT2_FIXED), (LLAMA_DEFAULTS, LLAMA_FIXED)]:
        assert not defaults.keys() & fixed.keys()
        assert not (defaults.keys() | fixed.keys()) & HARMLESS
        assert FIXED.items() <= fixed.items()


def test_rope_theta_is_read_where_older_versions_wrote_it(make_random: Callable[..., Transformer]) -> None:
    config = huggingface_config(make_random("llama"))
    del config["rope_parameters"]
    assert config_from_huggingface(config).rope_theta == 50.0
    del config["rope_theta"]
    assert config_from_huggingface(config).rope_theta == 10000.0


@pytest.mark.parametrize(
    ("form", "name", "value"),
    [
        ("gpt2", "activation_function", "relu"),
        ("gpt2", "scale_attn_weights", False),
        ("gpt2", "scale_attn_by_inverse_layer_idx", True),
        ("gpt2", "add_cross_attention", True),
        ("llama", "hidden_act", "gelu"),
        ("llama", "attention_bias", True),
        ("llama", "mlp_bias", True),
        ("llama", "rope_interleaved", True),
        ("llama", "quantization_config", {"bits": 4}),
        ("gpt2", "pruned_heads", {"0": [1]}),
        ("gpt2", "model_type", "bert"),
    ],
)
def test_what_our_forms_do_not_compute_is_refused(
    form: str, name: str, value: object, make_random: Callable[..., Transformer]
) -> None:
    config = huggingface_config(make_random(form))
    config_from_huggingface(config)
    with pytest.raises(ConfigError, match=rf"{name} must be .*: got {re.escape(repr(value))}"):
        config_from_huggingface(config | {name: value})


@pytest.mark.parametrize("form", ["gpt2", "llama", "attention_only"])
@pytest.mark.parametrize("field", ["use_qk_norm", "sliding_window", "attn_logit_softcapping", "auto_map"])
def test_a_field_that_nobody_knows_is_refused_unless_it_is_null(
    form: str, field: str, make_random: Callable[..., Transformer]
) -> None:
    config = huggingface_config(make_random(form))
    assert config_from_huggingface(config | {field: None}) == config_from_huggingface(config)
    for value in (4, False, 0.0, {}):
        with pytest.raises(ConfigError, match=rf"must be known here.*: got {field} = {re.escape(repr(value))}"):
            config_from_huggingface(config | {field: value})


@pytest.mark.parametrize(
    ("form", "name", "value", "kind"),
    [
        ("gpt2", "n_layer", None, "a whole number"),
        ("gpt2", "n_inner", 2.5, "a whole number"),
        ("gpt2", "tie_word_embeddings", "false", "true or false"),
        ("llama", "hidden_size", True, "a whole number"),
        ("llama", "rms_norm_eps", "1e-5", "a number"),
        ("llama", "rope_theta", None, "a number"),
        ("attention_only", "n_ctx", "11", "a whole number"),
    ],
)
def test_a_value_of_another_kind_is_refused(
    form: str, name: str, value: object, kind: str, make_random: Callable[..., Transformer]
) -> None:
    config = huggingface_config(make_random(form))
    with pytest.raises(ConfigError, match=f"{name} must be {kind}: got {value!r}"):
        config_from_huggingface(config | {name: value})


def test_sizes_that_cannot_work_are_refused() -> None:
    for config in ({"model_type": "gpt2", "n_head": 0}, {"model_type": "llama", "num_attention_heads": 0}):
        with pytest.raises(ConfigError, match="n_heads must be a whole number of at least 1: got 0"):
            config_from_huggingface(config)


def test_gpt2_fields_have_other_names_too(make_random: Callable[..., Transformer]) -> None:
    config = {"model_type": "gpt2", "n_ctx": 9}
    assert config_from_huggingface(config).n_ctx == 9
    assert config_from_huggingface(config | {"n_positions": 7}).n_ctx == 7
    assert config_from_huggingface({"model_type": "gpt2", "hidden_size": 24}).d_model == 24
    with pytest.raises(ConfigError, match=r"hidden_size must be one of \(12,\): got 24"):
        config_from_huggingface({"model_type": "gpt2", "n_embd": 12, "hidden_size": 24})


def test_models_that_transformers_cannot_express_are_refused() -> None:
    uneven = GPT2Config(d_model=10, d_vocab=37, n_ctx=8, n_layers=1, n_heads=3, d_head=7, d_mlp=9)
    with pytest.raises(ConfigError, match=r"needs n_heads \* d_head == d_model: got 3 \* 7 and 10"):
        huggingface_config(build(uneven))
    model = build(GPT2Config(d_model=21, d_vocab=37, n_ctx=8, n_layers=1, n_heads=3, d_head=7, d_mlp=9))
    with torch.no_grad():
        model.unembed.b_U[2] = -0.25
    with pytest.raises(ConfigError, match=r"so b_U must be zero: got up to 0\.25"):
        huggingface_config(model)
    odd = LlamaConfig(d_model=10, d_vocab=37, n_ctx=8, n_layers=1, n_heads=4, n_kv_heads=2, d_head=6, d_mlp=9)
    with pytest.raises(ConfigError, match="d_model to be a multiple of n_heads: got 10 and 4"):
        huggingface_config(build(odd))


# -- random configs ----------------------------------------------------------------------------

SIZE = st.integers(1, 9)
SIZES = {"d_vocab": SIZE, "n_ctx": SIZE, "n_layers": st.integers(0, 2)}
NUMBER = st.floats(1e-7, 99.0)
SHARED = SIZES | {"init_range": st.floats(0.0, 1.0), "tie_embeddings": st.booleans(), "d_mlp": SIZE}
SCALINGS = st.one_of(
    st.none(),
    st.builds(LinearScaling, factor=NUMBER),
    st.builds(
        Llama3Scaling,
        factor=NUMBER,
        low_freq_factor=st.floats(0.1, 2.0),
        high_freq_factor=st.floats(2.5, 9.0),
        pretrained_n_ctx=SIZE,
    ),
)
CONFIGS = st.one_of(
    st.tuples(SIZE, SIZE).flatmap(
        lambda heads: st.builds(
            GPT2Config,
            n_heads=st.just(heads[0]),
            d_head=st.just(heads[1]),
            d_model=st.just(heads[0] * heads[1]),
            layer_norm_eps=NUMBER,
            **SHARED,
        )
    ),
    st.tuples(SIZE, st.integers(1, 3), st.integers(1, 3)).flatmap(
        lambda heads: st.builds(
            LlamaConfig,
            n_kv_heads=st.just(heads[1]),
            n_heads=st.just(heads[1] * heads[2]),
            d_model=st.just(heads[0] * heads[1] * heads[2]),
            d_head=st.sampled_from([2, 4, 10]),
            rms_norm_eps=NUMBER,
            rope_theta=NUMBER,
            rope_scaling=SCALINGS,
            **SHARED,
        )
    ),
    st.builds(
        AttentionOnlyConfig, d_model=SIZE, n_heads=SIZE, d_head=SIZE, layer_norm_eps=NUMBER, init_range=NUMBER, **SIZES
    ),
)


@given(CONFIGS)
@settings(max_examples=60, deadline=None)
def test_any_config_round_trips_through_a_file_and_through_transformers(
    cfg: GPT2Config | LlamaConfig | AttentionOnlyConfig,
) -> None:
    config = huggingface_config(build(cfg))
    assert config_from_huggingface(json.loads(json.dumps(config))) == cfg
    if not isinstance(cfg, AttentionOnlyConfig):
        kind = transformers.GPT2Config if isinstance(cfg, GPT2Config) else transformers.LlamaConfig
        assert config_from_huggingface(kind(**config).to_dict()) == cfg
