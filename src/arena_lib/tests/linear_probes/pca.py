"""Judge of principal components.

Shapes:  activations "n_statements d_model" -> components "d_model k"
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, Tolerance, exercise, instead_of, outputs
from arena_lib.checking.observing import Observations
from arena_lib.interp.probes.pca import get_pca_components

__test__ = False

SPREADS = (40.0, 9.0, 2.0, 0.4, 0.08)
"""Standard deviations along the axes: far apart, so that methods that iterate find the same axes."""
N_STATEMENTS = [11, 5, 9, 7]
"""Of each case."""
SHARES = "share of the variance along each column"


def pca_cases(generator: torch.Generator) -> list[Case]:
    """More statements than dimensions and fewer, one component and several, double precision."""

    def activations(n_statements: int, d_model: int, dtype: torch.dtype = torch.float32) -> Tensor:
        rank = min(n_statements - 1, d_model, len(SPREADS))
        noise = torch.randn(n_statements, rank, generator=generator, dtype=torch.float64)
        left = torch.linalg.qr(noise - noise.mean(dim=0))[0]
        right = torch.linalg.qr(torch.randn(d_model, rank, generator=generator, dtype=torch.float64))[0]
        mean = 30 * torch.randn(d_model, generator=generator, dtype=torch.float64)
        return (mean + left * torch.tensor(SPREADS[:rank], dtype=torch.float64) @ right.T).to(dtype)

    calls = {
        "two components": (activations(N_STATEMENTS[0], 6), 2),
        "fewer statements than dimensions": (activations(N_STATEMENTS[1], 8), 3),
        "one component": (activations(N_STATEMENTS[2], 4), 1),
        "in double precision": (activations(N_STATEMENTS[3], 5, torch.float64), 2),
    }
    axes = {"output": "d_model k", SHARES: "k"}
    return [Case(label=label, args=args, axes=axes) for label, args in calls.items()]


def components_up_to_sign(function: Callable[..., Any], case: Case) -> Observations:
    """The components, each with its largest entry made positive, and how much of the variance lies along each."""
    seen = outputs(lambda *args: _with_sign(function(*args)), case)
    activations, components = case.args[0], seen["output"]
    if isinstance(components, Tensor) and components.ndim == 2 and len(components) == activations.shape[1]:
        along = (activations.double() @ components.double()).var(dim=0)
        seen[SHARES] = along / activations.double().var(dim=0).sum()
    return seen


def is_of_another_length(observations: Sequence[Observations]) -> bool:
    """Whether the columns stand at right angles to each other, and one isn't of length 1."""
    products = [seen["output"].double().T @ seen["output"].double() for seen in observations]
    return all(
        len(product) == seen[SHARES].numel()
        and product.allclose(product.diag().diag(), atol=1e-3 * float(product.max()))
        for product, seen in zip(products, observations, strict=True)
    ) and any(bool(((product.diag() - 1).abs() > 1e-2).any()) for product in products)


def is_of_statements(observations: Sequence[Observations]) -> bool:
    """Whether the columns have length 1 and an entry for each statement."""
    shapes = [tuple(seen["output"].shape) for seen in observations]
    return [shape[0] for shape in shapes] == N_STATEMENTS and all(
        bool(((seen["output"].norm(dim=0) - 1).abs() < 1e-3).all()) for seen in observations
    )


def takes_the_smallest(observations: Sequence[Observations]) -> bool:
    """Whether hardly any variance lies along the columns, whichever of several such directions they are."""
    return all(
        seen["output"].norm(dim=0).allclose(seen["output"].new_ones(()), atol=1e-3) for seen in observations
    ) and all(bool((seen[SHARES] < 0.01).all()) for seen in observations)


def _with_sign(components: Any) -> Any:
    if not isinstance(components, Tensor) or components.ndim != 2 or not components.is_floating_point():
        return components
    largest = components.gather(0, components.abs().argmax(dim=0, keepdim=True))
    return components * torch.where(largest < 0, -1.0, 1.0)


def pca_by_eigenvectors(activations: Tensor, k: int = 2) -> Tensor:
    """Eigenvectors of the covariance; `eigh` sorts them upwards."""
    _, vectors = torch.linalg.eigh(torch.cov(activations.T))
    return vectors.flip(dims=[1])[:, :k]


