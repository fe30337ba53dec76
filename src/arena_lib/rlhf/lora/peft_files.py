"""Adapters on disk in PEFT's format: `adapter_config.json` and `adapter_model.safetensors` in a folder.

Adapters of our GPT-2 and Llama forms are saved under the names of transformers' models, so that `peft` loads them into the
same model there, and what `peft` trained there loads into ours. What transformers keeps in one weight (GPT-2's queries,
keys and values) has such a name as a whole, our W_QKV; its parts, and weights of other models, keep our names.

Shapes:  lora_A.weight "rank d_in" and lora_B.weight "d_out rank": our A and B, transposed
Raises:  CheckpointError for files that can't be read or written, for adapters of other weights, shapes or ranks, and for
         every field of a config that would change the function and that `Lora` doesn't have.
Source:  peft 0.21.2, the files that its `save_pretrained` and `PeftModel.from_pretrained` write and read.
"""

import json
import os
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from arena_lib.core.files import write_atomically
from arena_lib.errors import CheckpointError, ConfigError
from arena_lib.rlhf.lora.attaching import Adapters, LoraConfig, attach_lora
from arena_lib.rlhf.lora.matrices import Matrix, list_matrices
from arena_lib.transformer.fast.gpt2 import GPT2
from arena_lib.transformer.fast.llama import Llama
from arena_lib.transformer.huggingface import huggingface_views

CONFIG_FILE, WEIGHTS_FILE = "adapter_config.json", "adapter_model.safetensors"
PREFIX = "base_model.model."
"""PEFT puts it before each name."""

HONOURED = ("peft_type", "r", "lora_alpha", "lora_dropout", "use_rslora", "init_lora_weights", "bias")
WITHOUT_EFFECT = (
    "task_type", "auto_mapping", "peft_version", "base_model_name_or_path", "revision", "inference_mode",
    "target_modules", "exclude_modules", "layers_to_transform", "layers_pattern", "fan_in_fan_out", "megatron_config",
    "megatron_core", "qalora_group_size", "runtime_config", "loftq_config", "eva_config", "ensure_weight_tying",
)  # fmt: skip
"""Where adapters came from, how they were first drawn, and which weights have them, which the tensors' names say too."""
LEAVES_WEIGHTS_ALONE = (True, False, "gaussian", "eva", "orthogonal")
"""Ways to draw an adapter's first values that don't change the weight beside it, as the others do."""


def save_adapters(adapters: Adapters, folder: str | os.PathLike[str]) -> Path:
    """Write the adapters into `folder`, which is made if need be, and return the folder."""
    path = Path(folder)
    with adapters.disabled():
        names = peft_names(adapters.model)
    tensors: dict[str, Tensor] = {}
    for name in adapters.matrices:
        lora = adapters[name]
        for key, factor in (("lora_A", lora.A), ("lora_B", lora.B)):
            tensors[f"{PREFIX}{names[name]}.{key}.weight"] = factor.detach().T.cpu().contiguous()
    cfg, config = adapters.cfg, getattr(adapters.model, "config", None)
    fields = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": getattr(config, "_name_or_path", None) or None,
        "r": cfg.rank,
        "lora_alpha": cfg.alpha,
        "lora_dropout": cfg.dropout,
        "bias": "none",
        "fan_in_fan_out": isinstance(adapters.model, GPT2),
        "target_modules": shorten([names[name] for name in adapters.matrices], list(names.values())),
        "inference_mode": True,
    }
    try:
        path.mkdir(parents=True, exist_ok=True)
        write_atomically(path / WEIGHTS_FILE, safetensors.torch.save(tensors, metadata={"format": "pt"}))
        write_atomically(path / CONFIG_FILE, json.dumps(fields, indent=2).encode())
    except OSError as error:
        raise CheckpointError(
            f"{path} must be a folder that can be written: {error}. Choose another folder, or free some space."
        ) from error
    return path


def load_adapters(model: nn.Module, folder: str | os.PathLike[str]) -> Adapters:
    """Attach the adapters in `folder` to the model they were trained beside, in place."""
    path = Path(folder)
    fields, factors = read_fields(path / CONFIG_FILE), read_factors(path / WEIGHTS_FILE)
    rank, alpha = fields.get("r", 8), float(fields.get("lora_alpha", 8))  # PEFT's defaults
    if fields.get("use_rslora"):
        alpha *= rank**0.5  # it divides by the root of the rank (Kalajdzievski 2023, arXiv:2312.03732), we by the rank
    matrices = list_matrices(model)
    by_peft_name = {peft_name: matrices[name] for name, peft_name in peft_names(model).items()}
    for peft_name, pair in factors.items():
        check_fit(peft_name, pair, by_peft_name, rank, path)
    ours = {by_peft_name[peft_name].name: pair for peft_name, pair in factors.items()}
    try:
        cfg = LoraConfig(targets=tuple(ours), rank=rank, alpha=alpha, dropout=float(fields.get("lora_dropout", 0.0)))
    except ConfigError as error:
        raise CheckpointError(f"{path / CONFIG_FILE} must describe adapters that can work: {error}") from error
    adapters = attach_lora(model, cfg)
    with torch.no_grad():
        for name, pair in ours.items():
            adapters[name].A.copy_(pair["lora_A"].T)
            adapters[name].B.copy_(pair["lora_B"].T)
    return adapters


