"""Every field of transformers' config classes, each way to write rotary positions, and published files.

What is loaded gives transformers' logits, or is refused by the field's name.
"""

import json
from dataclasses import fields
from typing import Any

import pytest
import torch
import transformers

from arena_lib.errors import ConfigError
from arena_lib.transformer.fast.llama import LinearScaling, Llama3Scaling
from arena_lib.transformer.huggingface import from_huggingface
from arena_lib.transformer.huggingface_config import config_from_huggingface

COMMON = {
    "transformers_version": "4.0.0",
    "architectures": ["GPT2Model"],
    "output_hidden_states": True,
    "output_attentions": True,
    "return_dict": False,
    "dtype": "bfloat16",
    "chunk_size_feed_forward": 2,
    "is_encoder_decoder": True,
    "id2label": {0: "a", 1: "b", 2: "c"},
    "label2id": {"a": 0, "b": 1, "c": 2},
    "problem_type": "regression",
    "vocab_size": 41,
    "initializer_range": 0.5,
    "use_cache": False,
    "bos_token_id": 3,
    "eos_token_id": [3, 4],
    "pad_token_id": 5,
    "_name_or_path": "gpt2",
    "model_type": "bert",
}
GPT2 = {"vocab_size": 37, "n_embd": 12, "n_head": 3, "n_layer": 2, "n_positions": 9}
GPT2_CHANGES = COMMON | {
    "n_positions": 8,
    "n_embd": 18,
    "n_layer": 3,
    "n_head": 2,
    "n_inner": 7,
    "activation_function": "relu",
    "resid_pdrop": 0.3,
    "embd_pdrop": 0.3,
    "attn_pdrop": 0.3,
    "layer_norm_epsilon": 0.1,
    "summary_type": "last",
    "summary_use_proj": False,
    "summary_activation": "tanh",
    "summary_proj_to_labels": False,
    "summary_first_dropout": 0.3,
    "scale_attn_weights": False,
    "scale_attn_by_inverse_layer_idx": True,
    "reorder_and_upcast_attn": True,
    "add_cross_attention": True,
    "tie_word_embeddings": False,
}
LLAMA = {
    "vocab_size": 37,
    "hidden_size": 24,
    "intermediate_size": 21,
    "num_hidden_layers": 2,
    "num_attention_heads": 6,
    "num_key_value_heads": 3,
    "max_position_embeddings": 9,
}
LLAMA_CHANGES = COMMON | {
    "hidden_size": 36,
    "intermediate_size": 11,
    "num_hidden_layers": 1,
    "num_attention_heads": 3,
    "num_key_value_heads": 2,
    "hidden_act": "gelu",
    "max_position_embeddings": 8,
    "rms_norm_eps": 0.1,
    "pretraining_tp": 3,
    "tie_word_embeddings": True,
    "rope_parameters": {"rope_type": "linear", "factor": 3.0, "rope_theta": 33.0},
    "attention_bias": True,
    "attention_dropout": 0.3,
    "mlp_bias": True,
    "head_dim": 10,
}


