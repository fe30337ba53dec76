"""GPT-2 and Llama weights to and from Hugging Face's format: config.json and model.safetensors.

`huggingface_views` names each weight as transformers does and shows it in transformers' shape, as
a writable view; exporting reads the views and importing writes them, so the two cannot disagree.
The attention-only form has no counterpart in transformers: its folder holds the same two files,
with our own names in them, and only this module opens it.

Shapes:  the weights of the forms, W_QKV "d_model d_qkv" split and transposed where transformers does.
Raises:  ConfigError for a config or a model that the other side cannot express; CheckpointError for
         a folder without the files, or whose weights do not fit its config.
Source:  transformers, models/gpt2/modeling_gpt2.py and models/llama/modeling_llama.py (names, shapes).
Differs: dropout rates are written as 0; nothing is ever unpickled.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from arena_lib.errors import CheckpointError, ConfigError
from arena_lib.transformer.fast.attention_only import AttentionOnly, AttentionOnlyConfig
from arena_lib.transformer.fast.gpt2 import GPT2, GPT2Config
from arena_lib.transformer.fast.llama import Llama, LlamaConfig
from arena_lib.transformer.fast.model import Transformer
from arena_lib.transformer.huggingface_config import config_from_huggingface, huggingface_config

BUFFERS = (".attn.bias", ".attn.masked_bias", ".rotary_emb.inv_freq")
"""Masks and frequencies that older checkpoints carry among their weights."""


def gpt2_views(model: GPT2) -> dict[str, Tensor]:
    """Each weight under transformers' GPT-2 name; its Conv1D keeps the input axis first, as we do."""
    views: dict[str, Tensor] = {
        "transformer.wte.weight": model.embed.W_E,
        "transformer.wpe.weight": model.pos_embed.W_pos,
    }
    block: Any
    for layer_idx, block in enumerate(model.blocks):
        views |= {
            f"transformer.h.{layer_idx}.{name}": weight
            for name, weight in {
                "ln_1.weight": block.ln1.w,
                "ln_1.bias": block.ln1.b,
                "attn.c_attn.weight": block.attn.W_QKV,
                "attn.c_attn.bias": block.attn.b_QKV,
                "attn.c_proj.weight": block.attn.W_O.flatten(0, 1),
                "attn.c_proj.bias": block.attn.b_O,
                "ln_2.weight": block.ln2.w,
                "ln_2.bias": block.ln2.b,
                "mlp.c_fc.weight": block.mlp.W_in,
                "mlp.c_fc.bias": block.mlp.b_in,
                "mlp.c_proj.weight": block.mlp.W_out,
                "mlp.c_proj.bias": block.mlp.b_out,
            }.items()
        }
    ln_final: Any = model.ln_final
    views |= {"transformer.ln_f.weight": ln_final.w, "transformer.ln_f.bias": ln_final.b}
    return views if model.cfg.tie_embeddings else views | {"lm_head.weight": model.unembed.W_U.T}


def llama_views(model: Llama) -> dict[str, Tensor]:
    """Each weight under transformers' Llama name; its Linear has the output axis first."""
    views: dict[str, Tensor] = {"model.embed_tokens.weight": model.embed.W_E}
    block: Any
    for layer_idx, block in enumerate(model.blocks):
        attn, mlp = block.attn, block.mlp
        d_q, d_kv = attn.n_heads * attn.d_head, attn.n_kv_heads * attn.d_head
        views |= {
            f"model.layers.{layer_idx}.{name}": weight
            for name, weight in {
                "input_layernorm.weight": block.ln1.w,
                "self_attn.q_proj.weight": attn.W_QKV.narrow(1, 0, d_q).T,
                "self_attn.k_proj.weight": attn.W_QKV.narrow(1, d_q, d_kv).T,
                "self_attn.v_proj.weight": attn.W_QKV.narrow(1, d_q + d_kv, d_kv).T,
                "self_attn.o_proj.weight": attn.W_O.flatten(0, 1).T,
                "post_attention_layernorm.weight": block.ln2.w,
                "mlp.gate_proj.weight": mlp.W_gate.T,
                "mlp.up_proj.weight": mlp.W_in.T,
                "mlp.down_proj.weight": mlp.W_out.T,
            }.items()
        }
    views |= {"model.norm.weight": model.ln_final.w}
    return views if model.cfg.tie_embeddings else views | {"lm_head.weight": model.unembed.W_U.T}


def huggingface_views(model: Transformer) -> dict[str, Tensor]:
    """Writable views of the model's weights, with transformers' names and shapes."""
    with torch.no_grad():
        if isinstance(model, GPT2):
            return gpt2_views(model)
        if isinstance(model, Llama):
            return llama_views(model)
    raise ConfigError(
        f"only GPT2 and Llama have a counterpart in transformers: got {type(model).__name__}. "
        "Use save_pretrained and load_pretrained, which keep our own names."
    )


