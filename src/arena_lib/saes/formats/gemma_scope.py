"""Gemma Scope's files: one npz with the five arrays of a JumpReLU autoencoder.

Shapes:  W_enc "d_in d_sae", W_dec "d_sae d_out", b_enc "d_sae", b_dec "d_out", threshold "d_sae"
Raises:  CheckpointError for a file that isn't such an npz, or has arrays that this doesn't know.
Source:  Lieberum et al. 2024, arXiv:2408.05147, and its published files `params.npz`.
"""

import os
import zipfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from arena_lib.errors import CheckpointError
from arena_lib.saes.autoencoders.jumprelu import JumpReLUSAE, JumpReLUSAEConfig
from arena_lib.saes.formats.weights import take_weights, to_log_threshold

FILE = "params.npz"
"""The file's name in Gemma Scope's folders."""


def load_gemma_scope(path: str | os.PathLike[str], *, hook_name: str = "", model_name: str = "") -> JumpReLUSAE:
    """The JumpReLUSAE of an npz, or of the `params.npz` in a folder, in evaluation mode.

    The file doesn't say where in the model it belongs: `hook_name` and `model_name` do. What it was trained with isn't in
    it either, so `l0_coef` is 0: set the config's fields before training goes on. A file whose W_dec is wider or
    narrower than its input is a transcoder.
    """
    file = Path(path) / FILE if Path(path).is_dir() else Path(path)
    arrays = read_arrays(file)
    d_in, d_sae = shape_of(arrays, "W_enc", file)
    _, d_out = shape_of(arrays, "W_dec", file)
    cfg = JumpReLUSAEConfig(
        d_in=d_in,
        d_sae=d_sae,
        d_out=None if d_out == d_in else d_out,
        l0_coef=0.0,
        hook_name=hook_name,
        model_name=model_name,
    )
    with torch.device("meta"):
        sae = JumpReLUSAE(cfg)
    if "threshold" in arrays:
        arrays["log_threshold"] = to_log_threshold(arrays.pop("threshold"))
    take_weights(sae, arrays, file)
    return sae.eval()


def read_arrays(file: Path) -> dict[str, Tensor]:
    """Every array of an npz, in float32; nothing is unpickled."""
    try:
        with np.load(file, allow_pickle=False) as data:
            return {name: torch.from_numpy(np.asarray(data[name], dtype=np.float32)) for name in data.files}
    except (OSError, ValueError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise CheckpointError(
            f"{file} must be an npz of number arrays, as Gemma Scope's {FILE} is: {error}. Download it again."
        ) from error


def shape_of(arrays: dict[str, Tensor], name: str, file: Path) -> tuple[int, int]:
    """The two sizes of a weight."""
    if name not in arrays or arrays[name].ndim != 2:
        what = f"shape {tuple(arrays[name].shape)}" if name in arrays else f"only {sorted(arrays)}"
        raise CheckpointError(f"{file} must hold {name} with two axes: got {what}. Give Gemma Scope's {FILE}.")
    first, second = arrays[name].shape
    return first, second