def peft_names(model: nn.Module) -> dict[str, str]:
    """What PEFT calls each matrix, by our name; of transformers' own models, both are the module's name."""
    matrices = list_matrices(model)
    names = {name: name for name in matrices}
    if not isinstance(model, GPT2 | Llama):
        return names
    # Two names of one place in memory: transformers' views of the model, and our matrices' regions.
    by_place = {place_of(view): name for name, view in huggingface_views(model).items() if view.ndim == 2}
    for name, matrix in matrices.items():
        weight = model.get_submodule(matrix.module_name)._parameters[matrix.parameter]
        assert weight is not None
        there = by_place.get(place_of(matrix.region(weight)))
        if there is not None:
            names[name] = there.removesuffix(".weight")
    return names


def place_of(view: Tensor) -> tuple[int, int]:
    """Where a view begins, and how many numbers it has."""
    return view.data_ptr(), view.numel()


def shorten(adapted: list[str], known: list[str]) -> list[str]:
    """The names' last parts if they name just these matrices, as people write them; else the whole names."""
    ends = sorted({name.rpartition(".")[2] for name in adapted})
    picked = {name for name in known if name.rpartition(".")[2] in ends}
    return ends if picked == set(adapted) else sorted(adapted)


def check_fit(name: str, pair: dict[str, Tensor], by_peft_name: dict[str, Matrix], rank: int, folder: Path) -> None:
    """Raise CheckpointError unless a file's adapter fits the model's matrix of that name."""
    if name not in by_peft_name:
        raise CheckpointError(
            f"the adapters in {folder} must belong to this model: got one for {name}, which it doesn't have. Its matrices "
            f"are called {', '.join(list(by_peft_name)[:3])} and the like."
        )
    matrix = by_peft_name[name]
    wanted = {"lora_A": (rank, matrix.d_in), "lora_B": (matrix.d_out, rank)}
    shapes = {key: tuple(factor.shape) for key, factor in sorted(pair.items())}
    if shapes != wanted:
        raise CheckpointError(
            f"the adapter of {name} must have the shapes {wanted}: got {shapes} in {folder}. Load it into the model that it "
            "was trained beside; adapters of several ranks in one folder can't be loaded."
        )


def read_fields(file: Path) -> dict[str, Any]:
    """An adapter's config; every field is honoured, has no effect here, or is refused by name."""
    try:
        fields = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{file} must be the config of an adapter: {error}. Give the folder that holds {CONFIG_FILE} and {WEIGHTS_FILE}."
        ) from error
    if not isinstance(fields, dict) or fields.get("peft_type") != "LORA":
        got = repr(fields.get("peft_type")) if isinstance(fields, dict) else type(fields).__name__
        raise CheckpointError(f"{file} must have peft_type 'LORA': got {got}. Other adapters load in peft.")
    fields = {"init_lora_weights": True, "bias": "none", **fields}
    refused = [name for name in fields if name not in HONOURED + WITHOUT_EFFECT and fields[name]]
    refused += [] if fields["bias"] == "none" else ["bias"]
    refused += [] if fields["init_lora_weights"] in LEAVES_WEIGHTS_ALONE else ["init_lora_weights"]
    if refused:
        shown = ", ".join(f"{name}={fields[name]!r}" for name in refused)
        raise CheckpointError(
            f"adapters must be plain products A B * alpha / rank: got {shown} in {file}, which would change what the model "
            "computes. Merge them into the model in peft, with merge_and_unload(), and load that."
        )
    return fields


def read_factors(file: Path) -> dict[str, dict[str, Tensor]]:
    """The tensors of an adapter file: by matrix, `lora_A` and `lora_B`."""
    try:
        tensors = safetensors.torch.load_file(file)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{file} must be a safetensors file: {error}. Copy it again.") from error
    factors: dict[str, dict[str, Tensor]] = {}
    for full_name, tensor in tensors.items():
        name, _, key = full_name.removeprefix(PREFIX).removesuffix(".weight").rpartition(".")
        if key not in ("lora_A", "lora_B"):
            raise CheckpointError(
                f"{file} must hold lora_A and lora_B of each matrix: got {full_name!r}. Merge such adapters into the model "
                "in peft, with merge_and_unload(), and load that."
            )
        factors.setdefault(name, {})[key] = tensor
    if not factors:
        raise CheckpointError(f"{file} must hold adapters: got none. Save them again.")
    return factors
