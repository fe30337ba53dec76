"""Dead latents get new weights: at random, or towards the examples that are reconstructed worst.

Shapes:  dead "d_sae"; rows of new weights "n_dead d_in" and "n_dead d_out"
Raises:  ShapeError for activations of another width.
Source:  Bricken et al. 2023, "Towards monosemanticity", appendix "Neuron resampling".
Differs: examples are taken relative to b_dec, as the encoder sees them; the mean length of the encoder's columns is over
         all of them where none is alive.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from arena_lib.saes.autoencoders.base import SAE
from arena_lib.saes.autoencoders.functions import make_directions, normalize_decoder

ENCODER_SCALE = 0.2
"""Length of a new latent's encoder column as a share of the living ones' mean (Bricken et al. 2023)."""

Rows = tuple[Float[Tensor, "n_dead d_in"], Float[Tensor, "n_dead d_out"]]
"""New weights for the dead latents: rows of W_enc transposed, and of W_dec."""


def compute_resampling_weights(errors: Float[Tensor, " batch"]) -> Float[Tensor, " batch"]:
    """Probabilities proportional to each example's squared error, squared; equal ones where every error is 0.

    >>> compute_resampling_weights(torch.tensor([1.0, 2.0, 0.0]))
    tensor([0.2000, 0.8000, 0.0000])
    """
    scaled = errors / errors.max().clamp_min(torch.finfo(errors.dtype).tiny)  # else squares of large errors overflow
    weights = scaled.square()
    total = weights.sum()
    return weights / total if total > 0 else torch.full_like(errors, 1 / len(errors))


@torch.no_grad()
def compute_encoder_length(sae: SAE, dead: Bool[Tensor, " d_sae"]) -> Float[Tensor, ""]:
    """The mean length of the living latents' columns of W_enc; of all of them where none is alive."""
    lengths = sae.W_enc.norm(dim=0)
    return lengths.mean() if dead.all() else lengths[~dead].mean()


@torch.no_grad()
def draw_random_rows(
    sae: SAE, dead: Bool[Tensor, " d_sae"], generator: torch.Generator | None = None, scale: float = ENCODER_SCALE
) -> Rows:
    """A random direction for each dead latent; its encoder column is `scale` times it (a transcoder's is drawn apart)."""
    n_dead = int(dead.sum())
    W_dec = make_directions(n_dead, sae.cfg.d_target, generator).to(sae.W_dec)
    W_enc = W_dec if sae.cfg.d_out is None else make_directions(n_dead, sae.cfg.d_in, generator).to(sae.W_enc)
    return scale * W_enc, W_dec


@torch.no_grad()
def draw_rows_by_error(
    sae: SAE,
    dead: Bool[Tensor, " d_sae"],
    acts: Float[Tensor, "batch d_in"],
    target: Float[Tensor, "batch d_out"] | None = None,
    generator: torch.Generator | None = None,
    scale: float = ENCODER_SCALE,
) -> Rows:
    """For each dead latent an example, likelier the worse it is reconstructed; its direction becomes the latent's.

    The encoder's column has the same direction (a transcoder's: that of the input) and `scale` times the mean length of
    the living ones. No example is drawn twice while there are others with an error left.
    """
    goal = sae.choose_target(acts, target)
    errors = (sae(acts) - goal).square().sum(dim=-1)
    weights = compute_resampling_weights(errors)
    n_dead = int(dead.sum())
    is_enough = int((weights > 0).sum()) >= n_dead
    if n_dead == 0:
        return acts.new_zeros(0, sae.cfg.d_in), acts.new_zeros(0, sae.cfg.d_target)
    drawn = torch.multinomial(weights.cpu(), n_dead, replacement=not is_enough, generator=generator).to(acts.device)
    W_dec = normalize_decoder(goal[drawn] - sae.b_dec)
    W_enc = normalize_decoder(sae.center(acts)[drawn])
    return scale * compute_encoder_length(sae, dead) * W_enc, W_dec


@torch.no_grad()
def reset_moments(optimizer: torch.optim.Optimizer, sae: SAE, dead: Bool[Tensor, " d_sae"]) -> None:
    """Forget what the optimizer knows of the dead latents' weights, such as Adam's two moments."""
    positions = dead.nonzero().squeeze(-1)
    for name, axis in sae.latent_axes.items():
        weight = sae.get_parameter(name)
        for moment in optimizer.state.get(weight, {}).values():
            if isinstance(moment, Tensor) and moment.shape == weight.shape:
                moment.index_fill_(axis, positions, 0.0)


def resample_simple(
    sae: SAE,
    dead: Bool[Tensor, " d_sae"],
    acts: Float[Tensor, "batch d_in"],
    generator: torch.Generator | None = None,
    *,
    target: Float[Tensor, "batch d_out"] | None = None,
    optimizer: torch.optim.Optimizer | None = None,
) -> None:
    """Give the dead latents random directions, and forget their moments.

    It takes what `resample_advanced` takes, so that either can stand where the other does, and looks at no activations.
    """
    replace(sae, dead, draw_random_rows(sae, dead, generator), optimizer)


def resample_advanced(
    sae: SAE,
    dead: Bool[Tensor, " d_sae"],
    acts: Float[Tensor, "batch d_in"],
    generator: torch.Generator | None = None,
    *,
    target: Float[Tensor, "batch d_out"] | None = None,
    optimizer: torch.optim.Optimizer | None = None,
) -> None:
    """Turn the dead latents towards badly reconstructed examples, as Bricken et al. do, and forget their moments."""
    replace(sae, dead, draw_rows_by_error(sae, dead, acts, target, generator), optimizer)


def replace(sae: SAE, dead: Bool[Tensor, " d_sae"], rows: Rows, optimizer: torch.optim.Optimizer | None) -> None:
    """Write new weights of the dead latents, and forget what an optimizer knew of the old ones."""
    sae.replace_latents(dead, *rows)
    if optimizer is not None:
        reset_moments(optimizer, sae, dead)
