"""Steering with a latent: its decoder direction is added to the activations while a model writes.

Shapes:  activations "batch seq d_out" -> the same; text -> text
Raises:  UnknownNameError for a latent or hook that isn't there; TokenError for a prompt that
         would outgrow the model's context.
Source:  Templeton et al. 2024, "Scaling monosemanticity", section "Features can be used to steer models"; Turner et al.
         2023, arXiv:2308.10248 (adding a direction).
Differs: a multiple of the direction is added, in place of fixing the latent's value.
"""

from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from arena_lib.interp.steering.writing import write_with_hooks
from arena_lib.saes.analysis.places import check_latents, find_place
from arena_lib.saes.autoencoders.base import SAE
from arena_lib.transformer.fast.generation import WritingConfig

STEERED = WritingConfig(temperature=0.5, frequency_penalty=2.0)
"""How tokens are drawn where nothing else is said: boldly, and with little repetition, to which steered models tend."""


def steering_hook(
    activations: Float[Tensor, "batch seq *any"],
    hook: Any = None,
    *,
    sae: SAE,
    latent_idx: int,
    steering_coefficient: float = 1.0,
) -> Float[Tensor, "batch seq *any"]:
    """The activations plus `steering_coefficient` times the latent's decoder direction, at every position.

    A new tensor: `activations` stay as they are. At hooks by head, the direction is split into the heads' parts.
    """
    direction = sae.W_dec[latent_idx].view(activations.shape[2:])
    return activations + steering_coefficient * direction.to(activations)


@torch.no_grad()
def generate_with_steering(
    model: Any,
    sae: SAE,
    prompt: str,
    latent_idx: int,
    steering_coefficient: float = 1.0,
    max_new_tokens: int = 50,
    *,
    options: WritingConfig = STEERED,
    generator: torch.Generator | None = None,
    hook_name: str | None = None,
) -> str:
    """The prompt and what the model adds to it while `steering_hook` acts where the SAE writes.

    It acts on every token, those of the prompt and those that are written. Coefficient 0 writes as the model does.
    A latent's largest activation is a good size to begin with.
    """
    place = find_place(model, sae, hook_name)
    check_latents(sae, [latent_idx])
    steer = partial(steering_hook, sae=sae, latent_idx=latent_idx, steering_coefficient=steering_coefficient)
    return write_with_hooks(
        place.lm, prompt, [(place.written_name, steer)], max_new_tokens, options=options, generator=generator
    )
