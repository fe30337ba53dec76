"""config.json of GPT-2 and Llama as transformers writes it, to and from our configs.

Every field of a config is one of four: read (the `*_DEFAULTS`), required to be what our forms compute (`*_FIXED`),
`HARMLESS`, or unknown. An unknown one is refused unless it is null, so that nothing is left out silently.

Raises:  ConfigError for a config or a model that the other side cannot express.
Source:  transformers, models/gpt2/configuration_gpt2.py, models/llama/configuration_llama.py and
         modeling_rope_utils.py (fields and their defaults).
Differs: dropout rates are written as 0. The attention-only form, which transformers does not have,
         is written with a model_type of ours and the fields of its own config. Where two fields of a
         config contradict each other, transformers takes one of them, and we refuse both.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from arena_lib.errors import ConfigError
from arena_lib.transformer.fast.attention_only import AttentionOnlyConfig
from arena_lib.transformer.fast.gpt2 import GPT2, GPT2Config
from arena_lib.transformer.fast.llama import LinearScaling, Llama, Llama3Scaling, LlamaConfig
from arena_lib.transformer.fast.model import Transformer

ATTENTION_ONLY = "arena_attention_only"
SPECIAL_TOKENS = ("bos_token_id", "eos_token_id", "pad_token_id")

Fields = Mapping[str, Any]

GPT2_DEFAULTS: Fields = {
    "vocab_size": 50257,
    "n_positions": 1024,
    "n_embd": 768,
    "n_layer": 12,
    "n_head": 12,
    "n_inner": None,
    "layer_norm_epsilon": 1e-5,
    "initializer_range": 0.02,
    "tie_word_embeddings": True,
}
"""The fields of GPT-2's config that are read, with the values that transformers gives a missing one."""

GPT2_ALIASES = {
    "hidden_size": "n_embd",
    "max_position_embeddings": "n_positions",
    "num_attention_heads": "n_head",
    "num_hidden_layers": "n_layer",
}
"""Other names of the same fields, as transformers knows them."""

LLAMA_DEFAULTS: Fields = {
    "vocab_size": 32000,
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": None,
    "head_dim": None,
    "max_position_embeddings": 2048,
    "rms_norm_eps": 1e-6,
    "rope_theta": 1e4,
    "initializer_range": 0.02,
    "tie_word_embeddings": False,
}
"""The same for Llama, whose rotary positions are also in one of `ROPE_FIELDS`."""

ROPE_FIELDS = ("rope_scaling", "rope_parameters")
"""Where older versions of transformers and newer ones describe rotary positions."""

ROPE_TYPES: Mapping[str, tuple[str, ...]] = {
    "default": (),
    "linear": ("factor",),
    "llama3": ("factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"),
}
"""The scalings of rotary positions that Llama's form computes, and the numbers that each one needs."""

FIXED: dict[str, tuple[Any, ...]] = {
    "add_cross_attention": (False,),
    "is_encoder_decoder": (False,),
    "pruned_heads": ({}, None),
    "quantization_config": (None,),
}
"""Fields that change what a model computes, each with the values under which it computes what our forms do."""

GPT2_FIXED = FIXED | {
    "activation_function": ("gelu_new", "gelu_pytorch_tanh"),
    "scale_attn_weights": (True,),
    "scale_attn_by_inverse_layer_idx": (False,),
    "n_special": (0, None),
}

LLAMA_FIXED = FIXED | {
    "hidden_act": ("silu", "swish"),
    "attention_bias": (False,),
    "mlp_bias": (False,),
    "partial_rotary_factor": (1.0, None),
    "rope_interleaved": (False, None),
    "use_sliding_window": (False, None),
}