def pca_by_lowrank(activations: Tensor, k: int = 2) -> Tensor:
    """PyTorch's own, which centres by itself."""
    return torch.pca_lowrank(activations, q=k, center=True, niter=4)[2]


def pca_standardised(activations: Tensor, k: int = 2) -> Tensor:
    """The mistake of dividing every entry by its standard deviation."""
    return get_pca_components(activations / activations.std(dim=0), k)


test_get_pca_components = exercise(
    reference=get_pca_components,
    cases=pca_cases,
    observe=components_up_to_sign,
    accepts=[pca_by_eigenvectors, pca_by_lowrank],
    tolerance=dict.fromkeys(("output", SHARES), Tolerance(rtol=1e-3, atol=1e-3)),
    equivalent={
        "torch.linalg.svd(centred, full_matrices=False)": "directions of no variance come last, and k never reaches them"
    },
    mistakes=[
        *instead_of(
            "activations - activations.mean(dim=0)",
            {
                "activations": (
                    "does not subtract the mean",
                    "subtract the mean over statements, or the first component points at the mean instead of where statements vary most",
                ),
                "activations - activations.mean(dim=1, keepdim=True)": (
                    "subtracts each statement's own mean",
                    "the mean is taken over statements, entry by entry",
                ),
                "activations - activations.mean()": (
                    "subtracts one mean of all numbers",
                    "each entry has its own mean, taken over statements",
                ),
                "(activations - activations.mean(dim=0)).float()": (
                    "casts the activations to float32",
                    "the components have the dtype of the activations, which may be float64",
                ),
                "torch.nn.functional.normalize(activations - activations.mean(dim=0), dim=1)": (
                    "scales each statement to length 1",
                    "statements far from the mean show where activations differ most, so they keep their length",
                ),
                "activations.sub_(activations.mean(dim=0))": (
                    "changes the activations in place",
                    "the caller still uses the activations, so they must stay unchanged",
                ),
            },
        ),
        Mistake(
            "returns the smallest components",
            "directions[:k].T",
            "directions.flip(0)[:k].T",
            why="the components belong to the largest singular values or eigenvalues; eigh sorts eigenvalues upwards, so they are last",
            shows=takes_the_smallest,
        ),
        *instead_of(
            "directions[:k].T",
            {
                "directions[:k].flip(0).T": (
                    "returns the components in the wrong order",
                    "the direction of the greatest variance comes first; eigh sorts eigenvalues upwards",
                ),
                "directions[:k]": ("returns the components as rows", "each column is a direction: transpose"),
                "directions[:, :k]": (
                    "uses columns of V^T",
                    "the directions are the rows of V^T, which torch.linalg.svd returns as Vh",
                ),
                "torch.linalg.svd(centred)[2][:, :k]": (
                    "uses columns of the whole V^T",
                    "the directions are the rows of V^T, which torch.linalg.svd returns as Vh",
                ),
                "directions[:2].T": ("ignores k", "k says how many components are returned; 2 is only its default"),
                "directions.T": (
                    "returns all components",
                    "only the k directions of the greatest variance are returned",
                ),
                "centred @ directions[:k].T @ directions[:k]": (
                    "returns the activations projected onto the components",
                    "the result is the directions themselves, one in each column",
                ),
                "centred @ directions[:k].T": (
                    "returns the statements' coordinates",
                    "the result is the directions in activation space; the statements are projected onto them in the next step",
                ),
            },
        ),
        Mistake(
            "returns components of another length",
            "directions[:k].T",
            "(directions[:k] * torch.linalg.svdvals(centred)[:k, None]).T",
            why="the columns are directions, of length 1; the singular values say how far the data spreads along them",
            shows=is_of_another_length,
        ),
        Mistake(
            "returns directions among statements instead of among entries",
            "_, _, directions = torch.linalg.svd(centred, full_matrices=False)",
            "directions = torch.linalg.svd(centred, full_matrices=False)[0].T",
            why="a component has an entry for each entry of an activation: it is a row of V^T, or an eigenvector of X^T X",
            shows=is_of_statements,
        ),
        Mistake(
            "divides each entry by its standard deviation first",
            function=pca_standardised,
            why="PCA of activations keeps their scale: only the mean is removed",
        ),
    ],
)
