"""Which tokens a latent makes likelier, and which ones it reads: decoder and encoder directions by the vocabulary.

A latent adds a multiple of its decoder direction to the residual stream. If nothing in between changed it, the final
norm and the unembedding would make of it

    logits = (W_dec[latent] * gain) @ W_U        less its mean over the vocabulary

since a number added to all logits changes no probability. The norm's scale depends on the text and is the same for all
tokens, so it is left out: what counts is the order. The other way round, W_E @ W_enc[:, latent] says how much each
token's embedding, by itself, adds to the latent.

Shapes:  W_dec "d_sae d_out" -> logits "n_chosen d_vocab"; W_enc "d_in d_sae" -> "n_chosen d_vocab"
Raises:  ConfigError for a hook that isn't on the residual stream's axis nor hook_z; UnknownNameError for a latent or a
         hook that isn't there; ShapeError for an SAE of another model.
Source:  nostalgebraist 2020, "Interpreting GPT: the logit lens"; Bricken et al. 2023, "Towards monosemanticity", section
         "Feature downstream effects"; Bloom and Lin 2024, "Understanding SAE features with the logit lens".
Differs: the final norm's gain is multiplied in, and the mean over d_model taken away where the norm does so, in place
         of folding weights.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import plotly.graph_objects as go
import torch
from jaxtyping import Float
from torch import Tensor

from arena_lib.core.device import at_least_float32
from arena_lib.errors import ConfigError, ShapeError
from arena_lib.plots.latents.token_effects import token_effects
from arena_lib.saes.analysis.places import Place, check_latents, find_place, token_texts
from arena_lib.saes.autoencoders.base import SAE


class TokenEffects(NamedTuple):
    """The tokens at both ends of a list, with their numbers."""

    top: list[tuple[str, float]]
    """The largest, the largest first."""
    bottom: list[tuple[str, float]]
    """The smallest, the smallest first."""


def project_to_logits(
    directions: Float[Tensor, "n_chosen d_model"],
    W_U: Float[Tensor, "d_model d_vocab"],
    gain: Float[Tensor, " d_model"],
    is_centred: bool = False,
) -> Float[Tensor, "n_chosen d_vocab"]:
    """What each direction adds to the logits, the final norm's scale apart.

    If the norm `is_centred` (a LayerNorm; an RMSNorm isn't), the mean over d_model is taken from each direction first.
    Then it is multiplied by the norm's `gain` and by W_U. From each row its mean over the vocabulary is taken away.

    Gradients flow through it.
    """
    if is_centred:
        directions = directions - directions.mean(dim=-1, keepdim=True)
    logits = (directions * gain) @ W_U
    return logits - logits.mean(dim=-1, keepdim=True)


def project_embeddings(
    W_enc: Float[Tensor, "d_model n_chosen"], W_E: Float[Tensor, "d_vocab d_model"]
) -> Float[Tensor, "n_chosen d_vocab"]:
    """How much each token's embedding adds to each latent before its activation function, less the mean over tokens."""
    effects = (W_E @ W_enc).T
    return effects - effects.mean(dim=-1, keepdim=True)


@torch.no_grad()
def compute_latent_logits(
    model: Any, sae: SAE, latent_idxs: Sequence[int], *, hook_name: str | None = None
) -> Float[Tensor, "n_chosen d_vocab"]:
    """`project_to_logits` of these latents' decoder directions."""
    place = find_place(model, sae, hook_name)
    directions = decoder_directions(place, latent_idxs)
    gain, is_centred = place.lm.gain(None)
    W_U = at_least_float32(place.lm.W_U).to(directions)
    return project_to_logits(directions, W_U, gain.to(directions), is_centred)


@torch.no_grad()
def compute_latent_embeddings(
    model: Any, sae: SAE, latent_idxs: Sequence[int], *, hook_name: str | None = None
) -> Float[Tensor, "n_chosen d_vocab"]:
    """`project_embeddings` of these latents' encoder directions."""
    place, chosen = find_place(model, sae, hook_name), check_latents(sae, latent_idxs)
    if by_head(place.hook_name) or sae.cfg.d_in != place.lm.d_model:
        raise ConfigError(
            f"embeddings can be compared with latents that read the residual stream's {place.lm.d_model} axes: got d_in = "
            f"{sae.cfg.d_in} at {place.hook_name!r}. Take an SAE of hook_resid_pre, hook_resid_mid or hook_resid_post."
        )
    W_enc = at_least_float32(sae.W_enc[:, chosen])
    return project_embeddings(W_enc, place.lm.W_E.to(W_enc))


def decoder_directions(place: Place, latent_idxs: Sequence[int]) -> Float[Tensor, "n_chosen d_model"]:
    """What a unit of each latent adds to the residual stream; latents of hook_z go through their heads' W_O."""
    chosen = check_latents(place.sae, latent_idxs)
    directions = at_least_float32(place.sae.W_dec[chosen])
    if by_head(place.written_name):
        W_O = place.lm.W_O(place.block).to(directions)
        if directions.shape[1] != W_O.shape[:2].numel():
            raise ShapeError(
                f"latents of {place.written_name!r} must have n_heads * d_head = {W_O.shape[:2].numel()} entries: got "
                f"{directions.shape[1]}. Pass the model that the SAE was trained on."
            )
        return directions @ W_O.flatten(0, 1)
    if directions.shape[1] != place.lm.d_model:
        raise ConfigError(
            f"a latent must write to the residual stream, which has {place.lm.d_model} axes, or to hook_z: got "
            f"{directions.shape[1]} at {place.written_name!r}. What it does to logits goes through other parts; ablate it."
        )
    return directions


def by_head(hook_name: str) -> bool:
    """Whether the heads' outputs stand side by side there."""
    return hook_name.endswith("attn.hook_z")


def find_top_logits(
    model: Any, sae: SAE, latent_idx: int, k: int = 10, *, hook_name: str | None = None
) -> TokenEffects:
    """The k tokens whose logits a latent raises most, and the k that it lowers most."""
    place = find_place(model, sae, hook_name)
    return list_ends(place, compute_latent_logits(model, sae, [latent_idx], hook_name=hook_name)[0], k)


def find_top_deembeddings(
    model: Any, sae: SAE, latent_idx: int, k: int = 10, *, hook_name: str | None = None
) -> TokenEffects:
    """The k tokens whose embeddings point most along a latent's encoder direction, and the k that point most against it."""
    place = find_place(model, sae, hook_name)
    return list_ends(place, compute_latent_embeddings(model, sae, [latent_idx], hook_name=hook_name)[0], k)


def show_top_logits(model: Any, sae: SAE, latent_idx: int, k: int = 10, *, hook_name: str | None = None) -> go.Figure:
    """`find_top_logits` as a figure."""
    effects = find_top_logits(model, sae, latent_idx, k, hook_name=hook_name)
    return token_effects(
        effects.top,
        effects.bottom,
        x_title="logits for each unit of the latent",
        title=f"Latent {latent_idx}: tokens that it makes likelier, and less likely",
    )


def show_top_deembeddings(
    model: Any, sae: SAE, latent_idx: int, k: int = 10, *, hook_name: str | None = None
) -> go.Figure:
    """`find_top_deembeddings` as a figure."""
    effects = find_top_deembeddings(model, sae, latent_idx, k, hook_name=hook_name)
    return token_effects(
        effects.top,
        effects.bottom,
        x_title="embedding @ encoder",
        title=f"Latent {latent_idx}: tokens whose embeddings raise it, and lower it",
    )


def list_ends(place: Place, values: Float[Tensor, " d_vocab"], k: int) -> TokenEffects:
    """The k largest and the k smallest by token; of equal ones the lower token id first."""
    if not 1 <= k <= len(values):
        raise ConfigError(f"k must be between 1 and {len(values)}, the tokens of the vocabulary: got {k}.")
    ends = []
    for is_descending in (True, False):
        order = values.argsort(descending=is_descending, stable=True)[:k]
        ends.append(list(zip(token_texts(place.lm, order.tolist()), values[order].tolist(), strict=True)))
    return TokenEffects(*ends)
