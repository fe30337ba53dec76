"""Judges of the terms of a toy SAE's loss, and of what it finds, section 1.5.4.

Shapes:  recon and h "batch n_inst d_in"; latents "batch n_inst d_sae"; W_dec "n_inst d_sae d_in"
"""

import einops
import torch
from torch import Tensor

from arena_lib.checking import Case, exercise, instead_of, outputs, outputs_and_gradients
from arena_lib.saes.toy import functions, sae
from arena_lib.tests.superposition_and_saes.toy_sae_parts import without_gradient_of

__test__ = False

SIZES = (("a batch", 7, 3, 4), ("one example", 1, 2, 3), ("one instance", 5, 1, 2))
"""Label, batch, n_inst, and the length of the last axis."""
AXES = {"output": "batch n_inst"}
EACH = "each example of each instance has a loss of its own: only the last axis goes"


def reconstruction_cases(generator: torch.Generator) -> list[Case]:
    """Errors of both signs."""
    return [
        Case(
            label=label,
            args=tuple(torch.randn(batch, n_inst, d_in, generator=generator) for _ in range(2)),
            axes=AXES,
        )
        for label, batch, n_inst, d_in in SIZES
    ]


def squared_distance_over_width(recon: Tensor, h: Tensor) -> Tensor:
    """The squared length of the error, over the number of entries."""
    error = h - recon
    return einops.einsum(error, error, "batch n_inst d_in, batch n_inst d_in -> batch n_inst") / h.shape[-1]


test_compute_reconstruction_loss = exercise(
    reference=functions.compute_reconstruction_loss,
    cases=reconstruction_cases,
    observe=without_gradient_of("h"),
    accepts=[squared_distance_over_width],
    mistakes=[
        *instead_of(
            "(recon - h).pow(2).mean(dim=-1)",
            {
                "(recon - h).pow(2).sum(dim=-1)": (
                    "takes the sum over d_in",
                    "the mean over d_in is asked for, so that one sparsity coefficient suits several widths",
                ),
                "(recon - h).pow(2).sum(dim=-1).sqrt()": (
                    "takes the distance instead of its square",
                    "the mean of squares is asked for, without a root",
                ),
                "(recon - h).abs().mean(dim=-1)": ("takes absolute errors", "each error is squared"),
                "(recon - h).mean(dim=-1).pow(2)": (
                    "squares the mean error",
                    "each entry's error is squared first, or errors of both signs cancel",
                ),
                "(recon - h).pow(2).mean(dim=-1) / 2": ("halves the loss", "there is no factor of a half here"),
                "(recon + h).pow(2).mean(dim=-1)": ("adds recon and h", "the error is their difference"),
                "(recon - h).pow(2).mean()": ("takes the mean over everything", EACH),
                "(recon - h).pow(2).mean(dim=0)": ("takes the mean over the batch", EACH),
                "(recon - h).pow(2).mean(dim=(0, 2))": ("takes the mean over the batch too", EACH),
                "(recon - h).pow(2).mean(dim=-1).mean(dim=0).expand(len(h), -1)": (
                    "gives every example the batch's mean",
                    EACH,
                ),
                "(recon.detach() - h).pow(2).mean(dim=-1)": (
                    "detaches the reconstruction",
                    "encoder and decoder learn through it",
                ),
                "((recon - h).pow(2) / (h.pow(2) + 1e-8)).mean(dim=-1)": (
                    "divides by the input",
                    "errors count as they are, whatever they are compared with",
                ),
            },
        ),
    ],
)


def l1_cases(generator: torch.Generator) -> list[Case]:
    """Latents that are mostly zero; numbers of both signs, since the function is for any."""
    cases = []
    for label, batch, n_inst, d_sae in SIZES:
        latents = torch.randn(batch, n_inst, d_sae, generator=generator)
        cases.append(Case(label=label, args=(latents,), axes=AXES))
    active = torch.relu(torch.randn(6, 2, 5, generator=generator))
    return [*cases, Case(label="latents after a ReLU", args=(active,), axes=AXES)]


def l1_by_norm(latents: Tensor) -> Tensor:
    """The norm with p = 1."""
    return torch.linalg.vector_norm(latents, ord=1, dim=-1)


