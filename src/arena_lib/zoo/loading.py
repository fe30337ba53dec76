"""Models and tokenizers of the zoo, by name, into our code and into other libraries.

Raises:  ZooError for texts, for policies and autoencoders, and for a model that only our code has; what `places.path` raises for a name.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from arena_lib.errors import ZooError
from arena_lib.zoo.cards import POLICY, TEXTS, info, names
from arena_lib.zoo.places import path

if TYPE_CHECKING:
    import torch

    import arena_lib.transformer.fast.model


def load(
    name: str, device: str | torch.device = "cpu", dtype: torch.dtype | None = None
) -> arena_lib.transformer.fast.model.Transformer:
    """Our transformer with the model's weights, its tokenizer attached; float32 unless `dtype` says otherwise."""
    import torch

    from arena_lib.transformer.huggingface import load_pretrained

    return load_pretrained(_model_path(name), dtype=dtype or torch.float32).to(device)


def load_tokenizer(name: str) -> Any:
    """The model's tokenizer, as transformers' class."""
    from arena_lib.transformer import huggingface

    folder = _model_path(name)
    tokenizer = huggingface.load_tokenizer(folder)
    if tokenizer is None:
        raise ZooError(f"{name} must have a tokenizer: {folder} holds none. Load one with transformers.")
    return tokenizer


def load_bridge(name: str, device: str | torch.device = "cpu", dtype: torch.dtype | None = None) -> Any:
    """The model in TransformerLens: a `TransformerBridge` over Hugging Face's code."""
    import torch
    from transformer_lens.model_bridge import TransformerBridge

    folder = _open_elsewhere(name)
    return TransformerBridge.boot_transformers(str(folder), device=str(device), dtype=dtype or torch.float32)


def load_nnsight(name: str, device: str | torch.device = "cpu", dtype: torch.dtype | None = None) -> Any:
    """The model in nnsight: a `TransformersModel` (once called `LanguageModel`) over Hugging Face's code."""
    import torch
    from nnsight import TransformersModel

    folder, dtype = _open_elsewhere(name), dtype or torch.float32
    return TransformersModel(str(folder), task="text-generation", device_map=str(device), dtype=dtype, dispatch=True)


def _open_elsewhere(name: str) -> Path:
    """The folder of a model that other libraries can open."""
    if name in names() and info(name).form == "attention-only":
        raise ZooError(
            f"a model for other libraries must be of GPT-2's or Llama's form: {name!r} is attention-only, "
            f"which only our code has. Use zoo.load({name!r}): it has the same hooks."
        )
    return _model_path(name)


def _model_path(name: str) -> Path:
    """The folder of what is a model."""
    if name in names() and info(name).form == TEXTS:
        raise ZooError(
            f"what is loaded as a model must be one: {name!r} is texts. "
            f"Use zoo.load_dataset with one of {', '.join(info(name).sets)}."
        )
    if name in names() and info(name).form == POLICY:
        raise ZooError(
            f"what is loaded as a language model must be one: {name!r} is an agent's policy. "
            f"Use zoo.load_policy({name!r})."
        )
    if name in names() and (facts := info(name).sae) is not None:
        raise ZooError(
            f"what is loaded as a language model must be one: {name!r} is a sparse autoencoder for {facts.model}. "
            f"Use zoo.load_sae({name!r})."
        )
    return path(name)
