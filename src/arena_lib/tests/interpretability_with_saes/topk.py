"""Judges of what makes an autoencoder a TopK autoencoder, section 1.3.3.

Shapes:  pre_acts and latents "*batch d_sae"; W_dec "d_sae d_out"; error "batch d_out"
"""

import einops
import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of, outputs_and_gradients
from arena_lib.saes.autoencoders import functions, topk

__test__ = False

# -- keep_top_k ---------------------------------------------------------------------------------------


def selection_cases(generator: torch.Generator) -> list[Case]:
    """Rows with many and with few positive entries; any leading axes; k from 1 to all."""

    def case(label: str, shape: tuple[int, ...], k: int, shift: float, words: str) -> Case:
        pre_acts = torch.randn(*shape, generator=generator) + shift
        return Case(label=label, args=(pre_acts, k), axes={"output": words})

    return [
        case("a batch", (6, 9), 3, 0.3, "batch d_sae"),
        case("a batch of texts", (2, 4, 7), 2, 0.5, "batch seq d_sae"),
        case("one example without a batch axis", (8,), 3, 1.0, "d_sae"),
        case("fewer positive entries than k", (5, 6), 4, -1.0, "batch d_sae"),
        case("only the largest", (4, 5), 1, 0.0, "batch d_sae"),
        case("k is all of them", (3, 4), 4, 0.0, "batch d_sae"),
    ]


def keep_by_threshold(pre_acts: Tensor, k: int) -> Tensor:
    """Compares with the k-th largest entry of each example."""
    kth = pre_acts.sort(dim=-1, descending=True).values[..., k - 1 : k]
    return torch.where(pre_acts >= kth, pre_acts, 0.0).clamp(min=0)


def keep_by_mask(pre_acts: Tensor, k: int) -> Tensor:
    """Cuts at zero first, and multiplies by a mask."""
    positive = pre_acts.relu()
    mask = torch.zeros_like(positive)
    mask.scatter_(-1, positive.topk(k).indices, 1.0)
    return positive * mask


def keep_for_each_latent(pre_acts: Tensor, k: int) -> Tensor:
    """The mistake of taking the k largest examples of each latent."""
    values, indices = pre_acts.topk(min(k, len(pre_acts)), dim=0)
    return torch.zeros_like(pre_acts).scatter(0, indices, values.relu())


def keep_of_the_batch(pre_acts: Tensor, k: int) -> Tensor:
    """The mistake of taking k for each example on average."""
    flat = pre_acts.flatten()
    values, indices = flat.topk(k * pre_acts.shape[:-1].numel())
    return torch.zeros_like(flat).scatter(0, indices, values.relu()).view_as(pre_acts)


def keep_along_axis_1(pre_acts: Tensor, k: int) -> Tensor:
    """The mistake of choosing along the second axis, which is the last one of a batch alone."""
    dim = min(1, pre_acts.ndim - 1)
    values, indices = pre_acts.topk(k, dim=dim)
    return torch.zeros_like(pre_acts).scatter(dim, indices, values.relu())


EACH_EXAMPLE = "every example keeps its own k: pick along the last axis"

