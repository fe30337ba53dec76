"""Variants by name, with settings to start from: for commands, where nobody writes a config.

    sae = make_sae("topk", d_in=128, d_sae=512, settings={"k": 8})

Raises:  UnknownNameError for a variant or a setting that isn't there; ConfigError for settings that cannot work.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from arena_lib.core.seeds import make_generator
from arena_lib.errors import UnknownNameError
from arena_lib.saes.autoencoders.base import SAE, SAEConfig
from arena_lib.saes.autoencoders.batch_topk import BatchTopKSAE
from arena_lib.saes.autoencoders.gated import GatedSAE
from arena_lib.saes.autoencoders.jumprelu import JumpReLUSAE
from arena_lib.saes.autoencoders.matryoshka import MatryoshkaSAE
from arena_lib.saes.autoencoders.relu import DecoderNormSAE, ReLUSAE
from arena_lib.saes.autoencoders.topk import TopKSAE
from arena_lib.saes.autoencoders.transcoders import (
    JumpReLUSkipTranscoder,
    SkipTranscoder,
    TopKSkipTranscoder,
    Transcoder,
)
from arena_lib.saes.formats.saelens_fields import VARIANTS as CONFIGS

VARIANTS: dict[str, type[SAE]] = {
    "relu": ReLUSAE,
    "decoder-norm": DecoderNormSAE,
    "gated": GatedSAE,
    "topk": TopKSAE,
    "batch-topk": BatchTopKSAE,
    "matryoshka": MatryoshkaSAE,
    "jumprelu": JumpReLUSAE,
    "transcoder": Transcoder,
    "skip-transcoder": SkipTranscoder,
    "topk-skip-transcoder": TopKSkipTranscoder,
    "jumprelu-skip-transcoder": JumpReLUSkipTranscoder,
}
WARMUP_SHARE = 0.25
"""Part of the run over which the weight of sparsity grows, for variants that have one."""


def find_variant(name: str) -> tuple[type[SAE], type[SAEConfig]]:
    """The class of a variant, and that of its config."""
    if name not in VARIANTS:
        raise UnknownNameError("variant", name, VARIANTS)
    return VARIANTS[name], CONFIGS[VARIANTS[name]]


def list_fields(name: str) -> dict[str, dataclasses.Field[Any]]:
    """The fields of a variant's config that are settings: not its sizes, nor where it belongs."""
    places = {"d_in", "d_sae", "d_out", "hook_name", "hook_name_out", "model_name", "subtract_b_dec"}
    return {field.name: field for field in dataclasses.fields(find_variant(name)[1]) if field.name not in places}


def suggest_settings(name: str, d_in: int, d_sae: int) -> dict[str, Any]:
    """Settings to start from, for activations scaled to a mean norm of sqrt(d_in).

    A squared error is then about a share of d_in, so weights of sparsity grow with d_in. With 512 latents after layer 1
    of tiny-llama and 1,200 updates ReLU and gated get 9 active latents from these, and JumpReLU 7: docs/sae_truth.md has
    weights for 12.
    """
    own = {
        "k": 12,
        "widths": (max(d_sae // 8, 1), max(d_sae // 2, 1), d_sae),
        "l1_coef": 3.0 * (d_in / 128) ** 0.5,
        "l0_coef": d_in / 128,
        "initial_threshold": 1.0,
        "bandwidth": 1.0,
    }
    return {field: value for field, value in own.items() if field in list_fields(name)}


def has_weighed_sparsity(name: str) -> bool:
    """Whether the loss weighs sparsity against the error: then a warm-up of its weight keeps early latents alive."""
    return bool({"l1_coef", "l0_coef"} & list_fields(name).keys())


def make_sae(
    name: str,
    *,
    d_in: int,
    d_sae: int,
    d_out: int | None = None,
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
    model_name: str = "",
) -> SAE:
    """A fresh autoencoder of this variant; what `settings` leaves out is suggested. With `d_out`, a transcoder."""
    variant, config = find_variant(name)
    fields = suggest_settings(name, d_in, d_sae) | dict(settings or {})
    for field in fields:
        if field not in list_fields(name):
            raise UnknownNameError(f"setting of {name}", field, list_fields(name))
    if d_out is not None:
        fields |= {"d_out": d_out, "subtract_b_dec": False}
    return variant(config(d_in=d_in, d_sae=d_sae, model_name=model_name, **fields), make_generator(seed))
