"""Models and tokenizers of the zoo, by name, into our code and into other libraries.

A name is a card's (`names()`), or a model of the Hugging Face hub: one with a
slash, `EleutherAI/pythia-70m`, or one of the old short ones, `gpt2`.

Raises:  UnknownNameError for other names; HashError for files that are not the card's;
         FetchError where a model is not here and cannot be had.
Source:  own derivation.
Differs: only safetensors are read from the hub, so models that are there as pickles alone are refused.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from arena_lib.errors import FetchError, UnknownNameError, ZooError
from arena_lib.zoo.cards import TEXTS, Card, info, names
from arena_lib.zoo.fetching import fetched_folder, is_whole, verify_fetched, verify_file

if TYPE_CHECKING:
    import torch

    import arena_lib.transformer.fast.model

WEIGHTS = Path(__file__).parent / "weights"
SHORT_HUB_NAMES = ("gpt2", "gpt2-medium", "gpt2-large", "gpt2-xl", "distilgpt2")
HUB_FILES = ("*config.json", "model*.safetensors*", "tokenizer*", "vocab*", "merges.txt", "special_tokens_map.json")


def is_available(name: str) -> bool:
    """Say whether the model or data set of this card is on this machine, whole."""
    card = info(name)
    return is_whole(card) if card.source == "fetched" else (WEIGHTS / name / "model.safetensors").exists()


def path(name: str) -> Path:
    """The model's folder in Hugging Face format, or the data set's of CSV files; its hashes checked."""
    if is_hub_name(name):
        return _download_from_hub(name)
    card = _find_card(name)
    if card.source == "fetched":
        verify_fetched(card)
        return fetched_folder(name)
    advice = "Reinstall arena-lib (in a checkout: git checkout src/arena_lib/zoo/weights)."
    verify_file(WEIGHTS / name / "model.safetensors", card.sha256, advice)
    return WEIGHTS / name


def load(
    name: str, device: str | torch.device = "cpu", dtype: torch.dtype | None = None
) -> arena_lib.transformer.fast.model.Transformer:
    """Our transformer with the model's weights, its tokenizer attached; float32 unless `dtype` says otherwise."""
    import torch

    from arena_lib.transformer.huggingface import load_pretrained

    model = load_pretrained(_model_path(name), dtype=dtype or torch.float32).to(device)
    model.tokenizer = load_tokenizer(name)
    return model


def load_tokenizer(name: str) -> Any:
    """The model's tokenizer, as transformers' class."""
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    folder = _model_path(name)
    # AutoTokenizer looks up the model's kind, and warns of one that it doesn't know: our attention-only form.
    kind = PreTrainedTokenizerFast if folder.parent == WEIGHTS else AutoTokenizer
    return kind.from_pretrained(folder)


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
    return path(name)


def is_hub_name(name: str) -> bool:
    """Say whether a name without a card can be one of the hub's."""
    return name not in names() and ("/" in name or name in SHORT_HUB_NAMES)


def _find_card(name: str) -> Card:
    if name not in names():
        raise UnknownNameError("model", name, [*names(), *SHORT_HUB_NAMES])
    return info(name)


def _download_from_hub(name: str) -> Path:
    """The hub's files of a model: from its own cache, or the network."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    try:
        folder = Path(snapshot_download(name, allow_patterns=list(HUB_FILES)))
    except (OSError, HFValidationError) as error:
        models = ", ".join(card for card in names() if info(card).form != TEXTS)
        lines = str(error).strip().splitlines() or ["no reason given"]
        cause = f"{type(error).__name__}: {lines[0][:200].rstrip('.')}"
        raise FetchError(
            f"{name} must be on the Hugging Face hub and within reach: got {cause}. "
            f"Check the name and the network; without a network there are {models}."
        ) from error
    if not list(folder.glob("model*.safetensors")):
        raise ZooError(
            f"{name} must have its weights as safetensors: it has none, and nothing is unpickled here. Pick another."
        )
    return folder
