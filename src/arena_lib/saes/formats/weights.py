"""Weights from a file into an SAE: every one that it has, of the right shape, and none besides.

Shapes:  as each variant's weights
Raises:  CheckpointError for weights that are missing, unknown or of another shape.
"""

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from arena_lib.errors import CheckpointError
from arena_lib.saes.autoencoders.base import SAE


def to_log_threshold(threshold: Float[Tensor, " d_sae"]) -> Float[Tensor, " d_sae"]:
    """The parameter for a threshold. Latents are never negative, so a threshold below 0 does what 0 does."""
    return threshold.clamp_min(0.0).log()


def take_weights(sae: SAE, weights: dict[str, Tensor], file: Path) -> None:
    """Make the tensors the SAE's own, after a check of names and shapes; it may be on the meta device."""
    expected = {name: tuple(tensor.shape) for name, tensor in sae.state_dict().items()}
    missing, unknown = sorted(expected.keys() - weights.keys()), sorted(weights.keys() - expected.keys())
    name_of_variant = type(sae).__name__
    if missing or unknown:
        differences = [f"without {', '.join(missing)}"] * bool(missing) + [f"with {', '.join(unknown)}"] * bool(unknown)
        raise CheckpointError(
            f"{file} must hold the weights of a {name_of_variant}, {', '.join(sorted(expected))}: it comes "
            f"{' and '.join(differences)}. Is it a checkpoint of another variant?"
        )
    for name, shape in expected.items():
        if tuple(weights[name].shape) != shape:
            raise CheckpointError(
                f"{name} in {file} must have shape {shape} by the sizes of its config: got "
                f"{tuple(weights[name].shape)}. Config and weights belong to different SAEs: copy both again."
            )
    with torch.no_grad():
        sae.load_state_dict(weights, assign=True)
