"""Judges of how features lie in the hidden space, section 1.5.4.

Shapes:  W "n_inst d_hidden n_feats" -> "n_inst n_feats"
"""

import einops
import torch
from torch import Tensor

from arena_lib.checking import Case, exercise, instead_of, outputs_and_gradients
from arena_lib.saes.superposition import geometry

__test__ = False


def directions(generator: torch.Generator, *, has_zeros: bool) -> dict[str, Tensor]:
    """Matrices of several shapes; known figures; features of length 0, and a short one."""
    pentagon = torch.arange(5) * 2 * torch.pi / 5
    known = {
        "one instance, one dimension": torch.tensor([[[1.0, -0.5, 2.0]]]),
        "an orthogonal pair, and an antipodal one": torch.tensor([[[1.2, 0.0], [0.0, 0.7]], [[0.9, -1.1], [0.0, 0.0]]]),
        "a pentagon": torch.stack([pentagon.cos(), pentagon.sin()])[None],
        "a feature alone": torch.tensor([[[0.3], [0.4], [-1.2]]]),
    }
    matrices = {
        "three instances": torch.randn(3, 2, 5, generator=generator),
        "more dimensions than features": torch.randn(2, 6, 4, generator=generator),
    } | known
    if has_zeros:
        absent = torch.randn(2, 3, 4, generator=generator)
        absent[0, :, 1], absent[1, :, 2] = 0.0, 1e-3 * absent[1, :, 2]
        matrices["a feature of length 0, and a short one"] = absent
    return matrices


def norm_cases(generator: torch.Generator) -> list[Case]:
    """Several shapes; no length of 0, where the gradient is anybody's choice."""
    return [Case(label=label, args=(W,)) for label, W in directions(generator, has_zeros=False).items()]


def norms_by_hand(W: Tensor) -> Tensor:
    """The root of the sum of squares."""
    return einops.reduce(W**2, "inst hidden feats -> inst feats", "sum").sqrt()


def norms_by_gram(W: Tensor) -> Tensor:
    """From the diagonal of W^T W."""
    return torch.linalg.vector_norm(W, dim=-2)


ROOT = "a length is the root of the sum of squares"

test_compute_feature_norms = exercise(
    reference=geometry.compute_feature_norms,
    cases=norm_cases,
    observe=outputs_and_gradients,
    accepts=[norms_by_hand, norms_by_gram],
    mistakes=[
        *instead_of(
            "W.norm(dim=1)",
            {
                "W.norm(dim=-1)": (
                    "takes the length of each row",
                    "a feature is a column of W: the length goes over d_hidden",
                ),
                "W.norm(dim=0)": ("takes the length over the instances", "the length goes over d_hidden"),
                "W.pow(2).sum(dim=1)": ("forgets the root", ROOT),
                "W.abs().sum(dim=1)": ("adds up absolute values", ROOT),
                "W.sum(dim=1)": ("adds up the entries", ROOT),
                "W.abs().amax(dim=1)": ("takes the largest entry", ROOT),
                "W.pow(2).mean(dim=1).sqrt()": ("takes the mean of the squares", ROOT + ", not of their mean"),
                "W.norm(dim=1).detach()": ("cuts the gradient", "the lengths are a plain function of W"),
            },
        ),
    ],
)


def interference_cases(generator: torch.Generator) -> list[Case]:
    """Several shapes, known figures, features of length 0."""
    return [Case(label=label, args=(W,)) for label, W in directions(generator, has_zeros=True).items()]


def interference_by_mask(W: Tensor) -> Tensor:
    """Fills the diagonal with zeros before the sum."""
    unit = torch.nn.functional.normalize(W, dim=1)
    squared = (unit.mT @ W).square()
    return squared.masked_fill(torch.eye(W.shape[-1], dtype=torch.bool), 0.0).sum(dim=-1)


