"""What the judges of both ways to resample share: cases with dead latents, what became of the weights, and mistakes.

Shapes:  frac_active_in_window "window n_inst d_sae"; W_enc "n_inst d_in d_sae", W_dec "n_inst d_sae d_in"
"""

from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.saes.toy.sae import ToySAEConfig
from arena_lib.tests.superposition_and_saes.toy_sae_parts import draw_weights, own_parameters

__test__ = False

LIVING = "living latents have learned something: only the dead ones start again"
NEVER = "a latent is dead if it was never active in the whole window"
HANDED_IN = "the generator that was given decides, and goes on from call to call"
SPARSITY_COEF = 10.0
"""Of the SAEs: so large that the whole loss says something else about an example than its reconstruction does."""


def make_window(share: float, n_inst: int, d_sae: int, generator: torch.Generator) -> Tensor:
    """Shares of activity over four updates, in which a latent is dead with probability `share`, others now and then."""
    is_dead = torch.rand(n_inst, d_sae, generator=generator) < share
    window = torch.rand(4, n_inst, d_sae, generator=generator) * (
        torch.rand(4, n_inst, d_sae, generator=generator) < 0.5
    )
    window[2] = window[2].clamp(min=1e-6)
    return window * ~is_dead


def resampling_case(
    label: str, generator: torch.Generator, share: float, sizes: tuple[int, int, int], call: str, **given: Any
) -> Case:
    """A case with a window, and weights of which none is special."""
    n_inst, d_in, d_sae = sizes
    shapes = {"W_enc": (n_inst, d_in, d_sae), "W_dec": (n_inst, d_sae, d_in), "b_enc": (n_inst, d_sae)}
    weights = draw_weights(shapes | {"b_dec": (n_inst, d_in)}, generator)
    window = make_window(share, n_inst, d_sae, generator)
    cfg = ToySAEConfig(n_inst=n_inst, d_in=d_in, d_sae=d_sae, sparsity_coef=SPARSITY_COEF)
    axes = {"returned": "n_inst d_sae"}
    return Case(
        label=label,
        call=f"ToySAE(...).{call}   # window: {tuple(window.shape)}",
        given={"settings": cfg, "weights": weights, "window": window} | given,
        axes=axes,
    )


def afterwards(made: Any, case: Case, is_dead: Tensor, before: dict[str, Tensor]) -> Observations:
    """What became of living latents, and lengths and directions of those that were dead."""
    own = {name: parameter.detach() for name, parameter in own_parameters(made).items()}
    by_latent = {"W_enc": own["W_enc"].mT, "W_dec": own["W_dec"], "b_enc": own["b_enc"]}
    old = {"W_enc": before["W_enc"].mT, "W_dec": before["W_dec"], "b_enc": before["b_enc"]}
    enc, dec = by_latent["W_enc"][is_dead], by_latent["W_dec"][is_dead]
    lengths = enc.norm(dim=-1)
    return {
        "living latents that changed": [
            name for name, tensor in by_latent.items() if not torch.equal(tensor[~is_dead], old[name][~is_dead])
        ],
        "b_dec changed": not torch.equal(own["b_dec"], before["b_dec"]),
        "lengths of new decoder directions": dec.norm(dim=-1),
        "lengths of new encoder directions": lengths,
        "encoder directions are the decoder's": torch.allclose(enc, lengths[:, None] * dec, atol=1e-4),
        "new b_enc": by_latent["b_enc"][is_dead],
        "are trained": all(
            parameter.requires_grad and parameter.is_leaf for parameter in own_parameters(made).values()
        ),
    }


def resampled(case: Case, made: Any, generator: torch.Generator, *arguments: Any) -> tuple[Any, dict[str, Tensor]]:
    """What the case's method returns, and the weights before."""
    before = {name: parameter.detach().clone() for name, parameter in own_parameters(made).items()}
    window = case.given["window"].clone()
    method = made.resample_advanced if arguments else made.resample_simple
    return method(window, case.given["scale"], *arguments, generator), before


def in_finding(method: str) -> tuple[Mistake, ...]:
    """Mistakes about which latents are dead, in a way to resample."""
    return instead_of(
        "is_dead = find_dead(frac_active_in_window)",
        {
            "is_dead = torch.ones_like(frac_active_in_window[0], dtype=torch.bool)": ("resamples all latents", LIVING),
            "is_dead = ~find_dead(frac_active_in_window)": ("resamples the living latents", LIVING),
            "is_dead = find_dead(frac_active_in_window[-1:])": ("looks at the last update only", NEVER),
            "is_dead = frac_active_in_window.mean(dim=0) < 0.01": ("takes rare latents for dead", NEVER),
            "is_dead = (frac_active_in_window == 0).any(dim=0)": (
                "takes a latent for dead that was quiet once",
                NEVER,
            ),
        },
        within=f"ToySAE.{method}",
    )


def in_returning(method: str) -> tuple[Mistake, ...]:
    """Mistakes in what a way to resample returns."""
    return instead_of(
        "return is_dead",
        {
            "return None": ("returns nothing", "it says which latents were dead"),
            "return is_dead.nonzero()": ("returns places", "a mask over all latents is asked for"),
            "return ~is_dead": ("returns the living latents", "True stands for a latent that was dead"),
        },
        within=f"ToySAE.{method}",
    )


IN_REVIVING = (
    *instead_of(
        "zero_latents(self.b_enc, is_dead)",
        {
            "pass": (
                "leaves the biases as they were",
                "with its old bias a latent may be silent again: it becomes 0",
            ),
            "zero_latents(self.b_enc, torch.ones_like(is_dead))": ("sets every bias to 0", LIVING),
        },
        within="ToySAE.revive",
    ),
    *instead_of(
        "replace_latents(self.encoder, self.W_dec, is_dead, directions, enc_norm)",
        {
            "replace_latents(self.encoder.detach().clone(), self.W_dec, is_dead, directions, enc_norm)": (
                "leaves W_enc as it is",
                "with its old encoder a dead latent would stay dead",
            ),
            "replace_latents(self.encoder, self.W_dec.detach().clone(), is_dead, directions, enc_norm)": (
                "leaves W_dec as it is",
                "encoder and decoder of a latent get the same direction",
            ),
        },
        within="ToySAE.revive",
    ),
)
"""Mistakes with the parameters of latents that start again, in both ways."""
