"""Judges of what a model does with a latent that is changed: ablation and steering; section 1.3.3.

Shapes:  latents "batch seq d_sae"; acts "batch seq d_out"; W_dec "d_sae d_out"
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of, outputs, outputs_and_gradients
from arena_lib.checking.observing import Observations
from arena_lib.saes.analysis.interventions import ablation, steering
from arena_lib.tests.interpretability_with_saes.small_models import make_sae

__test__ = False

# -- ablate_sae_latent --------------------------------------------------------------------------------


def ablation_cases(generator: torch.Generator) -> list[Case]:
    """One latent at one position, everywhere; all latents at one; the last position and the first."""

    def case(label: str, latent_idx: int | None, seq_pos: int | None, *shape: int) -> Case:
        latents = 0.1 + torch.rand(*shape, generator=generator)
        return Case(label=label, args=(latents, None, latent_idx, seq_pos), axes={"output": "batch seq d_sae"})

    return [
        case("one latent at one position", 3, 1, 2, 4, 6),
        case("one latent at every position", 2, None, 3, 2, 5),
        case("every latent at one position", None, 2, 2, 4, 3),
        case("every latent everywhere", None, None, 1, 3, 4),
        case("latent 0 at position 0", 0, 0, 2, 3, 4),
        case("the last position", 4, -1, 3, 5, 6),
    ]


def ablate_by_mask(
    sae_acts: Tensor, hook: Any = None, latent_idx: int | None = None, seq_pos: int | None = None
) -> Tensor:
    """Multiplies by a mask."""
    seq, d_sae = sae_acts.shape[1:]
    at = torch.ones(seq, dtype=torch.bool) if seq_pos is None else torch.arange(seq) == seq_pos % seq
    which = torch.ones(d_sae, dtype=torch.bool) if latent_idx is None else torch.arange(d_sae) == latent_idx
    return sae_acts.masked_fill(at[:, None] & which, 0.0)


NONE_IS_ALL = "None means every latent, or every position; 0 is a number like others"

test_ablate_sae_latent = exercise(
    reference=ablation.ablate_sae_latent,
    cases=ablation_cases,
    observe=outputs_and_gradients,
    accepts=[ablate_by_mask],
    free={"hook": "it lets the function be a hook"},
    mistakes=[
        *instead_of(
            "ablated[:, at, which] = 0",
            {
                "ablated[:, :, which] = 0": ("changes every position", "only seq_pos, where it's given"),
                "ablated[:, at] = 0": ("changes every latent", "only latent_idx, where it's given"),
                "ablated[:1, at, which] = 0": ("changes the first text only", "every text of the batch"),
                "ablated[:, at, which] = ablated[:, at, which].mean()": ("writes the mean", "the latent becomes 0"),
                "ablated = ablated * 0\n    ablated[:, at, which] = sae_acts[:, at, which]": (
                    "keeps that latent alone",
                    "that one becomes 0, and all others stay",
                ),
            },
        ),
        Mistake(
            "writes into the latents",
            "ablated = sae_acts.clone()",
            "ablated = sae_acts",
            why="sae_acts stays as it is: make a copy",
        ),
        *instead_of(
            "slice(None) if latent_idx is None else latent_idx",
            {
                "latent_idx or slice(None)": ("takes latent 0 for None", NONE_IS_ALL),
                "slice(0) if latent_idx is None else latent_idx": ("takes None for no latent", NONE_IS_ALL),
            },
        ),
        *instead_of(
            "slice(None) if seq_pos is None",
            {
                "slice(None) if not seq_pos": ("takes position 0 for None", NONE_IS_ALL),
                "slice(0) if seq_pos is None": ("takes None for no position", NONE_IS_ALL),
            },
        ),
    ],
)

# -- apply_latent_change ------------------------------------------------------------------------------


def change_cases(generator: torch.Generator) -> list[Case]:
    """Activations that the latents don't explain well; changes of one latent and of many."""
    cases = []
    for label, leading, d_sae, d_out in (
        ("a batch of texts", (2, 3), 6, 4),
        ("one text", (5,), 3, 7),
        ("one token", (), 4, 2),
    ):
        acts = torch.randn(*leading, d_out, generator=generator)
        latents = torch.randn(*leading, d_sae, generator=generator).relu()
        changed = torch.where(torch.rand(latents.shape, generator=generator) < 0.5, latents * 0, latents + 0.3)
        cases.append(Case(label=label, args=(acts, latents, changed, torch.randn(d_sae, d_out, generator=generator))))
    return cases


def change_by_parts(acts: Tensor, latents: Tensor, changed: Tensor, W_dec: Tensor) -> Tensor:
    """The new reconstruction and the old error, one after the other."""
    error = acts - latents @ W_dec
    return changed @ W_dec + error


ERROR_STAYS = "what the autoencoder doesn't explain stays in, so that the change of latents makes the only difference"

