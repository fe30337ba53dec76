"""Patchscopes: a model explains its own latent, which takes a word's place in a prompt.

In the prompt `cat -> cat; 1135 -> 1135; hello -> hello; ? ->` the "?" has no meaning of its own. If the residual stream
at its position is replaced by a latent's direction, in an early layer, the model goes on with what the direction stands
for to it. How long the direction must be differs between latents: too short and it isn't noticed, too long and it
drowns all else. `tune_scale` helps to choose.

Shapes:  activations "batch seq d_model" -> the same; text -> text
Raises:  ConfigError for a prompt without the placeholder, or no scales; UnknownNameError for a layer or latent that isn't
         there; what `directions.logits.decoder_directions` raises.
Source:  Ghandeharioun et al. 2024, arXiv:2401.06102; Kharlapenko et al. 2024, "Self-explaining SAE features" (latents, the
         scale by entropy and self-similarity).
Differs: the best scale is the one with the largest self-similarity less entropy, each brought to 0 to 1 over the
         scales that were tried.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import plotly.graph_objects as go
import torch
from jaxtyping import Float
from torch import Tensor

from arena_lib.core.device import at_least_float32
from arena_lib.errors import ConfigError
from arena_lib.interp.models import HookedLM
from arena_lib.interp.steering.writing import GREEDY_WRITING, prompt_tokens, write_with_hooks
from arena_lib.plots.lines import lines
from arena_lib.saes.analysis.directions.logits import decoder_directions
from arena_lib.saes.analysis.directions.splitting import compute_cosines
from arena_lib.saes.analysis.places import find_place, token_texts
from arena_lib.saes.autoencoders.base import SAE
from arena_lib.transformer.fast.generation import WritingConfig

PLACEHOLDER = "?"
"""The token of a prompt that a latent takes the place of."""


@dataclass(frozen=True, eq=False)
class ScaleSweep:
    """How a model takes a latent's direction, by its length."""

    scales: list[float]
    entropy: Float[Tensor, " n_scales"]
    """Of the next token, in nats: low where the model is sure what to say."""
    self_similarity: Float[Tensor, " n_scales"]
    """The cosine of the direction with the residual stream at the prompt's end: high where the model thinks of it."""

    @property
    def best(self) -> float:
        """The scale of the largest self-similarity less entropy, each brought to 0 to 1."""
        combined = _rescale(self.self_similarity) - _rescale(self.entropy)
        return self.scales[int(combined.argmax())]

    def show(self) -> go.Figure:
        """Both by scale, each brought to 0 to 1."""
        series = {
            "self-similarity": _rescale(self.self_similarity),
            "entropy": _rescale(self.entropy),
        }
        return lines(series, x=self.scales, x_title="scale", y_title="rescaled", title=f"Best scale: {self.best:g}")


def hook_fn_patch_scoping(
    activations: Float[Tensor, "batch seq d_model"],
    hook: Any,
    seq_pos: Sequence[int],
    latent_vector: Float[Tensor, " d_model"],
) -> Float[Tensor, "batch seq d_model"]:
    """The activations with `latent_vector` in place of what stood at the positions `seq_pos`.

    A new tensor: `activations` stay as they are. A pass over a single position comes back as it is: so a model that
    keeps keys and values reads each token that it has written after the prompt.

    >>> hook_fn_patch_scoping(torch.zeros(1, 3, 2), None, [1], torch.tensor([1.0, 2.0]))
    tensor([[[0., 0.],
             [1., 2.],
             [0., 0.]]])
    """
    if activations.shape[1] == 1:
        return activations
    patched = activations.clone()
    patched[:, list(seq_pos)] = latent_vector.to(activations)
    return patched