test_compute_l1_loss = exercise(
    reference=functions.compute_l1_loss,
    cases=l1_cases,
    observe=outputs_and_gradients,
    accepts=[l1_by_norm],
    mistakes=[
        *instead_of(
            "latents.abs().sum(dim=-1)",
            {
                "latents.abs().mean(dim=-1)": ("takes the mean over the latents", "the sum over d_sae is asked for"),
                "latents.abs().sum(dim=0)": ("sums over the batch", EACH),
                "latents.abs().sum(dim=1)": ("sums over the instances", EACH),
                "latents.abs().sum()": ("sums over everything", EACH),
                "latents.abs().sum(dim=-1).mean(dim=0)": ("takes the mean over the batch too", EACH),
                "latents.abs().sum(dim=-1).mean(dim=0).expand(len(latents), -1)": (
                    "gives every example the batch's mean",
                    EACH,
                ),
                "latents.sum(dim=-1)": (
                    "leaves out the absolute value",
                    "negative numbers must cost as much as positive ones",
                ),
                "latents.sum(dim=-1).abs()": (
                    "takes the absolute value of the sum",
                    "each latent's absolute value comes first, or numbers of both signs cancel",
                ),
                "latents.pow(2).sum(dim=-1)": (
                    "squares the latents",
                    "L1 is the sum of absolute values; squares hardly push small latents to zero",
                ),
                "latents.norm(dim=-1)": (
                    "takes the length",
                    "L1 is the sum of absolute values; a length doesn't push single latents to zero",
                ),
                "(latents != 0).float().sum(dim=-1)": (
                    "counts the active latents",
                    "that is L0, which has no gradient; L1 adds up absolute values",
                ),
                "latents.abs().amax(dim=-1)": ("takes the largest latent", "all latents' absolute values are added"),
                "latents.detach().abs().sum(dim=-1)": (
                    "detaches the latents",
                    "L1 makes latents sparse by its gradient",
                ),
            },
        ),
    ],
)


def recovery_cases(generator: torch.Generator) -> list[Case]:
    """Directions of any length; one that points the other way; more latents than features, and fewer."""
    sizes = (("more latents than features", 3, 7, 4, 5), ("fewer latents than features", 2, 3, 2, 6))
    cases = [
        Case(
            label=label,
            args=(
                3 * torch.randn(n_inst, d_sae, d_in, generator=generator),
                torch.randn(n_inst, d_in, n_feats, generator=generator),
            ),
            axes={"output": "n_inst n_feats"},
        )
        for label, n_inst, d_sae, d_in, n_feats in sizes
    ]
    W = torch.randn(1, 3, 2, generator=generator)
    opposite = torch.stack([-2 * W[0, :, 0], 0.1 * W[0, :, 1]])[None]
    return [
        *cases,
        Case(label="one latent points the other way", args=(opposite, W), axes={"output": "n_inst n_feats"}),
    ]


def recovery_by_torch(W_dec: Tensor, W: Tensor) -> Tensor:
    """Torch's cosine similarity of every pair."""
    return torch.cosine_similarity(W_dec[:, :, None], W.mT[:, None], dim=-1).detach().max(dim=1).values


test_compute_recovery = exercise(
    reference=sae.compute_recovery,
    cases=recovery_cases,
    observe=outputs,
    accepts=[recovery_by_torch],
    mistakes=[
        *instead_of(
            "cosines.amax(dim=1)",
            {
                "cosines.amax(dim=2)": (
                    "asks for each latent which feature is nearest",
                    "each feature asks which latent is nearest: the maximum is over d_sae",
                ),
                "cosines.amax(dim=0)": ("takes the maximum over instances", "each instance has its own features"),
                "cosines.mean(dim=1)": ("takes the mean over latents", "one latent that fits is enough: the maximum"),
                "cosines.abs().amax(dim=1)": (
                    "takes absolute values",
                    "latents are never negative, so a direction that points the other way finds nothing",
                ),
                "cosines.amin(dim=1)": ("takes the minimum", "the best latent counts: the maximum"),
                "cosines.pow(2).amax(dim=1)": ("squares the cosines", "the cosine itself is asked for"),
            },
        ),
        *instead_of(
            "latents = normalize_decoder(W_dec)",
            {
                "latents = W_dec": (
                    "does not normalise the latents' directions",
                    "a cosine is the product of two vectors of length 1",
                ),
                "latents = normalize_decoder(W_dec[:1].expand_as(W_dec))": (
                    "looks for every instance among the first one's latents",
                    "each instance has latents of its own",
                ),
                "latents = normalize_decoder(W_dec.mT).mT": (
                    "normalises the decoder over the latents",
                    "a latent's direction is a row of W_dec: its length is over d_in",
                ),
            },
        ),
        *instead_of(
            'normalize_decoder(einops.rearrange(W, "n_inst d_in n_feats -> n_inst n_feats d_in"))',
            {
                'einops.rearrange(W, "n_inst d_in n_feats -> n_inst n_feats d_in")': (
                    "does not normalise the features' directions",
                    "a cosine is the product of two vectors of length 1",
                ),
                "normalize_decoder(W).mT": (
                    "normalises the rows of W",
                    "a feature's direction is a column of W: its length is over d_in",
                ),
            },
        ),
    ],
)