test_apply_latent_change = exercise(
    reference=ablation.apply_latent_change,
    cases=change_cases,
    observe=outputs_and_gradients,
    accepts=[change_by_parts],
    mistakes=[
        *instead_of(
            "acts + (changed - latents) @ W_dec",
            {
                "changed @ W_dec": ("forgets the error", ERROR_STAYS),
                "(changed - latents) @ W_dec": ("gives the change alone", "the change is added to the activations"),
                "acts - latents @ W_dec": ("takes out every latent", ERROR_STAYS),
                "acts.add_((changed - latents) @ W_dec)": (
                    "writes into the activations",
                    "they stay as they are: make a new tensor",
                ),
                "acts + changed @ W_dec": ("doesn't take the old latents out", "the change is changed less latents"),
                "acts + (latents - changed) @ W_dec": ("turns the change round", "the change is changed less latents"),
                "changed @ W_dec + (acts - changed @ W_dec)": (
                    "takes the error of the changed latents",
                    "the error is what the latents as they were leave unexplained",
                ),
                "(acts - latents @ W_dec).detach() + changed @ W_dec": (
                    "detaches the error",
                    "gradients of acts and of latents flow through all of it",
                ),
                "acts + (changed - latents).relu() @ W_dec": (
                    "allows growth only",
                    "a change may make latents smaller",
                ),
                "acts + (changed - latents) @ (W_dec / W_dec.norm(dim=-1, keepdim=True))": (
                    "normalises the directions",
                    "W_dec is used as it is",
                ),
            },
        ),
    ],
)

# -- steering_hook ------------------------------------------------------------------------------------


def steering_cases(generator: torch.Generator) -> list[Case]:
    """A stream, heads, half precision, a coefficient below 0; the SAE is square, so that rows and columns fit alike."""
    square, heads = make_sae(generator, d_in=6, d_sae=6), make_sae(generator, d_in=6, d_sae=7)

    def case(
        label: str, sae: Any, shape: tuple[int, ...], latent: int, coefficient: float, dtype: Any = torch.float32
    ) -> Case:
        activations = torch.randn(*shape, generator=generator).to(dtype)
        return Case(
            label=label,
            args=(activations, None),
            kwargs={"sae": sae, "latent_idx": latent, "steering_coefficient": coefficient},
        )

    return [
        case("a stream", square, (2, 4, 6), 3, 2.5),
        case("against the direction", heads, (1, 3, 6), 5, -4.0),
        case("heads", heads, (2, 3, 3, 2), 2, 1.5),
        case("a model in bfloat16", heads, (2, 2, 6), 6, 3.0, torch.bfloat16),
        case("one token, as it's written", square, (1, 1, 6), 0, 0.5),
    ]


def steered(function: Callable[..., Any], case: Case) -> Observations:
    """What comes out; in half precision, where the order of two steps shows, only of which kind."""
    seen = outputs(function, case)
    result = seen["output"]
    if not isinstance(result, Tensor) or result.dtype == torch.float32:
        return seen
    return seen | {"output": f"a {result.dtype} tensor of shape {tuple(result.shape)}"}


def steer_by_loop(
    activations: Tensor, hook: Any = None, *, sae: Any, latent_idx: int, steering_coefficient: float = 1.0
) -> Tensor:
    """Writes into a copy."""
    steered_acts = activations.clone()
    flat = steered_acts.flatten(2)
    flat += (steering_coefficient * sae.W_dec[latent_idx]).to(activations.dtype)
    return flat.view_as(activations)


ROW = "a latent writes along its row of W_dec"
PLUS = "activations + steering_coefficient * direction"

test_steering_hook = exercise(
    reference=steering.steering_hook,
    cases=steering_cases,
    observe=steered,
    accepts=[steer_by_loop],
    free={"hook": "it lets the function be a hook"},
    mistakes=[
        *instead_of(
            "sae.W_dec[latent_idx]",
            {
                "sae.W_dec[:, latent_idx % sae.W_dec.shape[1]][: sae.W_dec.shape[1]]": (
                    "takes a column of W_dec",
                    ROW,
                ),
                "sae.W_enc[:, latent_idx]": ("takes the encoder's direction", ROW),
                "(sae.W_dec[latent_idx] + sae.b_dec)": ("adds b_dec too", "the bias belongs to the reconstruction"),
                "sae.W_dec[0]": ("always takes the first latent", "latent_idx says which one"),
                "(sae.W_dec[latent_idx] / sae.W_dec[latent_idx].norm())": (
                    "normalises the direction",
                    "the row is used as it is",
                ),
            },
        ),
        Mistake(
            "doesn't split the direction into heads",
            "sae.W_dec[latent_idx].view(activations.shape[2:])",
            "sae.W_dec[latent_idx]",
            why="at hooks by head, each head gets its part of the direction: give it the shape of the last two axes",
            raises="RuntimeError",
        ),
        *instead_of(
            "return activations + steering_coefficient * direction.to(activations)",
            {
                "return activations + direction.to(activations)": ("forgets the coefficient", PLUS),
                "return activations - steering_coefficient * direction.to(activations)": ("subtracts", PLUS),
                "return steering_coefficient * direction.to(activations).expand_as(activations)": (
                    "replaces the activations",
                    PLUS,
                ),
                "return activations + steering_coefficient * direction": (
                    "changes the dtype",
                    "what goes on in the model has the model's dtype",
                ),
                "steered = activations.clone()\n    steered[:, -1] += steering_coefficient * direction.to(activations)\n"
                "    return steered": ("steers the last position alone", "every position is steered"),
                "return activations.add_(steering_coefficient * direction.to(activations))": (
                    "writes into the activations",
                    "a new tensor: the activations stay as they are",
                ),
            },
        ),
    ],
)