def interference_by_loop(W: Tensor) -> Tensor:
    """Goes through features, and leaves each out."""
    result = torch.zeros(W.shape[0], W.shape[2])
    for i in range(W.shape[2]):
        length = W[:, :, i].norm(dim=1)
        unit = torch.where(length[:, None] > 0, W[:, :, i] / length[:, None], 0.0)
        for j in set(range(W.shape[2])) - {i}:
            result[:, i] += (unit * W[:, :, j]).sum(dim=1) ** 2
    return result


OVERLAPS = 'einops.einsum(\n        directions, W, "n_inst d_hidden n_feats_i, n_inst d_hidden n_feats_j -> n_inst n_feats_i n_feats_j"\n    )'
GRAM = '"n_inst d_hidden n_feats_i, n_inst d_hidden n_feats_j -> n_inst n_feats_i n_feats_j"'
DIRECTION = "W / compute_feature_norms(W).clamp(min=TINY)[:, None]"
HAT = "only the feature that is disturbed gets length 1: the disturbing ones count as long as they are"
SQUARES = "each overlap is squared before they are added up"
OF_OVERLAPS = [
    *instead_of(
        "products.pow(2)",
        {
            "products": ("forgets the square", SQUARES + ": else overlaps of both signs cancel"),
            "products.abs()": ("takes absolute values instead of squares", SQUARES),
        },
        within="squared_overlaps",
    ),
    *instead_of(
        DIRECTION,
        {
            "W": ("normalises neither", "W_i_hat is W_i / ||W_i||"),
            "W / compute_feature_norms(W)[:, None]": (
                "divides by a length of 0",
                "where ||W_i|| is 0 the result is 0, not NaN",
            ),
            "W / (compute_feature_norms(W)[:, None] + 1e-3)": (
                "adds something to the length that short features feel",
                "only a length of exactly 0 needs help: something like 1e-12 is enough",
            ),
            "W / W.norm(dim=(1, 2), keepdim=True)": (
                "divides by the length of the whole matrix",
                "each column is divided by its own length",
            ),
            "W / W.norm(dim=2, keepdim=True)": (
                "divides by the length of each row",
                "W_i is a column: its length goes over d_hidden",
            ),
            "W / compute_feature_norms(W).clamp(min=TINY).pow(2)[:, None]": (
                "divides by the squared length",
                "W_i_hat has length 1: divide by ||W_i|| itself",
            ),
        },
        within="squared_overlaps",
    ),
    *instead_of(
        "directions, W, " + GRAM,
        {
            "directions, directions, " + GRAM: ("normalises both", HAT),
            "W, directions, " + GRAM: ("normalises the other feature", HAT),
            "directions[:1].expand_as(W), W, " + GRAM: (
                "uses the first instance's directions for all",
                "each instance is a model of its own",
            ),
        },
        within="squared_overlaps",
    ),
]
"""What goes wrong between two features, in both measures."""
ONE_FOR_ITSELF = (
    "takes 1 away for the feature itself",
    "its own share is ||W_i||^2, which is 1 for a feature of length 1 alone",
)
OTHERS = "feature i doesn't disturb itself: the sum is over j != i"

test_compute_interference = exercise(
    reference=geometry.compute_interference,
    cases=interference_cases,
    accepts=[interference_by_mask, interference_by_loop],
    mistakes=[
        *OF_OVERLAPS,
        *instead_of(
            "overlaps.sum(dim=-1) - overlaps.diagonal(dim1=-2, dim2=-1)",
            {
                "overlaps.sum(dim=-1)": ("counts the feature itself", OTHERS),
                "overlaps.sum(dim=-1) - 1": ONE_FOR_ITSELF,
                "(overlaps.sum(dim=-1) - 1) * W.any(dim=1)": ONE_FOR_ITSELF,
                "(overlaps.sum(dim=-1) - overlaps.diagonal(dim1=-2, dim2=-1)).sqrt()": (
                    "takes the root of the sum",
                    "the sum of the squares is the result",
                ),
                "(overlaps.sum(dim=-1) - overlaps.diagonal(dim1=-2, dim2=-1)) / W.shape[-1]": (
                    "takes the mean over the features",
                    "what the others add is added up",
                ),
                "overlaps.triu(1).sum(dim=-1)": (
                    "counts only the features that come later",
                    "all other features disturb it, whatever their number",
                ),
            },
        ),
    ],
)


