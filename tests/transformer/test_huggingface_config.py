"""Our configs as transformers' config.json, and what neither side can express."""

from collections.abc import Callable

import pytest
import torch

from arena_lib.errors import ConfigError
from arena_lib.transformer.fast.gpt2 import GPT2Config
from arena_lib.transformer.fast.llama import LlamaConfig
from arena_lib.transformer.fast.model import Transformer
from arena_lib.transformer.huggingface import build
from arena_lib.transformer.huggingface_config import config_from_huggingface, huggingface_config


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
    import transformers

    gpt2 = {"model_type": "gpt2", "n_embd": 12, "vocab_size": 37, "n_positions": 9, "n_layer": 2, "n_head": 3}
    ours, theirs = config_from_huggingface(gpt2), transformers.GPT2Config()
    assert (ours.d_mlp, ours.d_head, ours.tie_embeddings) == (48, 4, theirs.tie_word_embeddings)
    assert (ours.layer_norm_eps, ours.init_range) == (theirs.layer_norm_epsilon, theirs.initializer_range)
    llama = {
        "model_type": "llama",
        "hidden_size": 12,
        "vocab_size": 37,
        "max_position_embeddings": 9,
        "num_hidden_layers": 2,
        "num_attention_heads": 3,
        "intermediate_size": 21,
    }
    ours, theirs = config_from_huggingface(llama), transformers.LlamaConfig()
    assert (ours.n_kv_heads, ours.d_head, ours.tie_embeddings) == (3, 4, theirs.tie_word_embeddings)
    assert (ours.rms_norm_eps, ours.init_range) == (theirs.rms_norm_eps, theirs.initializer_range)


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
        ("llama", "rope_parameters", {"rope_type": "llama3", "rope_theta": 5e5}),
        ("gpt2", "model_type", "bert"),
    ],
)
def test_what_our_forms_do_not_compute_is_refused(
    form: str, name: str, value: object, make_random: Callable[..., Transformer]
) -> None:
    config = huggingface_config(make_random(form))
    config_from_huggingface(config)
    wanted = value["rope_type"] if isinstance(value, dict) else value
    with pytest.raises(ConfigError, match=rf"must be .*: got {wanted!r}"):
        config_from_huggingface(config | {name: value})


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