HARMLESS = frozenset(
    " ".join(
        (
            # what the file is
            "model_type architectures transformers_version _name_or_path name_or_path _commit_hash",
            "dtype torch_dtype is_llama_config unsloth_version unsloth_fixed transformers.js_config",
            # special tokens, and how the tokenizer is used
            "bos_token_id eos_token_id pad_token_id unk_token_id sep_token_id cls_token_id mask_token_id",
            "eos_token_ids decoder_start_token_id tokenizer_class prefix predict_special_tokens",
            # training: dropout works in training alone, and our forms have none
            "attention_dropout resid_pdrop embd_pdrop attn_pdrop gradient_checkpointing pretraining_tp",
            # how the same is computed, and in which containers it is returned
            "use_cache attn_implementation _attn_implementation _attn_implementation_autoset torchscript",
            "_flash_attn_2_enabled _experts_implementation experts_implementation reorder_and_upcast_attn",
            "chunk_size_feed_forward use_bfloat16 tf_legacy_loss output_hidden_states output_attentions",
            "output_past return_dict use_return_dict tie_last_hidden_states is_decoder tie_encoder_decoder",
            # lengths that are given in other fields too
            "n_ctx max_sequence_length",
            # heads for other tasks, whose weights would be refused
            "summary_type summary_use_proj summary_activation summary_proj_to_labels summary_first_dropout",
            "num_labels _num_labels id2label label2id problem_type finetuning_task task_specific_params",
            # generation, which transformers now keeps in a file of its own
            "max_length min_length do_sample early_stopping num_beams num_beam_groups diversity_penalty",
            "temperature top_k top_p typical_p repetition_penalty length_penalty no_repeat_ngram_size",
            "encoder_no_repeat_ngram_size bad_words_ids num_return_sequences output_scores suppress_tokens",
            "begin_suppress_tokens forced_bos_token_id forced_eos_token_id remove_invalid_values",
            "exponential_decay_length_penalty return_dict_in_generate",
        )
    ).split()
)
"""Fields that change nothing of the logits that a model gives in eval mode."""


def huggingface_config(model: Transformer) -> dict[str, Any]:
    """The contents of config.json for this model."""
    if isinstance(model, GPT2):
        config = _gpt2_config(model)
    elif isinstance(model, Llama):
        config = _llama_config(model)
    else:
        config = {"model_type": ATTENTION_ONLY, **asdict(model.cfg)}
    config["dtype"] = str(model.embed.W_E.dtype).removeprefix("torch.")
    ids = {name: getattr(model.tokenizer, name, None) for name in SPECIAL_TOKENS}
    return config | {name: token_id for name, token_id in ids.items() if token_id is not None}


def _gpt2_config(model: GPT2) -> dict[str, Any]:
    cfg = model.cfg
    if cfg.n_heads * cfg.d_head != cfg.d_model:
        raise ConfigError(
            f"transformers' GPT-2 needs n_heads * d_head == d_model: got {cfg.n_heads} * {cfg.d_head} and "
            f"{cfg.d_model}. Such a model stays in our format: save its state_dict."
        )
    if model.unembed.b_U is not None and bool(model.unembed.b_U.any()):
        raise ConfigError(
            f"transformers' GPT-2 has no unembedding bias, so b_U must be zero: got up to "
            f"{float(model.unembed.b_U.abs().max()):.3g}. Set it to zero, or save the state_dict."
        )
    return {
        "model_type": "gpt2",
        "architectures": ["GPT2LMHeadModel"],
        "vocab_size": cfg.d_vocab,
        "n_embd": cfg.d_model,
        "n_inner": cfg.d_mlp,
        "n_layer": cfg.n_layers,
        "n_head": cfg.n_heads,
        "n_positions": cfg.n_ctx,
        "layer_norm_epsilon": cfg.layer_norm_eps,
        "activation_function": "gelu_new",
        "resid_pdrop": 0.0,
        "embd_pdrop": 0.0,
        "attn_pdrop": 0.0,
        "initializer_range": cfg.init_range,
        "tie_word_embeddings": cfg.tie_embeddings,
        "bos_token_id": None,
        "eos_token_id": None,
    }


