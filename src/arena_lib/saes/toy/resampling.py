"""Dead latents of toy SAEs: which they are, and new directions for them.

A latent that is never active gets no gradient through ReLU, so it stays dead; resampling gives it another start.

Shapes:  frac_active_in_window "window n_inst d_sae"; is_dead "n_inst d_sae"; directions "n_inst d_sae d_in"
Raises:  TrainingError for losses that no probabilities can be made of.
Source:  Bricken et al. 2023, "Towards Monosemanticity", appendix "Neuron Resampling".
Differs: the losses that decide are those of one batch, not of 819,200 examples; a new encoder row's length may be any
         share of the living ones' mean, which the paper fixes at 0.2.
"""

import einops
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from arena_lib.errors import TrainingError
from arena_lib.saes.toy.functions import normalize_decoder


def find_dead(
    frac_active_in_window: Float[Tensor, "window n_inst d_sae"],
) -> Bool[Tensor, "n_inst d_sae"]:
    """Say which latents were never active in the window.

    Each row of `frac_active_in_window` has, for one update, the share of the batch in which each latent was above zero.
    """
    return (frac_active_in_window == 0).all(dim=0)


def draw_directions(
    n_inst: int, d_sae: int, d_in: int, generator: torch.Generator
) -> Float[Tensor, "n_inst d_sae d_in"]:
    """Draw directions that are uniform on the sphere: normal vectors, each over its length."""
    return normalize_decoder(torch.randn((n_inst, d_sae, d_in), generator=generator, device=generator.device), eps=0.0)


def resampling_probabilities(losses: Float[Tensor, "batch n_inst"]) -> Float[Tensor, "batch n_inst"]:
    """How likely each example is to become a new direction: in proportion to its loss squared, for each instance.

    Each column sums to 1. Losses are at least 0; in an instance where all of them are 0, each example is as likely as
    the next.
    """
    if not losses.isfinite().all():
        raise TrainingError(
            f"losses must be finite to resample by: got {losses[~losses.isfinite()][0].item()}. Lower the learning rate."
        )
    weights = losses.double().pow(2)
    weights = torch.where(weights.sum(dim=0) > 0, weights, 1.0)
    return (weights / weights.sum(dim=0)).to(losses.dtype)


def draw_examples(
    h: Float[Tensor, "batch n_inst d_in"],
    probabilities: Float[Tensor, "batch n_inst"],
    d_sae: int,
    generator: torch.Generator,
) -> Float[Tensor, "n_inst d_sae d_in"]:
    """Draw `d_sae` examples for each instance, with replacement, each with its probability in that instance."""
    indices = torch.multinomial(probabilities.T, d_sae, replacement=True, generator=generator)
    by_instance = einops.rearrange(h, "batch n_inst d_in -> n_inst batch d_in")
    return by_instance.gather(1, einops.repeat(indices, "n_inst d_sae -> n_inst d_sae d_in", d_in=h.shape[-1]))


def mean_alive_norm(
    W_enc: Float[Tensor, "n_inst d_in d_sae"], is_dead: Bool[Tensor, "n_inst d_sae"]
) -> Float[Tensor, " n_inst"]:
    """The mean length of the living latents' encoder directions (columns of W_enc); 1 where no latent lives."""
    norms = W_enc.norm(dim=1)
    n_alive = (~is_dead).sum(dim=-1)
    total = torch.where(is_dead, 0.0, norms).sum(dim=-1)
    return torch.where(n_alive > 0, total / n_alive.clamp(min=1), 1.0)


@torch.no_grad()
def replace_latents(
    W_enc: Float[Tensor, "n_inst d_in d_sae"],
    W_dec: Float[Tensor, "n_inst d_sae d_in"],
    is_dead: Bool[Tensor, "n_inst d_sae"],
    directions: Float[Tensor, "n_inst d_sae d_in"],
    enc_norm: Float[Tensor, " n_inst"],
) -> None:
    """Give each dead latent its new direction, in place; living latents stay exactly as they are.

    `directions` has a vector of length 1 for every latent, used for the dead ones alone. A dead latent's row of W_dec
    becomes its direction, and its column of W_enc the same direction with length `enc_norm` (one for each instance).
    """
    W_dec.copy_(torch.where(is_dead[..., None], directions, W_dec))
    new_enc = enc_norm[:, None, None] * einops.rearrange(directions, "n_inst d_sae d_in -> n_inst d_in d_sae")
    W_enc.copy_(torch.where(is_dead[:, None], new_enc, W_enc))


@torch.no_grad()
def zero_latents(parameter: Float[Tensor, "n_inst d_sae"], is_dead: Bool[Tensor, "n_inst d_sae"]) -> None:
    """Set the dead latents' entries to 0, in place."""
    parameter.masked_fill_(is_dead, 0.0)