def build(cfg: GPT2Config | LlamaConfig | AttentionOnlyConfig) -> Transformer:
    """The fast form that a config belongs to, its weights drawn with seed 0 (torch's own state stays as it was)."""
    generator = torch.Generator().manual_seed(0)
    if isinstance(cfg, GPT2Config):
        return GPT2(cfg, generator=generator)
    if isinstance(cfg, LlamaConfig):
        return Llama(cfg, generator=generator)
    return AttentionOnly(cfg, generator=generator)


@torch.no_grad()
def _fill(model: Transformer, weights: Mapping[str, Tensor], source: str) -> Transformer:
    if isinstance(model, AttentionOnly):
        model.load_state_dict(weights)
        return model
    views = huggingface_views(model)
    prefix = "transformer." if isinstance(model, GPT2) else "model."
    given = {}
    for name, weight in weights.items():
        full = name if name.startswith((prefix, "lm_head.")) else prefix + name
        if not full.endswith(BUFFERS) and not (full == "lm_head.weight" and model.cfg.tie_embeddings):
            given[full] = weight
    wrong = sorted(views.keys() ^ given.keys()) or [n for n in views if views[n].shape != given[n].shape]
    if wrong:
        raise CheckpointError(
            f"the weights must be those that the config describes: got a mismatch in {wrong[:3]} "
            f"({len(wrong)} in all) in {source}. Check that config.json belongs to these weights."
        )
    for name, view in views.items():
        view.copy_(given[name])
    return model


def save_pretrained(model: Transformer, folder: str | Path, *, dtype: torch.dtype | None = None) -> Path:
    """Write config.json and model.safetensors, which transformers, TransformerLens and nnsight open."""
    from safetensors.torch import save_file

    config = huggingface_config(model)
    weights = model.state_dict() if isinstance(model, AttentionOnly) else huggingface_views(model)
    if dtype is not None:
        config["dtype"] = str(dtype).removeprefix("torch.")
    stored = {name: weight.detach().to("cpu", dtype, copy=True).contiguous() for name, weight in weights.items()}
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    save_file(stored, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    return folder


def load_pretrained(folder: str | Path, *, dtype: torch.dtype | None = None) -> Transformer:
    """Our model of a folder with config.json and safetensors, in eval mode; `dtype` defaults to the stored one."""
    from safetensors.torch import load_file

    folder = Path(folder)
    files = sorted(folder.glob("*.safetensors"))
    if not files or not (folder / "config.json").is_file():
        raise CheckpointError(
            f"a model folder must hold config.json and *.safetensors: got {folder}. "
            "Save one with save_pretrained, or fetch a model with `arena zoo fetch`."
        )
    cfg = config_from_huggingface(json.loads((folder / "config.json").read_text(encoding="utf-8")))
    weights = {name: weight for file in files for name, weight in load_file(file).items()}
    target = dtype or next(iter(weights.values())).dtype
    return _fill(build(cfg).to(target), weights, str(folder)).eval()


def to_huggingface(model: Transformer, folder: str | Path | None = None) -> Any:
    """The same model as transformers' GPT2LMHeadModel or LlamaForCausalLM; also written to `folder` if given."""
    from transformers import GPT2Config as HFGPT2Config
    from transformers import GPT2LMHeadModel, LlamaForCausalLM
    from transformers import LlamaConfig as HFLlamaConfig

    views, config = huggingface_views(model), huggingface_config(model)
    twin: Any
    if isinstance(model, GPT2):
        twin = GPT2LMHeadModel(HFGPT2Config(**config))
    else:
        twin = LlamaForCausalLM(HFLlamaConfig(**config))
    twin = twin.to(dtype=model.embed.W_E.dtype, device=model.embed.W_E.device)
    if model.cfg.tie_embeddings:
        views["lm_head.weight"] = model.embed.W_E
    twin.load_state_dict({name: view.detach() for name, view in views.items()})
    if folder is not None:
        save_pretrained(model, folder)
    return twin.eval()


def from_huggingface(source: str | Path | Any) -> Transformer:
    """Our form of a transformers model, or of a folder in its format; weights are copied, dtype kept."""
    if isinstance(source, str | Path):
        return load_pretrained(source)
    weights = source.state_dict()
    model = build(config_from_huggingface(source.config.to_dict()))
    first = next(iter(weights.values()))
    return _fill(model.to(dtype=first.dtype, device=first.device), weights, type(source).__name__).eval()