def _llama_config(model: Llama) -> dict[str, Any]:
    cfg = model.cfg
    if cfg.d_model % cfg.n_heads:
        raise ConfigError(
            f"transformers' Llama needs d_model to be a multiple of n_heads: got {cfg.d_model} and {cfg.n_heads}. "
            "Such a model stays in our format: save its state_dict."
        )
    scaling = _scaling_config(cfg.rope_scaling)
    return {
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "vocab_size": cfg.d_vocab,
        "hidden_size": cfg.d_model,
        "intermediate_size": cfg.d_mlp,
        "num_hidden_layers": cfg.n_layers,
        "num_attention_heads": cfg.n_heads,
        "num_key_value_heads": cfg.n_kv_heads,
        "head_dim": cfg.d_head,
        "max_position_embeddings": cfg.n_ctx,
        "rms_norm_eps": cfg.rms_norm_eps,
        "rope_theta": cfg.rope_theta,
        "rope_parameters": {**scaling, "rope_theta": cfg.rope_theta},
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "attention_dropout": 0.0,
        "initializer_range": cfg.init_range,
        "tie_word_embeddings": cfg.tie_embeddings,
        "bos_token_id": None,
        "eos_token_id": None,
    } | ({"rope_scaling": scaling} if cfg.rope_scaling else {})  # where versions below 5 look for it


def _scaling_config(scaling: LinearScaling | Llama3Scaling | None) -> dict[str, Any]:
    if scaling is None:
        return {"rope_type": "default"}
    if isinstance(scaling, LinearScaling):
        return {"rope_type": "linear", "factor": scaling.factor}
    return {
        "rope_type": "llama3",
        "factor": scaling.factor,
        "low_freq_factor": scaling.low_freq_factor,
        "high_freq_factor": scaling.high_freq_factor,
        "original_max_position_embeddings": scaling.pretrained_n_ctx,
    }


def config_from_huggingface(config: Fields) -> GPT2Config | LlamaConfig | AttentionOnlyConfig:
    """Our config for the contents of a config.json; what our forms do not compute is refused."""
    kind = config.get("model_type")
    if kind == "gpt2":
        return _read_gpt2_config(config)
    if kind == "llama":
        return _read_llama_config(config)
    if kind == ATTENTION_ONLY:
        return AttentionOnlyConfig(**_read_fields(config, asdict(AttentionOnlyConfig()), {}))
    raise ConfigError(
        f"model_type must be 'gpt2', 'llama' or {ATTENTION_ONLY!r}: got {kind!r}. "
        "Models of other families open in transformers or TransformerLens."
    )


def _read_fields(config: Fields, defaults: Fields, fixed: Mapping[str, tuple[Any, ...]]) -> dict[str, Any]:
    """The fields that `defaults` names, with its values where the config has none; all others are checked."""
    for name, value in config.items():
        if name in fixed:
            _require(name, value, fixed[name])
        elif value is not None and name not in defaults and name not in HARMLESS:
            raise ConfigError(
                f"every field of a config must be known here, so that none is left out silently: got {name} = {value!r}. "
                "Open the model in transformers; if the field changes nothing of what the model computes, "
                "take it out of config.json."
            )
    return {name: _read_value(name, config.get(name, default), default) for name, default in defaults.items()}


def _read_value(name: str, value: Any, default: Any) -> Any:
    """The value of a field, if it is of its default's kind: a whole number where that is null, which it may be too."""
    if value is None and default is None:
        return None
    kind = int if default is None else type(default)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not (isinstance(value, bool) if kind is bool else is_number and (kind is float or isinstance(value, int))):
        what = {bool: "true or false", int: "a whole number", float: "a number"}[kind]
        raise ConfigError(f"{name} must be {what}: got {value!r}. Correct it in the config.")
    return kind(value)


def _require(name: str, value: Any, allowed: tuple[Any, ...]) -> None:
    if value not in allowed:
        raise ConfigError(
            f"{name} must be one of {allowed}: got {value!r}. This form computes nothing else; "
            "open the model in transformers."
        )


def _read_gpt2_config(config: Fields) -> GPT2Config:
    if config.get("n_ctx") is not None:  # the length's name in old files, most of which have both
        config = {"n_positions": config["n_ctx"]} | dict(config)
    for alias, name in GPT2_ALIASES.items():
        if alias in config:
            _require(alias, config[alias], (config.get(name, config[alias]),))
            config = {name: config[alias]} | {key: value for key, value in config.items() if key != alias}
    fields = _read_fields(config, GPT2_DEFAULTS, GPT2_FIXED)
    return GPT2Config(
        d_model=fields["n_embd"],
        d_vocab=fields["vocab_size"],
        n_ctx=fields["n_positions"],
        n_layers=fields["n_layer"],
        n_heads=fields["n_head"],
        d_head=fields["n_embd"] // max(fields["n_head"], 1),
        d_mlp=4 * fields["n_embd"] if fields["n_inner"] is None else fields["n_inner"],
        layer_norm_eps=fields["layer_norm_epsilon"],
        init_range=fields["initializer_range"],
        tie_embeddings=fields["tie_word_embeddings"],
    )


