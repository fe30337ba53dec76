"""SAEs in SAELens's format: `cfg.json` and `sae_weights.safetensors` in a folder.

What we save, SAELens loads, and the other way round, with equal latents and reconstructions. Which variant it is and how
it was trained is kept in the metadata, so that `load_sae` gives back what `save_sae` got.

Shapes:  as each variant's weights
Raises:  CheckpointError for files that cannot be read or written, for fields that change the function and that no variant
         of ours has, for unknown fields and weights, and for another variant than was asked for.
Source:  SAELens 6.54.12, the files that its `save_model`, `save_inference_model` and `load_from_disk` write and read.
Differs: transcoders with TopK or gates, which SAELens doesn't have, are written under names of the same pattern
         ("topk_transcoder"); SAELens refuses those.
"""

import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from arena_lib.core.files import write_atomically
from arena_lib.errors import CheckpointError, ConfigError
from arena_lib.saes.autoencoders.base import SAE
from arena_lib.saes.autoencoders.batch_topk import BatchTopKSAE
from arena_lib.saes.autoencoders.jumprelu import JumpReLUSAE
from arena_lib.saes.formats.saelens_fields import OURS, VARIANTS, check_fields, make_config, name_architecture
from arena_lib.saes.formats.weights import take_weights, to_log_threshold

CONFIG_FILE, WEIGHTS_FILE = "cfg.json", "sae_weights.safetensors"
SAELENS_VERSION = "6.54.12"
"""The version whose layout is written; without one, SAELens takes a file for one of before version 6."""

Variant = TypeVar("Variant", bound=SAE)


def save_sae(sae: SAE, folder: str | os.PathLike[str]) -> Path:
    """Write the SAE into `folder`, which is made if need be, and return the folder.

    BatchTopK and Matryoshka autoencoders are written as what they are in use: JumpReLU with one threshold for all.
    """
    path = Path(folder)
    fields, weights = make_fields(sae), export_weights(sae)
    try:
        path.mkdir(parents=True, exist_ok=True)
        write_atomically(path / WEIGHTS_FILE, safetensors.torch.save(weights))
        write_atomically(path / CONFIG_FILE, json.dumps(fields, indent=2).encode())
    except OSError as error:
        raise CheckpointError(
            f"{path} must be a folder that can be written: {error}. Choose another folder, or free some space."
        ) from error
    return path


def load_sae(folder: str | os.PathLike[str], variant: type[Variant] = SAE) -> Variant:  # type: ignore[assignment]
    """The SAE in `folder`, in evaluation mode, on the CPU, in the dtype that its config names.

    `variant` says which one is expected, if another can't be used. SAELens's "standard" comes as `DecoderNormSAE`, whose
    decoder's lengths are free, as they are there. What SAELens doesn't save, such as loss weights, is 0 or its default.
    """
    path = Path(folder)
    fields, tensors = read_fields(path / CONFIG_FILE), read_tensors(path / WEIGHTS_FILE)
    check_fields(fields, path / CONFIG_FILE)
    try:
        variant_class, cfg = make_config(fields)
    except (ConfigError, TypeError, KeyError) as error:
        raise CheckpointError(
            f"{path / CONFIG_FILE} must describe an SAE that can work: {error}. Copy the file again, or correct it."
        ) from error
    if not issubclass(variant_class, variant):
        raise CheckpointError(
            f"the SAE in {path} must be a {variant.__name__}: got a {variant_class.__name__}. Load it without naming a "
            "variant, or give another folder."
        )
    with torch.device("meta"):
        sae = variant_class(cfg)
    check_agreement(sae, fields, path / CONFIG_FILE)
    dtype = getattr(torch, str(fields["dtype"]).removeprefix("torch."))
    weights = import_weights(sae, fields, tensors)
    take_weights(sae, {name: weight.to(dtype) for name, weight in weights.items()}, path / WEIGHTS_FILE)
    return sae.eval()