@torch.no_grad()
def generate_patch_scoping_explanation(
    model: Any,
    sae: SAE,
    prompt: str,
    latent_idx: int,
    replacement_layer: int,
    scale: float,
    max_new_tokens: int = 50,
    *,
    placeholder: str = PLACEHOLDER,
    options: WritingConfig = GREEDY_WRITING,
    generator: torch.Generator | None = None,
    hook_name: str | None = None,
) -> str:
    """The prompt and what the model adds, with a latent's direction in place of every `placeholder` token.

    The decoder direction is brought to the length `scale` and replaces what leaves layer `replacement_layer` at those
    positions (`hook_resid_post`).
    """
    place = find_place(model, sae, hook_name)
    direction = _direction(model, sae, latent_idx, hook_name)
    name = f"blocks.{place.lm.check_layer(replacement_layer)}.hook_resid_post"
    seq_pos = find_placeholders(place.lm, prompt, placeholder)
    patch = partial(hook_fn_patch_scoping, seq_pos=seq_pos, latent_vector=scale * direction)
    return write_with_hooks(place.lm, prompt, [(name, patch)], max_new_tokens, options=options, generator=generator)


@torch.no_grad()
def tune_scale(
    model: Any,
    sae: SAE,
    prompt: str,
    latent_idx: int,
    replacement_layer: int,
    scales: Sequence[float],
    *,
    placeholder: str = PLACEHOLDER,
    read_layer: int | None = None,
    hook_name: str | None = None,
) -> ScaleSweep:
    """How sure the model is of its next token, and how much it thinks of the latent, for each scale.

    Self-similarity is read from what leaves `read_layer` (None: the last) at the prompt's last position. All scales run
    as one batch.
    """
    if not scales:
        raise ConfigError("there must be scales to try: got none. Pass some, such as [1.0, 2.0, 4.0, 8.0].")
    lm = find_place(model, sae, hook_name).lm
    direction = _direction(model, sae, latent_idx, hook_name)
    name = f"blocks.{lm.check_layer(replacement_layer)}.hook_resid_post"
    read = f"blocks.{lm.check_layer(lm.n_layers - 1 if read_layer is None else read_layer)}.hook_resid_post"
    seq_pos = find_placeholders(lm, prompt, placeholder)
    vectors = torch.tensor(list(scales)).to(direction)[:, None, None] * direction
    last: list[Tensor] = []

    def patch(acts: Tensor, hook: Any) -> Tensor:
        patched = acts.clone()
        patched[:, seq_pos] = vectors.to(acts)
        return patched

    hooks = [(name, patch), (read, lambda acts, hook: last.append(acts[:, -1]))]
    logits = lm.run(prompt_tokens(lm, prompt).expand(len(scales), -1), hooks)
    logprobs = at_least_float32(logits[:, -1]).log_softmax(dim=-1)
    return ScaleSweep(
        scales=list(scales),
        entropy=-(logprobs.exp() * logprobs).sum(dim=-1),
        self_similarity=compute_cosines(last[0].to(direction), direction[None])[:, 0],
    )


def find_placeholders(lm: HookedLM, prompt: str, placeholder: str = PLACEHOLDER) -> list[int]:
    """The positions of a prompt's tokens that are the placeholder, spaces apart; there must be one."""
    tokens = token_texts(lm, prompt_tokens(lm, prompt)[0].tolist())
    positions = [i for i, token in enumerate(tokens) if token.strip() == placeholder]
    if not positions:
        raise ConfigError(
            f"the prompt must have {placeholder!r} as a token of its own: got the tokens {tokens}. Write it with a space in "
            "front, or pass another placeholder."
        )
    return positions


def _direction(model: Any, sae: SAE, latent_idx: int, hook_name: str | None) -> Float[Tensor, " d_model"]:
    """A latent's direction in the residual stream, at length 1."""
    direction = decoder_directions(find_place(model, sae, hook_name), [latent_idx])[0]
    return direction / direction.norm()


def _rescale(values: Float[Tensor, " n_scales"]) -> Float[Tensor, " n_scales"]:
    """The values from 0 for the smallest to 1 for the largest."""
    spread = values.max() - values.min()
    return (values - values.min()) / (spread if spread > 0 else 1.0)
