"""Judges of a toy SAE's encoder and decoder, section 1.5.4.

Shapes:  h "... n_inst d_in"; latents "... n_inst d_sae"; W_enc "n_inst d_in d_sae", W_dec "n_inst d_sae d_in"
"""

import einops
import torch
from torch import Tensor

from arena_lib.checking import Case, exercise, instead_of, outputs_and_gradients
from arena_lib.checking.observing import Observations, Observer, outputs
from arena_lib.saes.toy import functions
from arena_lib.tests.superposition_and_saes.toy_parts import ONE_IS_AN_AXIS

__test__ = False

LEADING: tuple[tuple[str, tuple[int, ...], int, int, int], ...] = (
    ("a batch", (6,), 3, 2, 5),
    ("one instance", (4,), 1, 3, 7),
    ("one example, without a batch axis", (), 4, 3, 2),
    ("two leading axes", (2, 5), 3, 4, 6),
)
"""Label, leading axes, n_inst, d_in and d_sae."""
OWN_WEIGHTS = "each instance has weights of its own"


def encoder_cases(generator: torch.Generator) -> list[Case]:
    """Any number of leading axes; sizes that differ."""
    return [
        Case(
            label=label,
            args=(
                torch.randn(*leading, n_inst, d_in, generator=generator),
                torch.randn(n_inst, d_in, d_sae, generator=generator),
                torch.randn(n_inst, d_sae, generator=generator),
                torch.randn(n_inst, d_in, generator=generator),
            ),
            axes={"output": " ".join(["batch", "seq"][: len(leading)]) + " n_inst d_sae"},
        )
        for label, leading, n_inst, d_in, d_sae in LEADING
    ]


def pre_acts_by_matmul(h: Tensor, W_enc: Tensor, b_enc: Tensor, b_dec: Tensor) -> Tensor:
    """Multiplies out the bracket, a row vector for each instance."""
    shift = b_enc - (b_dec[:, None] @ W_enc)[:, 0]
    return (h[..., None, :] @ W_enc)[..., 0, :] + shift


test_compute_pre_acts = exercise(
    reference=functions.compute_pre_acts,
    cases=encoder_cases,
    observe=outputs_and_gradients,
    accepts=[pre_acts_by_matmul],
    mistakes=[
        *instead_of(
            "centered = h - b_dec",
            {
                "centered = h": (
                    "does not take b_dec away",
                    "the decoder adds b_dec at the end, so the encoder looks at what is left without it",
                ),
                "centered = h + b_dec": ("adds b_dec", "the decoder adds b_dec, so here it is taken away"),
                "centered = b_dec - h": ("turns the sign round", "it's h less b_dec"),
                "centered = h - b_dec.detach()": (
                    "detaches b_dec",
                    "b_dec learns through the encoder too",
                ),
                "centered = h.sub_(b_dec)": ("writes into h", "the arguments stay as they are: make a new tensor"),
                "centered = h - b_dec[:1]": ("takes the first instance's b_dec for all", OWN_WEIGHTS),
            },
        ),
        *instead_of(
            " + b_enc",
            {
                "": ("leaves out b_enc", "each latent has a bias of its own, which is added"),
                " - b_enc": ("subtracts b_enc", "the encoder's bias is added"),
                " + b_enc[:1]": ("takes the first instance's b_enc for all", OWN_WEIGHTS),
            },
        ),
        *instead_of(
            "return einops",
            {
                "return (centered[..., None, :] @ W_enc).squeeze() + b_enc\n    return einops": (
                    "drops every axis of length 1",
                    ONE_IS_AN_AXIS,
                ),
                "W_enc = W_enc[:1].expand_as(W_enc)\n    return einops": (
                    "takes the first instance's W_enc for all",
                    OWN_WEIGHTS,
                ),
                "W_enc = W_enc / W_enc.norm(dim=1, keepdim=True)\n    return einops": (
                    "normalises the encoder",
                    "only the decoder's directions have length 1; the encoder may have any scale",
                ),
            },
        ),
    ],
)


def encode_with_clamp(h: Tensor, W_enc: Tensor, b_enc: Tensor, b_dec: Tensor) -> Tensor:
    """Cuts at zero by clamp, with the whole formula in one place."""
    product = einops.einsum(h - b_dec, W_enc, "... n_inst d_in, n_inst d_in d_sae -> ... n_inst d_sae")
    return (product + b_enc).clamp(min=0.0)


PRE_ACTS = "torch.relu(compute_pre_acts(h, W_enc, b_enc, b_dec))"

