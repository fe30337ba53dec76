"""GPT-2 and Llama weights to and from Hugging Face's format: config.json and model.safetensors.

`huggingface_views` names each weight as transformers does and shows it in transformers' shape, as
a writable view; exporting reads the views and importing writes them, so the two cannot disagree.
The attention-only form has no counterpart in transformers: its folder holds the same two files,
with our own names in them, and only this module opens it. A tokenizer of transformers goes along.

Shapes:  the weights of the forms, W_QKV "d_model d_qkv" split and transposed where transformers does.
Raises:  ConfigError for a config or a model that the other side cannot express; CheckpointError for
         a folder without the files, or whose weights do not fit its config.
Source:  transformers, models/gpt2/modeling_gpt2.py and models/llama/modeling_llama.py (names, shapes).
Differs: dropout rates are written as 0; nothing is ever unpickled or fetched. A config that ties the embeddings
         beside weights with another unembedding gives an untied model, as in transformers 5. Weights of several
         dtypes give a model of the dtype that holds them all without rounding.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import reduce
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from arena_lib.errors import CheckpointError, ConfigError
from arena_lib.transformer.fast.attention_only import AttentionOnly, AttentionOnlyConfig
from arena_lib.transformer.fast.gpt2 import GPT2, GPT2Config
from arena_lib.transformer.fast.llama import Llama, LlamaConfig
from arena_lib.transformer.fast.model import Transformer
from arena_lib.transformer.huggingface_config import ATTENTION_ONLY, config_from_huggingface, huggingface_config

Config = GPT2Config | LlamaConfig | AttentionOnlyConfig

BUFFERS = (".attn.bias", ".attn.masked_bias", ".rotary_emb.inv_freq")
"""Masks and frequencies that older checkpoints carry among their weights."""

PREFIXES: Mapping[type, str] = {GPT2Config: "transformer.", LlamaConfig: "model."}
"""What transformers puts before the names of all weights but the unembedding; older files leave it out."""

EMBEDDINGS = ("transformer.wte.weight", "model.embed_tokens.weight")
HEAD = "lm_head.weight"
DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)
TOKENIZER_FILES = ("tokenizer.json", "vocab.json", "tokenizer.model")


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
    return views if model.cfg.tie_embeddings else views | {HEAD: model.unembed.W_U.T}


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
    return views if model.cfg.tie_embeddings else views | {HEAD: model.unembed.W_U.T}


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


def build(cfg: Config) -> Transformer:
    """The fast form that a config belongs to, its weights drawn with seed 0 (torch's own state stays as it was)."""
    generator = torch.Generator().manual_seed(0)
    if isinstance(cfg, GPT2Config):
        return GPT2(cfg, generator=generator)
    if isinstance(cfg, LlamaConfig):
        return Llama(cfg, generator=generator)
    return AttentionOnly(cfg, generator=generator)


def _name_weights(cfg: Config, weights: Mapping[str, Tensor], source: str) -> dict[str, Tensor]:
    """The weights by their full names, without buffers."""
    prefix = PREFIXES.get(type(cfg), "")
    named: dict[str, Tensor] = {}
    for name, weight in weights.items():
        full = name if name.startswith((prefix, "lm_head.")) else prefix + name
        if full.endswith(BUFFERS):
            continue
        if full in named:
            raise CheckpointError(f"each weight must be there once: got {full} twice in {source}. Remove one of them.")
        if weight.dtype not in DTYPES:
            raise CheckpointError(
                f"weights must be floats of 16, 32 or 64 bits: got {full} as {weight.dtype} in {source}. "
                "Quantized models open in transformers."
            )
        named[full] = weight
    if not named:
        raise CheckpointError(f"a model must have weights: got none in {source}. Save it again.")
    return named


def _decide_tie(cfg: Config, weights: dict[str, Tensor]) -> Config:
    """Take the unembedding out of `weights` if it repeats the embedding that the config ties it to; else untie."""
    if not isinstance(cfg, GPT2Config | LlamaConfig) or not cfg.tie_embeddings or HEAD not in weights:
        return cfg
    head = weights[HEAD]
    embedding = next((weights[name] for name in EMBEDDINGS if name in weights), None)
    if embedding is None or embedding.shape != head.shape or not bool((embedding == head).all()):
        return replace(cfg, tie_embeddings=False)
    del weights[HEAD]
    return cfg


@torch.no_grad()
def _load(
    config: Mapping[str, Any],
    weights: Mapping[str, Tensor],
    source: str,
    *,
    dtype: torch.dtype | None = None,
    device: torch.device | None = None,
) -> Transformer:
    """The model of a config and its weights, in their dtype unless another is given."""
    cfg = config_from_huggingface(config)
    given = _name_weights(cfg, weights, source)
    cfg = _decide_tie(cfg, given)
    with torch.device("meta"):  # the shapes alone: a wrong config shouldn't ask for memory first
        wanted = {name: weight.shape for name, weight in _views(build(cfg)).items()}
    wrong = sorted(wanted.keys() ^ given.keys()) or [name for name in wanted if wanted[name] != given[name].shape]
    if wrong:
        raise CheckpointError(
            f"the weights must be those that the config describes: got a mismatch in {wrong[:3]} "
            f"({len(wrong)} in all) in {source}. Check that config.json belongs to these weights."
        )
    stored_dtype = reduce(torch.promote_types, (weight.dtype for weight in given.values()))
    model = build(cfg).to(dtype=dtype or stored_dtype, device=device)
    if isinstance(model, AttentionOnly):
        model.load_state_dict(given)
    else:
        for name, view in huggingface_views(model).items():
            view.copy_(given[name])
    return model.eval()


def _views(model: Transformer) -> dict[str, Tensor]:
    return dict(model.state_dict()) if isinstance(model, AttentionOnly) else huggingface_views(model)


def save_pretrained(model: Transformer, folder: str | Path, *, dtype: torch.dtype | None = None) -> Path:
    """Write config.json and model.safetensors, which transformers, TransformerLens and nnsight open.

    A tokenizer of transformers is written too; other tokenizers are not.
    """
    from safetensors.torch import save_file

    config, weights = huggingface_config(model), _views(model)
    if dtype is not None:
        config["dtype"] = str(dtype).removeprefix("torch.")
    stored = {name: weight.detach().to("cpu", dtype, copy=True).contiguous() for name, weight in weights.items()}
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    save_file(stored, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    if hasattr(model.tokenizer, "save_pretrained"):
        model.tokenizer.save_pretrained(folder)
    return folder


def load_pretrained(folder: str | Path, *, dtype: torch.dtype | None = None) -> Transformer:
    """Our model of a folder with config.json and safetensors, in eval mode; `dtype` defaults to the stored one.

    A tokenizer that lies in the folder is attached, as `model.tokenizer`.
    """
    folder = Path(folder)
    files = _weight_files(folder)
    if not files or not (folder / "config.json").is_file():
        raise CheckpointError(
            f"a model folder must hold config.json and *.safetensors: got {folder}. "
            "Save one with save_pretrained, or fetch a model with `arena zoo fetch`."
        )
    model = _load(_read_json(folder / "config.json"), _read_weights(files), str(folder), dtype=dtype)
    model.tokenizer = load_tokenizer(folder)
    return model


def _read_json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(f"{file} must be JSON: {error}. Save or fetch the model again.") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{file} must hold names and values: got {content!r}. Save or fetch the model again.")
    return content


def _weight_files(folder: Path) -> list[Path]:
    """The files that hold the weights: one, or those that the index names, or all there are."""
    if (folder / "model.safetensors").is_file():
        return [folder / "model.safetensors"]
    index = folder / "model.safetensors.index.json"
    if not index.is_file():
        return sorted(folder.glob("*.safetensors"))
    files = [folder / name for name in sorted(set(_read_json(index).get("weight_map", {}).values()))]
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        raise CheckpointError(
            f"{folder} must hold every file that {index.name} names: {', '.join(missing)} is not there. "
            "Save or fetch the model again."
        )
    return files


def _read_weights(files: list[Path]) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    weights: dict[str, Tensor] = {}
    for file in files:
        more = load_file(file)
        twice = sorted(weights.keys() & more.keys())
        if twice:
            raise CheckpointError(
                f"each weight must be there once: got {twice[0]} again in {file}. Remove the files of another model."
            )
        weights |= more
    return weights


def load_tokenizer(folder: str | Path) -> Any:
    """The tokenizer in a model folder, as transformers' class; None if there is none."""
    folder = Path(folder)
    if not any((folder / name).is_file() for name in TOKENIZER_FILES):
        return None
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    # AutoTokenizer looks up the model's kind, and warns of one that it doesn't know: our attention-only form.
    is_ours = _read_json(folder / "config.json").get("model_type") == ATTENTION_ONLY
    kind: Any = PreTrainedTokenizerFast if is_ours else AutoTokenizer
    try:
        return kind.from_pretrained(str(folder), local_files_only=True)
    except Exception as error:  # tokenizers raises nothing narrower
        raise CheckpointError(
            f"the tokenizer in {folder} must load: got {type(error).__name__}: {error}. "
            "Without the files tokenizer* and vocab*, the model loads alone."
        ) from error


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
        views[HEAD] = model.embed.W_E
    twin.load_state_dict({name: view.detach() for name, view in views.items()})
    if folder is not None:
        save_pretrained(model, folder)
    return twin.eval()


def from_huggingface(source: str | Path | Any) -> Transformer:
    """Our form of a transformers model, or of a folder in its format; weights are copied, dtype kept."""
    if isinstance(source, str | Path):
        if not Path(source).is_dir():
            raise CheckpointError(
                f"source must be a model of transformers or a folder: got {str(source)!r}, and no such folder is here. "
                "Nothing is fetched: pass AutoModelForCausalLM.from_pretrained(name) of transformers, or use "
                "arena_lib.zoo.load(name)."
            )
        return load_pretrained(source)
    if not hasattr(source, "state_dict") or not hasattr(getattr(source, "config", None), "to_dict"):
        raise ConfigError(
            f"source must be a model of transformers or a folder: got {type(source).__name__}. "
            "Such a model has config.to_dict() and state_dict()."
        )
    weights = source.state_dict()
    device = next(iter(weights.values())).device
    return _load(source.config.to_dict(), weights, type(source).__name__, device=device)