def _read_llama_config(config: Fields) -> LlamaConfig:
    fields = _read_fields(
        {name: value for name, value in config.items() if name not in ROPE_FIELDS}, LLAMA_DEFAULTS, LLAMA_FIXED
    )
    n_heads, n_kv_heads, d_head = (fields[n] for n in ("num_attention_heads", "num_key_value_heads", "head_dim"))
    rope_theta, rope_scaling = _read_rope(config, fields)
    return LlamaConfig(
        d_model=fields["hidden_size"],
        d_vocab=fields["vocab_size"],
        n_ctx=fields["max_position_embeddings"],
        n_layers=fields["num_hidden_layers"],
        n_heads=n_heads,
        n_kv_heads=n_heads if n_kv_heads is None else n_kv_heads,
        d_head=fields["hidden_size"] // max(n_heads, 1) if d_head is None else d_head,
        d_mlp=fields["intermediate_size"],
        rms_norm_eps=fields["rms_norm_eps"],
        rope_theta=rope_theta,
        rope_scaling=rope_scaling,
        init_range=fields["initializer_range"],
        tie_embeddings=fields["tie_word_embeddings"],
    )


Rope = tuple[float, LinearScaling | Llama3Scaling | None]


def _read_rope(config: Fields, fields: Fields) -> Rope:
    """The base of the rotary frequencies, and their scaling."""
    ropes = [_read_rope_field(name, config[name], fields) for name in ROPE_FIELDS if config.get(name)]
    if len(ropes) == 2 and ropes[0] != ropes[1]:
        raise ConfigError(
            f"rope_scaling and rope_parameters must say the same: got {config['rope_scaling']!r} and "
            f"{config['rope_parameters']!r}. Take the one that the model was not trained with out of the config."
        )
    return ropes[0] if ropes else (fields["rope_theta"], None)


def _read_rope_field(field: str, rope: Any, fields: Fields) -> Rope:
    if not isinstance(rope, Mapping):
        raise ConfigError(f"{field} must be null or hold names and numbers: got {rope!r}. Correct it in the config.")
    kind = rope.get("rope_type", rope.get("type", "default"))
    for name in [name for name in ("rope_type", "type") if name in rope]:  # the newer name and the older
        _require(f"{field}.{name}", rope[name], tuple(ROPE_TYPES))
        _require(f"{field}.{name}", rope[name], (kind,))
    given = {"rope_theta": fields["rope_theta"], "original_max_position_embeddings": fields["max_position_embeddings"]}
    given |= {name: value for name, value in rope.items() if value is not None}
    _require(f"{field}.partial_rotary_factor", given.pop("partial_rotary_factor", 1.0), (1.0,))
    for name, value in given.items():
        if name not in ("rope_type", "type", "rope_theta", "original_max_position_embeddings", *ROPE_TYPES[kind]):
            raise ConfigError(
                f"{field} of the type {kind!r} must hold {' and '.join(ROPE_TYPES[kind]) or 'no scaling'} alone: "
                f"got {name} = {value!r}. Open the model in transformers."
            )
    numbers = {
        name: _read_value(f"{field}.{name}", given.get(name), 0 if name == "original_max_position_embeddings" else 0.0)
        for name in ("rope_theta", *ROPE_TYPES[kind])
    }
    rope_theta = numbers.pop("rope_theta")
    if kind == "linear":
        return rope_theta, LinearScaling(**numbers)
    if kind == "llama3":
        pretrained_n_ctx = numbers.pop("original_max_position_embeddings")
        return rope_theta, Llama3Scaling(**numbers, pretrained_n_ctx=pretrained_n_ctx)
    return rope_theta, None