test_encode = exercise(
    reference=functions.encode,
    cases=encoder_cases,
    observe=outputs_and_gradients,
    accepts=[encode_with_clamp],
    mistakes=[
        *instead_of(
            PRE_ACTS,
            {
                "compute_pre_acts(h, W_enc, b_enc, b_dec)": (
                    "forgets the ReLU",
                    "a latent is never negative: what lies below zero becomes 0",
                ),
                "compute_pre_acts(h, W_enc, b_enc, b_dec).abs()": (
                    "takes the absolute value",
                    "what lies below zero becomes 0, so that most latents are 0",
                ),
                "-torch.relu(-compute_pre_acts(h, W_enc, b_enc, b_dec))": (
                    "keeps what is negative",
                    "what lies below zero becomes 0, and the rest stays",
                ),
                "compute_pre_acts(h, W_enc, b_enc, b_dec).clamp(0, 1)": (
                    "cuts at 1 too",
                    "above zero a latent may have any size",
                ),
                "torch.sigmoid(compute_pre_acts(h, W_enc, b_enc, b_dec))": (
                    "uses a sigmoid",
                    "a sigmoid is never 0, and latents should be 0 most of the time: ReLU",
                ),
                "torch.nn.functional.gelu(compute_pre_acts(h, W_enc, b_enc, b_dec))": (
                    "uses GELU",
                    "latents are never negative, and stay as they are above zero: ReLU",
                ),
                "torch.relu(compute_pre_acts(h, W_enc, b_enc, b_dec)).detach()": (
                    "detaches the latents",
                    "the encoder learns through them",
                ),
                "(compute_pre_acts(h, W_enc, b_enc, b_dec) > 0).to(h.dtype)": (
                    "says only whether a latent is active",
                    "above zero the latent keeps its size",
                ),
                "torch.relu(compute_pre_acts(h, W_enc, 0 * b_enc, b_dec)) + b_enc": (
                    "adds b_enc after the ReLU",
                    "the bias comes first: that is how it decides when a latent is active",
                ),
                "torch.relu(compute_pre_acts(h, W_enc, b_enc, 0 * b_dec))": (
                    "does not take b_dec away",
                    "the decoder adds b_dec at the end, so the encoder looks at what is left without it",
                ),
                "torch.relu(compute_pre_acts(h, W_enc, 0 * b_enc, b_dec))": (
                    "leaves out b_enc",
                    "each latent has a bias of its own, which is added",
                ),
                "torch.relu(compute_pre_acts(torch.relu(h - b_dec), W_enc, b_enc, 0 * b_dec))": (
                    "applies the ReLU to the input too",
                    "the ReLU comes after the product and the bias, and nowhere else",
                ),
            },
        ),
    ],
)


def decoder_cases(generator: torch.Generator) -> list[Case]:
    """Any number of leading axes; latents that are mostly zero, and directions of any length."""
    return [
        Case(
            label=label,
            args=(
                torch.relu(torch.randn(*leading, n_inst, d_sae, generator=generator)),
                torch.randn(n_inst, d_sae, d_in, generator=generator),
                torch.randn(n_inst, d_in, generator=generator),
            ),
            axes={"output": " ".join(["batch", "seq"][: len(leading)]) + " n_inst d_in"},
        )
        for label, leading, n_inst, d_in, d_sae in LEADING
    ]


def decode_by_sum(latents: Tensor, W_dec: Tensor, b_dec: Tensor) -> Tensor:
    """Adds up the directions, each times its latent."""
    return (latents[..., None] * W_dec).sum(dim=-2) + b_dec


test_decode = exercise(
    reference=functions.decode,
    cases=decoder_cases,
    observe=outputs_and_gradients,
    accepts=[decode_by_sum],
    mistakes=[
        *instead_of(
            " + b_dec",
            {
                "": ("does not add b_dec back", "the encoder took b_dec away, so the decoder adds it"),
                " - b_dec": ("subtracts b_dec", "the encoder took b_dec away, so the decoder adds it"),
                " + b_dec.detach()": ("detaches b_dec", "b_dec learns through the decoder too"),
                " + b_dec[:1]": ("takes the first instance's b_dec for all", OWN_WEIGHTS),
                " + latents.sum(dim=-1, keepdim=True) * b_dec": (
                    "adds b_dec to every direction",
                    "b_dec is added once, however many latents are active",
                ),
            },
        ),
        *instead_of(
            "return einops",
            {
                "return (latents[..., None, :] @ W_dec).squeeze() + b_dec\n    return einops": (
                    "drops every axis of length 1",
                    ONE_IS_AN_AXIS,
                ),
                "W_dec = normalize_decoder(W_dec)\n    return einops": (
                    "normalises the decoder",
                    "decode takes the matrix as it is given; whoever calls it normalises it first",
                ),
                "W_dec = W_dec[:1].expand_as(W_dec)\n    return einops": (
                    "takes the first instance's W_dec for all",
                    OWN_WEIGHTS,
                ),
                "W_dec = W_dec / W_dec.shape[1]\n    return einops": (
                    "takes the mean over latents",
                    "each active latent adds its direction: it's a sum",
                ),
                "latents = (latents > 0).to(latents.dtype)\n    return einops": (
                    "adds each active direction once, whatever its latent says",
                    "a direction counts as much as its latent is large",
                ),
                "return torch.relu(einops.einsum(latents, W_dec, '... i s, i s d -> ... i d') + b_dec)\n    return einops": (
                    "applies a ReLU to the reconstruction",
                    "what is reconstructed may be negative: only latents go through the ReLU",
                ),
            },
        ),
    ],
)


