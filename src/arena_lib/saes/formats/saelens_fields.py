"""What the fields of SAELens's `cfg.json` mean: which are honoured, which change nothing, and which are refused.

Raises:  CheckpointError for a field or a value that would change the function in a way that no variant of ours has.
Source:  SAELens 6.54.12, its config classes for inference and for training.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from arena_lib.errors import CheckpointError
from arena_lib.saes.autoencoders.base import SAE, SAEConfig
from arena_lib.saes.autoencoders.batch_topk import BatchTopKSAE, BatchTopKSAEConfig
from arena_lib.saes.autoencoders.gated import GatedSAE, GatedSAEConfig
from arena_lib.saes.autoencoders.jumprelu import JumpReLUSAE, JumpReLUSAEConfig
from arena_lib.saes.autoencoders.matryoshka import MatryoshkaSAE, MatryoshkaSAEConfig
from arena_lib.saes.autoencoders.relu import DecoderNormSAE, DecoderNormSAEConfig, ReLUSAE, ReLUSAEConfig
from arena_lib.saes.autoencoders.topk import PlainTopKSAE, TopKSAE, TopKSAEConfig
from arena_lib.saes.autoencoders.transcoders import (
    JumpReLUSkipTranscoder,
    SkipTranscoder,
    TopKSkipTranscoder,
    Transcoder,
    TranscoderConfig,
    WithSkip,
)

OURS = "arena_lib"
"""Under this name the metadata of what we write says which variant it is, with its whole config."""

VARIANTS: dict[type[SAE], type[SAEConfig]] = {
    ReLUSAE: ReLUSAEConfig,
    DecoderNormSAE: DecoderNormSAEConfig,
    GatedSAE: GatedSAEConfig,
    TopKSAE: TopKSAEConfig,
    PlainTopKSAE: TopKSAEConfig,
    BatchTopKSAE: BatchTopKSAEConfig,
    MatryoshkaSAE: MatryoshkaSAEConfig,
    JumpReLUSAE: JumpReLUSAEConfig,
    Transcoder: TranscoderConfig,
    SkipTranscoder: TranscoderConfig,
    TopKSkipTranscoder: TopKSAEConfig,
    JumpReLUSkipTranscoder: JumpReLUSAEConfig,
}

BY_ARCHITECTURE: dict[str, type[SAE]] = {
    "standard": DecoderNormSAE,
    "gated": GatedSAE,
    "jumprelu": JumpReLUSAE,
    "topk": TopKSAE,
    "batchtopk": BatchTopKSAE,
    "matryoshka_batchtopk": MatryoshkaSAE,
    "transcoder": Transcoder,
    "skip_transcoder": SkipTranscoder,
    "jumprelu_transcoder": JumpReLUSAE,
    "jumprelu_skip_transcoder": JumpReLUSkipTranscoder,
    "topk_transcoder": TopKSAE,
    "topk_skip_transcoder": TopKSkipTranscoder,
    "gated_transcoder": GatedSAE,
}
"""The variant that has the function of each of SAELens's architectures, and of ours that follow their pattern."""

FUNCTION_FIELDS = frozenset(
    [
        "architecture",
        "d_in",
        "d_sae",
        "d_out",
        "k",
        "dtype",
        "device",
        "apply_b_dec_to_input",
        "normalize_activations",
        "reshape_activations",
        "metadata",
        "rescale_acts_by_decoder_norm",
        "matryoshka_widths",
    ]
)
"""Fields that are honoured, or refused by their value."""
TRAINING_FIELDS = {
    "l1_coefficient": "l1_coef",
    "l0_coefficient": "l0_coef",
    "aux_loss_coefficient": "aux_coef",
    "topk_threshold_lr": "threshold_lr",
    "jumprelu_bandwidth": "bandwidth",
    "jumprelu_init_threshold": "initial_threshold",
}
"""Fields of training that our configs have under another name."""
IGNORED_FIELDS = frozenset(
    [
        "decoder_init_norm",
        "lp_norm",
        "l1_warm_up_steps",
        "l0_warm_up_steps",
        "pre_act_loss_coefficient",
        "jumprelu_sparsity_loss_mode",
        "jumprelu_tanh_scale",
        "jumprelu_ste_to_input",
        "target_l0",
        "use_sparse_activations",
        "use_matryoshka_aux_loss",
    ]
)
"""Fields of training that change no trained SAE's function, and that no config of ours has."""
DTYPES = frozenset({"float16", "bfloat16", "float32", "float64"})
NEEDS_INPUT = "it needs each input's own mean or length, which decoding latents alone doesn't have"
NOT_FOLDED = "its scale isn't in the weights; fold it in with SAELens before it saves"
REFUSED_NORMALIZATION = {
    "layer_norm": NEEDS_INPUT,
    "constant_norm_rescale": NEEDS_INPUT,
    "expected_average_only_in": NOT_FOLDED,
    "covariance_whitening": NOT_FOLDED,
}
"""Values of `normalize_activations` other than "none", and why each is refused."""