def dimensionality_cases(generator: torch.Generator) -> list[Case]:
    """Several shapes, known figures, features of length 0."""
    return [Case(label=label, args=(W,)) for label, W in directions(generator, has_zeros=True).items()]


def dimensionality_by_gram(W: Tensor) -> Tensor:
    """||W_i||^4 over the sum of squared dot products, which needs no direction of length 1."""
    gram = (W.mT.double() @ W.double()).square()
    own = gram.diagonal(dim1=1, dim2=2)
    return torch.where(own > 0, own / gram.sum(dim=-1), 0.0).to(W.dtype)


def dimensionality_by_interference(W: Tensor) -> Tensor:
    """The squared length over itself and the interference."""
    length = W.norm(dim=1)
    unit = W / length[:, None].clamp(min=1e-20)
    others = (unit.mT @ W).square().sum(dim=-1) - length**2
    return torch.nan_to_num(length**2 / (length**2 + others))


RATIO = "compute_feature_norms(W).pow(2) / squared_overlaps(W).sum(dim=-1).clamp(min=TINY**2)"

WITHOUT_ITSELF = ("leaves the feature itself out of the sum", "the sum counts j = i too: so a feature alone has 1")
ONE_FOR_ITS_LENGTH = (
    "takes every feature's length for 1",
    "a feature's own part is ||W_i||^2, above and below the line: directions have any length",
)

test_compute_dimensionality = exercise(
    reference=geometry.compute_dimensionality,
    cases=dimensionality_cases,
    equivalent={
        f"squared_overlaps(W).sum(dim=-1).clamp(min=TINY ** 2) -> squared_overlaps(W).sum(dim=-1).clamp(min={other})": (
            "any small number will do: only a sum of exactly 0 needs it"
        )
        for other in ("TINY * 2", "TINY", "TINY ** 3", "TINY ** 1")
    },
    accepts=[dimensionality_by_gram, dimensionality_by_interference],
    mistakes=[
        *OF_OVERLAPS,
        *instead_of(
            RATIO,
            {
                RATIO.replace(".pow(2) /", " /"): (
                    "forgets the square of the length",
                    "the numerator is ||W_i||^2: with it a feature alone has 1, however long it is",
                ),
                "compute_feature_norms(W).pow(2) / compute_interference(W).clamp(min=TINY**2)": WITHOUT_ITSELF,
                "compute_feature_norms(W).pow(2) / compute_interference(W).clamp(min=TINY)": WITHOUT_ITSELF,
                "compute_feature_norms(W).pow(2) / compute_interference(W)": WITHOUT_ITSELF,
                "1 / (1 + compute_interference(W))": ONE_FOR_ITS_LENGTH,
                "W.any(dim=1) / (1 + compute_interference(W))": ONE_FOR_ITS_LENGTH,
                "compute_feature_norms(W).pow(2) / squared_overlaps(W).sum(dim=-1)": (
                    "divides by a length of 0",
                    "where ||W_i|| is 0 the result is 0, not NaN",
                ),
                "squared_overlaps(W).sum(dim=-1) / compute_feature_norms(W).pow(2).clamp(min=TINY**2)": (
                    "turns the fraction upside down",
                    "it's a feature's own part of all that lies in its direction, at most 1",
                ),
                RATIO.replace("sum(dim=-1)", "mean(dim=-1)"): (
                    "takes the mean over the features",
                    "what lies in the feature's direction is added up",
                ),
                RATIO.replace("sum(dim=-1)", "sum(dim=-1).sqrt()"): (
                    "takes the root of the sum",
                    "the sum of the squares is the denominator",
                ),
                RATIO.replace("sum(dim=-1)", "amax(dim=-1)"): (
                    "takes the largest overlap alone",
                    "what lies in the feature's direction is added up",
                ),
            },
        ),
    ],
)
