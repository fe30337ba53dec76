"""config.json of GPT-2 and Llama as transformers writes it, to and from our configs.

Raises:  ConfigError for a config or a model that the other side cannot express.
Source:  transformers, models/gpt2/configuration_gpt2.py and models/llama/configuration_llama.py.
Differs: dropout rates are written as 0. The attention-only form, which transformers does not have,
         is written with a model_type of ours and the fields of its own config.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from arena_lib.errors import ConfigError
from arena_lib.transformer.fast.attention_only import AttentionOnlyConfig
from arena_lib.transformer.fast.gpt2 import GPT2, GPT2Config
from arena_lib.transformer.fast.llama import Llama, LlamaConfig
from arena_lib.transformer.fast.model import Transformer

ATTENTION_ONLY = "arena_attention_only"
SPECIAL_TOKENS = ("bos_token_id", "eos_token_id", "pad_token_id")


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
        "rope_parameters": {"rope_type": "default", "rope_theta": cfg.rope_theta},
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "attention_dropout": 0.0,
        "initializer_range": cfg.init_range,
        "tie_word_embeddings": cfg.tie_embeddings,
        "bos_token_id": None,
        "eos_token_id": None,
    }


def config_from_huggingface(config: Mapping[str, Any]) -> GPT2Config | LlamaConfig | AttentionOnlyConfig:
    """Our config for the contents of a config.json; what our forms do not compute is refused."""
    kind = config.get("model_type")
    if kind == "gpt2":
        return _read_gpt2_config(config)
    if kind == "llama":
        return _read_llama_config(config)
    if kind == ATTENTION_ONLY:
        known = AttentionOnlyConfig.__dataclass_fields__
        return AttentionOnlyConfig(**{name: value for name, value in config.items() if name in known})
    raise ConfigError(
        f"model_type must be 'gpt2', 'llama' or {ATTENTION_ONLY!r}: got {kind!r}. "
        "Models of other families open in transformers or TransformerLens."
    )


def _require(config: Mapping[str, Any], name: str, allowed: tuple[Any, ...]) -> None:
    value = config.get(name, allowed[0])
    if value not in allowed:
        raise ConfigError(
            f"{name} must be one of {allowed}: got {value!r}. This form computes nothing else; "
            "open the model in transformers."
        )


def _read_gpt2_config(config: Mapping[str, Any]) -> GPT2Config:
    _require(config, "activation_function", ("gelu_new", "gelu_pytorch_tanh"))
    _require(config, "scale_attn_weights", (True,))
    _require(config, "scale_attn_by_inverse_layer_idx", (False,))
    _require(config, "add_cross_attention", (False,))
    return GPT2Config(
        d_model=config["n_embd"],
        d_vocab=config["vocab_size"],
        n_ctx=config["n_positions"],
        n_layers=config["n_layer"],
        n_heads=config["n_head"],
        d_head=config["n_embd"] // config["n_head"],
        d_mlp=config.get("n_inner") or 4 * config["n_embd"],
        layer_norm_eps=config.get("layer_norm_epsilon", 1e-5),
        init_range=config.get("initializer_range", 0.02),
        tie_embeddings=config.get("tie_word_embeddings", True),
    )


def _read_llama_config(config: Mapping[str, Any]) -> LlamaConfig:
    _require(config, "hidden_act", ("silu",))
    _require(config, "attention_bias", (False,))
    _require(config, "mlp_bias", (False,))
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    _require(rope, "rope_type", ("default",))
    n_heads = config["num_attention_heads"]
    return LlamaConfig(
        d_model=config["hidden_size"],
        d_vocab=config["vocab_size"],
        n_ctx=config["max_position_embeddings"],
        n_layers=config["num_hidden_layers"],
        n_heads=n_heads,
        n_kv_heads=config.get("num_key_value_heads") or n_heads,
        d_head=config.get("head_dim") or config["hidden_size"] // n_heads,
        d_mlp=config["intermediate_size"],
        rms_norm_eps=config.get("rms_norm_eps", 1e-6),
        rope_theta=float(rope.get("rope_theta") or config.get("rope_theta", 1e4)),
        init_range=config.get("initializer_range", 0.02),
        tie_embeddings=config.get("tie_word_embeddings", False),
    )