test_keep_top_k = exercise(
    reference=functions.keep_top_k,
    cases=selection_cases,
    observe=outputs_and_gradients,
    accepts=[keep_by_threshold, keep_by_mask],
    mistakes=[
        *instead_of(
            "values.relu()",
            {
                "values": ("keeps negative entries", "a latent is never negative, even if it's among the k largest"),
                "values.abs()": ("takes absolute values", "what is negative becomes 0"),
                "values.relu().detach()": ("detaches the latents", "the encoder learns through the entries that stay"),
                "(values > 0).to(values.dtype)": ("writes 1 for the entries that stay", "they keep their values"),
            },
        ),
        *instead_of(
            "pre_acts.topk(k, dim=-1, sorted=False)",
            {
                "pre_acts.topk(min(k + 1, pre_acts.shape[-1]), dim=-1, sorted=False)": (
                    "keeps k + 1",
                    "at most k latents are active",
                ),
                "pre_acts.topk(k - 1, dim=-1, sorted=False)": ("keeps k - 1", "the k-th largest stays, too"),
                "pre_acts.topk(k, dim=-1, largest=False, sorted=False)": ("keeps the k smallest", "the largest stay"),
                "(pre_acts.gather(-1, pre_acts.abs().topk(k, dim=-1).indices), pre_acts.abs().topk(k, dim=-1).indices)": (
                    "chooses by absolute value",
                    "a strongly negative entry isn't active: choose by the entries themselves",
                ),
            },
        ),
        Mistake("keeps each latent's k largest examples", function=keep_for_each_latent, why=EACH_EXAMPLE),
        Mistake("chooses along axis 1", function=keep_along_axis_1, why=EACH_EXAMPLE),
        Mistake("keeps the largest of the whole batch", function=keep_of_the_batch, why=EACH_EXAMPLE),
    ],
    equivalent={
        "values, indices = pre_acts.topk(k, dim=-1, sorted=False) -> values, indices = pre_acts.topk(k, sorted=False)": (
            "the last axis is topk's default"
        ),
        "values, indices = pre_acts.topk(k, dim=-1, sorted=False) -> values, indices = pre_acts.topk(k, dim=-1)": (
            "scatter doesn't mind the order of the k"
        ),
        "values, indices = pre_acts.topk(k, dim=-1, sorted=False) -> "
        "values, indices = pre_acts.topk(k, dim=-1, sorted=True)": "scatter doesn't mind the order of the k",
    },
)

# -- decode_latents -----------------------------------------------------------------------------------


def decoding_cases(generator: torch.Generator) -> list[Case]:
    """Sparse latents and directions of any length; any leading axes."""
    sizes: tuple[tuple[str, tuple[int, ...], int, int, str], ...] = (
        ("a batch", (5,), 7, 3, "batch d_out"),
        ("a batch of texts", (2, 4), 6, 5, "batch seq d_out"),
        ("one example without a batch axis", (), 4, 6, "d_out"),
    )
    return [
        Case(
            label=label,
            args=(
                torch.randn(*leading, d_sae, generator=generator).relu(),
                torch.randn(d_sae, d_out, generator=generator),
                torch.randn(d_out, generator=generator),
            ),
            axes={"output": words},
        )
        for label, leading, d_sae, d_out, words in sizes
    ]


def decode_by_einsum(latents: Tensor, W_dec: Tensor, b_dec: Tensor) -> Tensor:
    """Says which axis goes."""
    return b_dec + einops.einsum(latents, W_dec, "... d_sae, d_sae d_out -> ... d_out")


def decode_by_rows(latents: Tensor, W_dec: Tensor, b_dec: Tensor) -> Tensor:
    """Adds one direction after the other."""
    recon = b_dec.expand(*latents.shape[:-1], -1)
    for i, direction in enumerate(W_dec):
        recon = recon + latents[..., i, None] * direction
    return recon


test_decode_latents = exercise(
    reference=functions.decode_latents,
    cases=decoding_cases,
    observe=outputs_and_gradients,
    accepts=[decode_by_einsum, decode_by_rows],
    mistakes=[
        *instead_of(
            " + b_dec",
            {
                "": ("forgets b_dec", "the bias is part of every reconstruction"),
                " - b_dec": ("subtracts b_dec", "the encoder took it away, so the decoder adds it"),
                " + b_dec.detach()": ("detaches b_dec", "b_dec is learned too"),
                " + b_dec.sum()": ("adds one number for b_dec", "each of the d_out entries has its own bias"),
                " + b_dec * (latents > 0).sum(dim=-1, keepdim=True)": (
                    "adds b_dec for each active latent",
                    "the bias is added once",
                ),
            },
        ),
        *instead_of(
            "latents @ W_dec",
            {
                "(latents > 0).to(latents) @ W_dec": (
                    "adds each active direction once",
                    "a direction counts as much as its latent is large",
                ),
                "latents @ (W_dec / W_dec.norm(dim=-1, keepdim=True))": (
                    "normalises the directions",
                    "the matrix is used as it is; keeping its rows at length 1 is training's job",
                ),
                "latents @ W_dec / len(W_dec)": ("takes the mean over latents", "the directions are summed"),
                "latents @ W_dec / (latents > 0).sum(dim=-1, keepdim=True).clamp(min=1)": (
                    "takes the mean over active latents",
                    "the directions are summed",
                ),
            },
        ),
        *instead_of(
            "latents @ W_dec + b_dec",
            {
                "(latents @ W_dec + b_dec).relu()": (
                    "applies a ReLU to the reconstruction",
                    "activations may be negative: only latents may not",
                ),
                "(latents + b_dec.mean()) @ W_dec": (
                    "adds the bias before the product",
                    "b_dec has d_out entries and is added to the reconstruction",
                ),
                "torch.addmm(b_dec, latents, W_dec)": (
                    "asks for two axes",
                    "there may be any number of axes before the last one: @ takes them all",
                    "RuntimeError",
                ),
            },
        ),
    ],
)