def check_against_transformers(config: Any) -> None:
    kind = transformers.GPT2LMHeadModel if config.model_type == "gpt2" else transformers.LlamaForCausalLM
    theirs = kind(config).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.4)
        tokens = torch.randint(0, 37, (3, 8), generator=generator)
        ours = from_huggingface(theirs)
        theirs.config.return_dict = True  # without it transformers' own pass fails
        torch.testing.assert_close(ours(tokens), theirs(tokens).logits, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", sorted({f.name for f in fields(transformers.GPT2Config)} | GPT2_CHANGES.keys()))
def test_every_field_of_gpt2_is_heeded_or_refused(name: str) -> None:
    check_change(transformers.GPT2Config, GPT2, name, GPT2_CHANGES[name])


@pytest.mark.parametrize("name", sorted({f.name for f in fields(transformers.LlamaConfig)} | LLAMA_CHANGES.keys()))
def test_every_field_of_llama_is_heeded_or_refused(name: str) -> None:
    check_change(transformers.LlamaConfig, LLAMA, name, LLAMA_CHANGES[name])


def check_change(config_class: Any, sizes: dict[str, Any], name: str, value: object) -> None:
    assert config_class(**sizes).to_dict().keys() <= {f.name for f in fields(config_class)} | COMMON.keys()
    config = config_class(**sizes, attn_implementation="eager")
    assert config.to_dict()[name] != value
    if name == "dtype":
        config.dtype = torch.bfloat16
    elif name != "model_type" and name != "transformers_version":
        config = config_class(**sizes | {name: value}, attn_implementation="eager")
    try:
        config_from_huggingface(config.to_dict() | {name: value})
    except ConfigError as error:
        assert str(error).startswith(f"{name} must be one of" if name != "model_type" else "model_type must be")  # noqa: PT017
        return
    check_against_transformers(config)


# -- rotary positions ---------------------------------------------------------------------------

LINEAR = {"factor": 4.0}
LLAMA3 = {"factor": 8.0, "low_freq_factor": 0.3, "high_freq_factor": 1.5}


@pytest.mark.parametrize(
    "rope",
    [
        {"rope_scaling": {"type": "linear", **LINEAR}},
        {"rope_scaling": {"rope_type": "linear", **LINEAR}, "rope_theta": 33.0},
        {"rope_parameters": {"type": "linear", **LINEAR, "rope_theta": 33.0}},
        {"rope_scaling": {"type": "linear", "rope_type": "linear", **LINEAR, "rope_theta": 33.0}, "rope_theta": 5.0},
        {"rope_scaling": {"type": "llama3", **LLAMA3, "original_max_position_embeddings": 4}},
        {"rope_scaling": {"rope_type": "llama3", **LLAMA3}, "rope_theta": 33.0},
        {"rope_parameters": {"rope_type": "llama3", **LLAMA3, "original_max_position_embeddings": 6, "rope_theta": 9}},
        {
            "rope_parameters": {"rope_type": "linear", **LINEAR, "rope_theta": 1e4},
            "rope_scaling": {"type": "linear", **LINEAR},
        },
        {"rope_parameters": {"rope_type": "default", "rope_theta": 33.0}, "rope_theta": 5.0},
        {"rope_scaling": None, "rope_theta": 5.0},
        {"rope_scaling": {"type": "default"}, "rope_theta": 5.0},
    ],
)
def test_scaled_rotations_are_transformers(rope: dict[str, Any]) -> None:
    ours = config_from_huggingface({"model_type": "llama", **LLAMA, **json.loads(json.dumps(rope))})
    config = transformers.LlamaConfig(**LLAMA, **json.loads(json.dumps(rope)))
    assert ours == config_from_huggingface(config.to_dict())
    check_against_transformers(config)


@pytest.mark.parametrize("field", ["rope_scaling", "rope_parameters"])
@pytest.mark.parametrize(
    ("rope", "message"),
    [
        ({"type": "yarn", "factor": 4.0}, "type must be one of .*: got 'yarn'"),
        ({"rope_type": "yarn", "factor": 4.0}, "rope_type must be one of .*: got 'yarn'"),
        ({"type": "dynamic", "factor": 4.0}, "type must be one of .*: got 'dynamic'"),
        ({"rope_type": "longrope", "factor": 4.0}, "rope_type must be one of .*: got 'longrope'"),
        ({"rope_type": None, "factor": 4.0}, "rope_type must be one of .*: got None"),
        (
            {"rope_type": "default", "type": "linear", "factor": 4.0},
            r"type must be one of \('default',\): got 'linear'",
        ),
        ({"rope_type": "linear"}, "factor must be a number: got None"),
        ({"rope_type": "linear", "factor": "4"}, "factor must be a number: got '4'"),
        ({"rope_type": "llama3", "factor": 4.0, "low_freq_factor": 1}, "high_freq_factor must be a number: got None"),
        ({"rope_type": "linear", "factor": 4.0, "mscale": 0.7}, "of the type 'linear' .*: got mscale = 0.7"),
        (
            {"rope_type": "default", "factor": 4.0},
            "of the type 'default' must hold no scaling alone: got factor = 4.0",
        ),
        ({"partial_rotary_factor": 0.5}, r"partial_rotary_factor must be one of \(1.0,\): got 0.5"),
        ({"full_attention": {"rope_type": "linear"}}, "of the type 'default' .*: got full_attention = "),
        (4.0, "must be null or hold names and numbers: got 4.0"),
    ],
)
def test_rotations_that_the_form_does_not_compute_are_refused(field: str, rope: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=rf"{field}.{message}"):
        config_from_huggingface({"model_type": "llama", **LLAMA, field: rope})


def test_rotations_that_contradict_each_other_are_refused() -> None:
    other = {"rope_parameters": {"rope_type": "default", "rope_theta": 1e4}}
    with pytest.raises(
        ConfigError, match=r"rope_scaling and rope_parameters must say the same: got \{'type': 'linear'"
    ):
        config_from_huggingface({"model_type": "llama", **LLAMA, "rope_scaling": {"type": "linear", **LINEAR}, **other})


# -- published files ----------------------------------------------------------------------------

TYPICAL_LLAMA = {
    "architectures": ["LlamaForCausalLM"],
    "attention_bias": False,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "hidden_act": "silu",
    "initializer_range": 0.02,
    "model_type": "llama",
    "pretraining_tp": 1,
    "rms_norm_eps": 1e-05,
    "rope_scaling": None,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
    "transformers_version": "4.42.3",
    "use_cache": True,
}
LLAMA_3 = {"attention_dropout": 0.0, "mlp_bias": False, "bos_token_id": 128000, "rope_theta": 500000.0}
LLAMA_3_ROPE = {
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
    "rope_type": "llama3",
}
PUBLISHED = {
    "gpt2": {
        "activation_function": "gelu_new",
        "architectures": ["GPT2LMHeadModel"],
        "attn_pdrop": 0.1,
        "bos_token_id": 50256,
        "embd_pdrop": 0.1,
        "eos_token_id": 50256,
        "initializer_range": 0.02,
        "layer_norm_epsilon": 1e-05,
        "model_type": "gpt2",
        "n_ctx": 1024,
        "n_embd": 768,
        "n_head": 12,
        "n_layer": 12,
        "n_positions": 1024,
        "resid_pdrop": 0.1,
        "summary_activation": None,
        "summary_first_dropout": 0.1,
        "summary_proj_to_labels": True,
        "summary_type": "cls_index",
        "summary_use_proj": True,
        "task_specific_params": {"text-generation": {"do_sample": True, "max_length": 50}},
        "vocab_size": 50257,
    },
    "llama-7b": {
        "architectures": ["LlamaForCausalLM"],
        "bos_token_id": 1,
        "eos_token_id": 2,
        "hidden_act": "silu",
        "hidden_size": 4096,
        "intermediate_size": 11008,
        "initializer_range": 0.02,
        "max_position_embeddings": 2048,
        "max_sequence_length": 2048,
        "model_type": "llama",
        "num_attention_heads": 32,
        "num_hidden_layers": 32,
        "pad_token_id": 0,
        "rms_norm_eps": 1e-06,
        "tie_word_embeddings": False,
        "torch_dtype": "float16",
        "transformers_version": "4.28.0",
        "use_cache": True,
        "vocab_size": 32000,
    },
    "TinyLlama-1.1B": TYPICAL_LLAMA
    | {
        "hidden_size": 2048,
        "intermediate_size": 5632,
        "max_position_embeddings": 2048,
        "num_attention_heads": 32,
        "num_hidden_layers": 22,
        "num_key_value_heads": 4,
        "rope_theta": 10000.0,
        "vocab_size": 32000,
    },
    "vicuna-7b-v1.5-16k": TYPICAL_LLAMA
    | {
        "_name_or_path": "vicuna-7b-v1.5-16k",
        "hidden_size": 4096,
        "intermediate_size": 11008,
        "max_position_embeddings": 4096,
        "max_sequence_length": 16384,
        "num_attention_heads": 32,
        "num_hidden_layers": 32,
        "num_key_value_heads": 32,
        "pad_token_id": 0,
        "rope_scaling": {"factor": 4.0, "type": "linear"},
        "vocab_size": 32000,
    },
    "Llama-3.1-8B-Instruct": TYPICAL_LLAMA
    | LLAMA_3
    | {
        "eos_token_id": [128001, 128008, 128009],
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "max_position_embeddings": 131072,
        "num_attention_heads": 32,
        "num_hidden_layers": 32,
        "num_key_value_heads": 8,
        "rope_scaling": {"factor": 8.0, **LLAMA_3_ROPE},
        "vocab_size": 128256,
    },
    "Llama-3.2-1B": TYPICAL_LLAMA
    | LLAMA_3
    | {
        "eos_token_id": 128001,
        "head_dim": 64,
        "hidden_size": 2048,
        "intermediate_size": 8192,
        "max_position_embeddings": 131072,
        "num_attention_heads": 32,
        "num_hidden_layers": 16,
        "num_key_value_heads": 8,
        "rope_scaling": {"factor": 32.0, **LLAMA_3_ROPE},
        "tie_word_embeddings": True,
        "vocab_size": 128256,
    },
    "SmolLM2-135M-Instruct": TYPICAL_LLAMA
    | {
        "attention_dropout": 0.0,
        "hidden_size": 576,
        "initializer_range": 0.041666666666666664,
        "intermediate_size": 1536,
        "is_llama_config": True,
        "max_position_embeddings": 8192,
        "mlp_bias": False,
        "num_attention_heads": 9,
        "num_hidden_layers": 30,
        "num_key_value_heads": 3,
        "pad_token_id": 2,
        "rope_interleaved": False,
        "rope_theta": 100000,
        "tie_word_embeddings": True,
        "transformers.js_config": {"kv_cache_dtype": {"q4f16": "float16", "fp16": "float16"}},
        "vocab_size": 49152,
    },
}
SCALED = {
    "vicuna-7b-v1.5-16k": LinearScaling(factor=4.0),
    "Llama-3.1-8B-Instruct": Llama3Scaling(),
    "Llama-3.2-1B": Llama3Scaling(factor=32.0),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_files_are_read_as_transformers_reads_them(name: str) -> None:
    config = json.loads(json.dumps(PUBLISHED[name]))
    kind = transformers.GPT2Config if config["model_type"] == "gpt2" else transformers.LlamaConfig
    ours = config_from_huggingface(config)
    assert ours == config_from_huggingface(kind(**config).to_dict())
    assert getattr(ours, "rope_scaling", None) == SCALED.get(name)
    assert ours.n_heads * ours.d_head == ours.d_model