def make_fields(sae: SAE) -> dict[str, Any]:
    """What `cfg.json` says of an SAE."""
    cfg = sae.cfg
    variant = next(known for known in type(sae).__mro__ if known in VARIANTS)
    architecture = name_architecture(sae)
    own = {"k": cfg.k, "rescale_acts_by_decoder_norm": False} if architecture.startswith("topk") else {}  # type: ignore[attr-defined]
    return {
        "architecture": architecture,
        "d_in": cfg.d_in,
        "d_sae": cfg.d_sae,
        **({} if cfg.d_out is None else {"d_out": cfg.d_out}),
        **own,
        "dtype": str(sae.W_dec.dtype).removeprefix("torch."),
        "device": "cpu",
        "apply_b_dec_to_input": cfg.subtract_b_dec,
        "normalize_activations": "none",
        "reshape_activations": "hook_z" if cfg.hook_name.endswith("hook_z") else "none",
        "metadata": {
            "sae_lens_version": SAELENS_VERSION,
            "model_name": cfg.model_name or None,
            "hook_name": cfg.hook_name or None,
            **({"hook_name_out": cfg.hook_name_out} if cfg.hook_name_out else {}),
            OURS: {"variant": variant.__name__, "config": dataclasses.asdict(cfg)},
        },
    }


@torch.no_grad()
def export_weights(sae: SAE) -> dict[str, Tensor]:
    """An SAE's weights by SAELens's names and with its orientation."""
    weights = dict(sae.state_dict())
    if isinstance(sae, JumpReLUSAE):
        weights["threshold"] = weights.pop("log_threshold").exp()
    if isinstance(sae, BatchTopKSAE):
        weights["threshold"] = weights["threshold"].expand(sae.cfg.d_sae)
    if "W_skip" in weights:
        weights["W_skip"] = weights["W_skip"].T
    return {name: weight.detach().cpu().contiguous().clone() for name, weight in weights.items()}


def import_weights(sae: SAE, fields: Mapping[str, Any], tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """A file's tensors by our names and with our orientation; what they lack or have besides stays as it is."""
    weights = dict(tensors)
    if fields.get("rescale_acts_by_decoder_norm") and {"W_enc", "b_enc", "W_dec"} <= weights.keys():
        # Latents count times their direction's length, and are divided by it again in decoding: so the lengths
        # can move from the decoder to the encoder.
        lengths = weights["W_dec"].norm(dim=-1)
        weights["W_enc"], weights["b_enc"] = weights["W_enc"] * lengths, weights["b_enc"] * lengths
        weights["W_dec"] = weights["W_dec"] / lengths[:, None]
    if "topk_threshold" in weights:
        weights["threshold"] = weights.pop("topk_threshold")
    if isinstance(sae, JumpReLUSAE) and "threshold" in weights:
        weights["log_threshold"] = to_log_threshold(weights.pop("threshold"))
    if isinstance(sae, BatchTopKSAE) and weights.get("threshold", torch.zeros(())).ndim == 1:
        weights["threshold"] = weights["threshold"][0]
    if "W_skip" in weights:
        weights["W_skip"] = weights["W_skip"].T.contiguous()
    return weights


def check_agreement(sae: SAE, fields: Mapping[str, Any], file: Path) -> None:
    """Raise CheckpointError unless our own record of the config says what the rest of the file does."""
    written = make_fields(sae)
    for name in ("d_in", "d_sae", "d_out", "k", "apply_b_dec_to_input"):
        if name in fields and name in written and fields[name] != written[name]:
            raise CheckpointError(
                f"{file} must say the same twice: {name} is {fields[name]!r}, but {written[name]!r} in its metadata "
                f"under {OURS!r}. Correct one of them, or take that entry out."
            )


def read_fields(file: Path) -> dict[str, Any]:
    """What a config file says."""
    try:
        fields = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{file} must be the config of an SAE: {error}. Give the folder that holds {CONFIG_FILE} and {WEIGHTS_FILE}."
        ) from error
    if not isinstance(fields, dict):
        raise CheckpointError(f"{file} must hold an object with fields: got {type(fields).__name__}. Copy it again.")
    return fields


def read_tensors(file: Path) -> dict[str, Tensor]:
    """A safetensors file's tensors."""
    try:
        return safetensors.torch.load_file(file)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"{file} must be a safetensors file: {error}. Copy it again, with {CONFIG_FILE} from the same SAE."
        ) from error