# -- compute_aux_error --------------------------------------------------------------------------------


def dead_cases(generator: torch.Generator) -> list[Case]:
    """More dead latents than k_aux, as many, and fewer."""
    sizes = (
        ("more dead latents than k_aux", 6, 7, 4, 3),
        ("fewer dead latents than k_aux", 5, 2, 3, 4),
        ("as many as k_aux", 4, 3, 5, 3),
        ("one example, one latent each", 1, 5, 3, 1),
    )
    return [
        Case(
            label=label,
            args=(
                torch.randn(batch, n_dead, generator=generator),
                torch.randn(n_dead, d_out, generator=generator),
                torch.randn(batch, d_out, generator=generator),
                k_aux,
            ),
        )
        for label, batch, n_dead, d_out, k_aux in sizes
    ]


def aux_error_by_hand(pre_acts: Tensor, W_dec: Tensor, error: Tensor, k_aux: int) -> Tensor:
    """With a mask in place of keep_top_k."""
    n_kept = min(k_aux, len(W_dec))
    mask = pre_acts >= pre_acts.sort(dim=1, descending=True).values[:, n_kept - 1 : n_kept]
    missed = error - torch.where(mask, pre_acts, 0.0).clamp(min=0) @ W_dec
    return (missed**2).mean(dim=0).sum()


test_compute_aux_error = exercise(
    reference=topk.compute_aux_error,
    cases=dead_cases,
    observe=outputs_and_gradients,
    accepts=[aux_error_by_hand],
    mistakes=[
        *instead_of(
            "keep_top_k(pre_acts, min(k_aux, pre_acts.shape[-1]))",
            {
                "pre_acts.relu()": (
                    "uses every dead latent",
                    "k_aux dead latents explain each example, so that each learns something of its own",
                ),
                "pre_acts": ("takes the pre-activations for latents", "only the k_aux largest count, and none below 0"),
                "(keep_top_k(pre_acts - pre_acts.min() + 1, min(k_aux, pre_acts.shape[-1])) > 0) * pre_acts": (
                    "decodes negative pre-activations",
                    "a latent is never negative: among the k_aux largest, too, what is below 0 becomes 0",
                ),
                "keep_top_k(pre_acts, k_aux)": (
                    "always asks for k_aux latents",
                    "where fewer latents are dead, all of them are used",
                    "RuntimeError",
                ),
                "keep_top_k(pre_acts.detach(), min(k_aux, pre_acts.shape[-1]))": (
                    "detaches the pre-activations",
                    "the encoder of a dead latent must learn to be active again",
                ),
                "torch.nn.functional.pad(pre_acts.topk(min(k_aux, pre_acts.shape[-1])).values.relu(), "
                "(0, pre_acts.shape[-1] - min(k_aux, pre_acts.shape[-1])))": (
                    "moves the chosen latents to the front",
                    "a latent stays at its own place, so that it meets its own direction",
                ),
            },
        ),
        *instead_of(
            "compute_squared_error(latents @ W_dec, error)",
            {
                "compute_squared_error(latents @ W_dec, -error)": (
                    "turns the sign of the error round",
                    "dead latents should produce what is missing: the target less the reconstruction",
                ),
                "compute_squared_error(latents @ W_dec, error) / error.shape[-1]": (
                    "takes the mean over d_out",
                    "a distance sums over d_out; the mean is over the batch alone",
                ),
                "compute_squared_error(latents @ W_dec, error) * len(error)": (
                    "sums over the batch",
                    "the mean over the batch",
                ),
                "compute_squared_error(latents @ W_dec, error).sqrt()": ("takes a root", "the distance is squared"),
                "compute_squared_error(latents @ W_dec, error) / compute_spread(error)": (
                    "divides by the error's spread",
                    "the caller divides, by the spread of the target",
                ),
                "compute_squared_error(latents @ W_dec.detach(), error)": (
                    "detaches the directions",
                    "the directions of dead latents are what should learn",
                ),
            },
        ),
    ],
    equivalent={
        "return compute_squared_error(latents @ W_dec, error) -> "
        "return compute_squared_error(error, latents @ W_dec)": "a squared distance is the same both ways"
    },
)

