"""Judges of how latents of two autoencoders belong together, section 1.3.3.

Shapes:  directions "n_a d_out", others "n_b d_out" -> cosines "n_a n_b"
"""

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of, outputs
from arena_lib.saes.analysis.directions import splitting

__test__ = False

# -- compute_cosines ----------------------------------------------------------------------------------


def direction_cases(generator: torch.Generator) -> list[Case]:
    """Directions of any length, and one of length 0."""

    def case(label: str, n_a: int, n_b: int, d_out: int) -> Case:
        lengths = torch.rand(n_a, 1, generator=generator) * 5 + 0.1
        a, b = lengths * torch.randn(n_a, d_out, generator=generator), torch.randn(n_b, d_out, generator=generator)
        return Case(label=label, args=(a, b), axes={"output": "n_a n_b"})

    zero = torch.randn(3, 4, generator=generator)
    zero[1] = 0
    return [
        case("several directions", 3, 5, 4),
        case("one direction", 1, 4, 3),
        Case(label="one of length 0", args=(zero, torch.randn(2, 4, generator=generator)), axes={"output": "n_a n_b"}),
    ]


def cosines_by_torch(directions: Tensor, others: Tensor) -> Tensor:
    """Torch's cosine of every pair."""
    return torch.cosine_similarity(directions[:, None], others[None], dim=-1)


LENGTHS = "a cosine is the dot product of two vectors of length 1"

test_compute_cosines = exercise(
    reference=splitting.compute_cosines,
    cases=direction_cases,
    observe=outputs,
    accepts=[cosines_by_torch],
    mistakes=[
        *instead_of(
            "normalize_decoder(directions) @ normalize_decoder(others).T",
            {
                "directions @ others.T": ("gives dot products", LENGTHS),
                "normalize_decoder(directions) @ others.T": ("leaves the others' lengths in", LENGTHS),
                "directions @ normalize_decoder(others).T": ("leaves the first ones' lengths in", LENGTHS),
                "normalize_decoder(directions.T).T @ normalize_decoder(others.T).T.T": (
                    "normalises columns",
                    "a direction is a row",
                ),
                "(normalize_decoder(directions) @ normalize_decoder(others).T).abs()": (
                    "takes absolute values",
                    "directions that point opposite ways have a cosine of -1",
                ),
                "directions @ others.T / (directions.norm(dim=1, keepdim=True) * others.norm(dim=1))": (
                    "divides by 0",
                    "for a direction of length 0 the cosine is 0",
                ),
                "(normalize_decoder(directions) @ normalize_decoder(others).T).acos()": ("gives angles", LENGTHS),
                "1 - normalize_decoder(directions) @ normalize_decoder(others).T": ("gives distances", LENGTHS),
                "directions @ others.T / (directions.norm() * others.norm())": (
                    "divides by the lengths of all together",
                    "each direction has its own length",
                ),
                "normalize_decoder(directions) / directions.norm(dim=1, keepdim=True).clamp(min=1e-12) @ "
                "(normalize_decoder(others) / others.norm(dim=1, keepdim=True)).T": (
                    "divides by squared lengths",
                    "a length is the root of a sum of squares",
                ),
            },
        ),
    ],
)

# -- find_children ------------------------------------------------------------------------------------


def cosine_cases(generator: torch.Generator) -> list[Case]:
    """Parents with several children, one and none; latents that belong to nobody; ties and exact thresholds."""
    by_hand = torch.tensor([[0.9, 0.1, 0.95, 0.2, -0.9], [0.8, 0.3, 0.2, 0.75, 0.1], [0.85, 0.875, 0.1, 0.69, 0.0]])
    tied = torch.tensor([[0.875, 0.875, 0.75], [0.875, 0.5, 0.75]])
    drawn = 2 * torch.rand(4, 9, generator=generator) - 1
    return [
        Case(label="by hand", args=(by_hand, 0.75)),
        Case(label="equal cosines", args=(tied, 0.75)),
        Case(label="many", args=(drawn, 0.4)),
        Case(label="a high threshold", args=(drawn, 0.97)),
    ]


def children_by_loop(cosines: Tensor, threshold: float = 0.7) -> list[list[int]]:
    """Goes through the wide latents, and sorts at the end."""
    children: list[list[tuple[float, int]]] = [[] for _ in cosines]
    for latent, column in enumerate(cosines.T.tolist()):
        if max(column) >= threshold:
            children[column.index(max(column))].append((-max(column), latent))
    return [[latent for _, latent in sorted(group)] for group in children]


def children_of_all(cosines: Tensor, threshold: float = splitting.NEAR) -> list[list[int]]:
    """The mistake of looking at each narrow latent by itself."""
    return [[i for i in row.argsort(descending=True).tolist() if row[i] >= threshold] for row in cosines]


ONE_PARENT = "each wide latent belongs to one narrow latent at most, the nearest"

test_find_children = exercise(
    reference=splitting.find_children,
    cases=cosine_cases,
    observe=outputs,
    accepts=[children_by_loop],
    mistakes=[
        *instead_of(
            "if best[latent] >= threshold:",
            {
                "if best[latent] > threshold:": ("leaves out a cosine of exactly the threshold", "at least threshold"),
                "if best[latent] >= NEAR:": ("ignores threshold", "at least threshold, which may be given"),
                "if best[latent].abs() >= 0:": ("gives every latent a parent", "at least threshold"),
                "if best[latent] <= threshold:": ("keeps what is far", "at least threshold"),
            },
        ),
        *instead_of(
            "best.argsort(descending=True, stable=True).tolist()",
            {
                "range(len(best))": ("lists children by number", "the nearest child comes first"),
                "best.argsort(stable=True).tolist()": ("lists the farthest child first", "the nearest comes first"),
            },
        ),
        *instead_of(
            "best, parents = cosines.max(dim=0)",
            {
                "best, parents = cosines.abs().max(dim=0)": (
                    "takes absolute values",
                    "a direction that points the other way is no child",
                ),
                "best, parents = cosines.min(dim=0)": ("takes the farthest parent", ONE_PARENT),
            },
        ),
        Mistake("gives a latent to every parent that is near", function=children_of_all, why=ONE_PARENT),
    ],
    equivalent={
        "best.argsort(descending=True, stable=True).tolist() -> best.argsort(descending=True).tolist()": (
            "on a CPU torch's sort keeps the order of equal ones anyway"
        ),
        "best.argsort(descending=True, stable=True).tolist() -> best.argsort(descending=True, stable=False).tolist()": (
            "on a CPU torch's sort keeps the order of equal ones anyway"
        ),
    },
)