def name_architecture(sae: SAE) -> str:
    """What SAELens calls an SAE with this one's function."""
    kind = "standard"
    if isinstance(sae, GatedSAE):
        kind = "gated"
    elif isinstance(sae, JumpReLUSAE | BatchTopKSAE):
        kind = "jumprelu"
    elif isinstance(sae, TopKSAE):
        kind = "topk"
    if sae.cfg.d_out is None:
        return kind
    prefix = "" if kind == "standard" else f"{kind}_"
    return f"{prefix}skip_transcoder" if isinstance(sae, WithSkip) else f"{prefix}transcoder"


def check_fields(fields: Mapping[str, Any], file: Path) -> None:
    """Raise CheckpointError for a config that lacks a field, has an unknown one, or a value that can't be honoured."""
    required = ("architecture", "d_in", "d_sae", "dtype", "apply_b_dec_to_input", "metadata")
    if missing := [name for name in required if name not in fields]:
        raise CheckpointError(
            f"{file} must have the fields of SAELens 6 or later: it lacks {', '.join(missing)}. Load an older file with "
            "SAELens, and save it again."
        )
    known = FUNCTION_FIELDS | TRAINING_FIELDS.keys() | IGNORED_FIELDS
    if unknown := sorted(fields.keys() - known):
        raise CheckpointError(
            f"{file} must have fields whose meaning is known: got {', '.join(unknown)}. Load a file from before SAELens "
            "6 with SAELens, and save it again; if the field is newer, arena_lib must learn it first."
        )
    if fields["architecture"] not in BY_ARCHITECTURE:
        raise CheckpointError(
            f"architecture in {file} must be one of {', '.join(BY_ARCHITECTURE)}: got {fields['architecture']!r}. "
            "Use SAELens for this one."
        )
    check_values(fields, file)


def check_values(fields: Mapping[str, Any], file: Path) -> None:
    """Raise CheckpointError for a value that would change the function in a way that we don't have."""
    normalization = fields.get("normalize_activations", "none")
    if normalization != "none":
        why = REFUSED_NORMALIZATION.get(normalization, "its meaning isn't known")
        raise CheckpointError(
            f"normalize_activations in {file} must be 'none': got {normalization!r}, and {why}. Use SAELens for this one."
        )
    metadata = fields["metadata"] or {}
    reshaping, hook_name = fields.get("reshape_activations", "none"), metadata.get("hook_name") or ""
    if reshaping != "none" and not (reshaping == "hook_z" and hook_name.endswith("hook_z")):
        raise CheckpointError(
            f"reshape_activations in {file} must be 'none', or 'hook_z' with a hook_name that ends so: got {reshaping!r} "
            f"with hook_name {hook_name!r}. Use SAELens for this one."
        )
    if metadata.get("hook_head_index") is not None:
        raise CheckpointError(
            f"an SAE must read a whole hook: got hook_head_index={metadata['hook_head_index']} in {file}. Use SAELens for "
            "this one."
        )
    if str(fields["dtype"]).removeprefix("torch.") not in DTYPES:
        raise CheckpointError(
            f"dtype in {file} must be one of {', '.join(sorted(DTYPES))}: got {fields['dtype']!r}. Save it in one of these."
        )


def make_config(fields: Mapping[str, Any]) -> tuple[type[SAE], SAEConfig]:
    """The variant and its config, of our own record where there is one, else of SAELens's fields."""
    metadata = fields["metadata"] or {}
    if OURS in metadata:
        record = metadata[OURS]
        variant = {known.__name__: known for known in VARIANTS}[record["variant"]]
        return variant, VARIANTS[variant](**revive(record["config"]))
    variant = BY_ARCHITECTURE[fields["architecture"]]
    config_class = VARIANTS[variant]
    takes = {field.name for field in dataclasses.fields(config_class)}
    values = {
        "d_in": fields["d_in"],
        "d_sae": fields["d_sae"],
        "d_out": fields["d_out"] if "transcoder" in fields["architecture"] else None,
        "subtract_b_dec": fields["apply_b_dec_to_input"],
        "hook_name": metadata.get("hook_name") or "",
        "hook_name_out": metadata.get("hook_name_out") or "",
        "model_name": metadata.get("model_name") or "",
        "l1_coef": 0.0,
        "l0_coef": 0.0,
    }
    values |= {ours: fields[name] for name, ours in TRAINING_FIELDS.items() if name in fields}
    if "k" in fields:
        values["k"] = int(fields["k"]) if fields["k"] == int(fields["k"]) else fields["k"]  # BatchTopK's is a float
    if "matryoshka_widths" in fields:
        values["widths"] = tuple(fields["matryoshka_widths"])
    return variant, config_class(**{name: value for name, value in values.items() if name in takes})


def revive(record: Mapping[str, Any]) -> dict[str, Any]:
    """A config's fields from JSON, where tuples have become lists."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in record.items()}