# -- remove_radial_gradient ---------------------------------------------------------------------------


def gradient_cases(generator: torch.Generator) -> list[Case]:
    """Directions of length 1, as the function says."""
    cases = []
    for label, d_sae, d_out in (("many latents", 7, 4), ("fewer latents than entries", 2, 5), ("one latent", 1, 3)):
        W_dec = functions.make_directions(d_sae, d_out, generator)
        cases.append(Case(label=label, args=(torch.randn(d_sae, d_out, generator=generator), W_dec)))
    radial = 3 * functions.make_directions(3, 4, generator)
    return [*cases, Case(label="a gradient along the direction itself", args=(radial, radial / 3))]


def tangent_by_projector(gradient: Tensor, W_dec: Tensor) -> Tensor:
    """One projector for each latent."""
    projectors = torch.eye(W_dec.shape[1]) - W_dec[:, :, None] * W_dec[:, None, :]
    return (projectors @ gradient[:, :, None])[..., 0]


test_remove_radial_gradient = exercise(
    reference=functions.remove_radial_gradient,
    cases=gradient_cases,
    observe=outputs_and_gradients,
    accepts=[tangent_by_projector],
    mistakes=[
        *instead_of(
            "gradient - (gradient * W_dec).sum(dim=-1, keepdim=True) * W_dec",
            {
                "gradient + (gradient * W_dec).sum(dim=-1, keepdim=True) * W_dec": (
                    "adds the radial part",
                    "the part along the direction is taken away",
                ),
                "(gradient * W_dec).sum(dim=-1, keepdim=True) * W_dec": (
                    "keeps nothing but the radial part",
                    "what remains is the gradient less that part",
                ),
                "gradient - (gradient * W_dec).sum(dim=0, keepdim=True) * W_dec": (
                    "takes the dot product over the latents",
                    "a latent's direction is a row of W_dec: sum over d_out",
                ),
                "gradient.sub_((gradient * W_dec).sum(dim=-1, keepdim=True) * W_dec)": (
                    "writes into the gradient",
                    "it belongs to the caller: make a new tensor",
                ),
                "gradient - (gradient * W_dec).sum() * W_dec": (
                    "takes one dot product for all latents",
                    "each latent has its own",
                ),
                "gradient - (gradient * W_dec).mean(dim=-1, keepdim=True) * W_dec": (
                    "takes the mean",
                    "a dot product is a sum",
                ),
                "gradient - (gradient * W_dec).sum(dim=-1, keepdim=True)": (
                    "subtracts the number, not the vector",
                    "the radial part is that number times the direction",
                ),
                "gradient - (gradient * W_dec).sum(dim=-1, keepdim=True) * gradient": (
                    "scales the gradient",
                    "the radial part lies along the direction, not along the gradient",
                ),
                "gradient - gradient * W_dec * W_dec": (
                    "multiplies entry by entry",
                    "the dot product sums over d_out first",
                ),
            },
        ),
    ],
)