def row_cases(generator: torch.Generator) -> list[Case]:
    """Rows of many lengths, a row of zeros, and an eps that can be seen, longer than some rows."""
    lengths = torch.tensor([1e-3, 0.5, 1.0, 3.0, 200.0])[:, None]
    rows = lengths * torch.randn(3, 5, 4, generator=generator)
    with_zeros = torch.randn(2, 3, 4, generator=generator)
    with_zeros[1, 2] = 0.0
    axes = {"output": "n_inst d_sae d_in"}
    return [
        Case(label="rows of many lengths", args=(rows,), axes=axes),
        Case(label="one number in each row", args=(torch.randn(2, 5, 1, generator=generator),), axes=axes),
        Case(label="a row of zeros", args=(with_zeros,), axes=axes, given={"gradients": False}),
        Case(label="a large eps", args=(0.2 * torch.randn(3, 2, 6, generator=generator), 0.5), axes=axes),
    ]


def rows_seen(function: Observer, case: Case) -> Observations:
    """Values, and gradients but at a row of zeros, where a length has none."""
    observer = outputs if "gradients" in case.given else outputs_and_gradients
    return observer(function, case)


def normalize_by_hand(W_dec: Tensor, eps: float = 1e-8) -> Tensor:
    """Goes back to squares and roots."""
    lengths = einops.reduce(W_dec**2, "n_inst d_sae d_in -> n_inst d_sae 1", "sum") ** 0.5
    return W_dec / (lengths + eps)


A_ROW = "a latent's direction is a row of W_dec: its length is over d_in, the last axis"

test_normalize_decoder = exercise(
    reference=functions.normalize_decoder,
    cases=row_cases,
    observe=rows_seen,
    accepts=[normalize_by_hand],
    mistakes=[
        *instead_of(
            "W_dec.norm(dim=-1, keepdim=True) + eps",
            {
                "W_dec.norm(dim=-2, keepdim=True) + eps": ("normalises over the latents", A_ROW),
                "W_dec.norm(dim=0, keepdim=True) + eps": ("normalises over the instances", A_ROW),
                "W_dec.norm(dim=(-2, -1), keepdim=True) + eps": ("gives the whole matrix length 1", A_ROW),
                "W_dec.norm() + eps": ("gives everything together length 1", A_ROW),
                "W_dec.abs().sum(dim=-1, keepdim=True) + eps": (
                    "divides by the sum of absolute values",
                    "a length is the root of the sum of squares",
                ),
                "W_dec.pow(2).sum(dim=-1, keepdim=True) + eps": (
                    "forgets the root",
                    "a length is the root of the sum of squares",
                ),
                "W_dec.pow(2).mean(dim=-1, keepdim=True).sqrt() + eps": (
                    "takes the mean of squares",
                    "a length is the root of the sum of squares",
                ),
                "W_dec.norm(dim=-1, keepdim=True)": (
                    "leaves out eps",
                    "without it a row of zeros is divided by zero, and becomes NaN",
                ),
                "W_dec.norm(dim=-1, keepdim=True) + 1e-8": ("always takes 1e-8 for eps", "eps is an argument"),
                "W_dec.norm(dim=-1, keepdim=True).clamp(min=eps)": (
                    "divides by the larger of length and eps",
                    "eps is added to the length",
                ),
                "W_dec.pow(2).sum(dim=-1, keepdim=True).add(eps).sqrt()": (
                    "adds eps under the root",
                    "eps is added to the length itself",
                ),
                "W_dec.norm(dim=-1, keepdim=True).detach() + eps": (
                    "detaches the length",
                    "gradients flow through the length too: that is why they can't make a row longer",
                ),
            },
        ),
        *instead_of(
            "return W_dec /",
            {
                "return W_dec *": ("multiplies by the length", "divide by it, so that the length becomes 1"),
                "return W_dec.div_(W_dec.norm(dim=-1, keepdim=True) + eps)\n    return W_dec /": (
                    "writes into W_dec",
                    "the result is a new tensor",
                ),
            },
        ),
    ],
)
