"""Judges of eigenvalues from products alone."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.fundamentals.landscapes.spectra import lanczos, power_iteration
from arena_lib.tests.loss_landscapes.watching import draw, draw_symmetric

__test__ = False

Product = Callable[[Tensor], Tensor]


def power_cases(generator: torch.Generator) -> list[Case]:
    """Few steps and many, a negative eigenvalue, zeros."""

    def case(label: str, matrix: Tensor, n_steps: int, size: float = 1.0) -> Case:
        start = size * draw(generator, len(matrix))
        return Case(
            label=label, given={"matrix": matrix, "start": start, "n_steps": n_steps}, call=f"matvec, start, {n_steps}"
        )

    negative = torch.diag(torch.tensor([1.0, 2.0, -7.0, 3.0]).double())
    return [
        case("few steps, so that each one counts", draw_symmetric(generator, 5), 3),
        case("one step", draw_symmetric(generator, 4), 1, 4.0),
        case("the largest in size is negative", negative, 60),
        case("many steps from a tiny start", draw_symmetric(generator, 6), 400, 1e-6),
        case("a matrix of zeros", torch.zeros(3, 3).double(), 5),
    ]


def walk(function: Callable[..., Any], case: Case) -> Observations:
    """The value, the vector up to its sign, its length, and the start afterwards."""
    start = case.given["start"].clone()
    value, vector = function(lambda v: case.given["matrix"] @ v, start, case.given["n_steps"])
    return {
        "eigenvalue": float(value),
        "projector on the eigenvector": torch.outer(vector, vector),
        "start afterwards": start,
    }


def power_by_quotients(matvec: Product, start: Tensor, n_steps: int) -> tuple[float, Tensor]:
    """With a quotient that needs no length of 1."""
    v = start / torch.linalg.vector_norm(start)
    for _ in range(n_steps):
        w = matvec(v)
        length = torch.sqrt((w * w).sum())
        if length.item() == 0.0:
            return 0.0, v
        v = w.div(length)
    return float(torch.dot(v, matvec(v)) / torch.dot(v, v)), v


QUOTIENT = "(vector @ matvec(vector)).item(), vector"
test_power_iteration = exercise(
    reference=power_iteration.power_iteration,
    cases=power_cases,
    observe=walk,
    accepts=[power_by_quotients],
    mistakes=[
        *instead_of(
            QUOTIENT,
            {
                "matvec(vector).norm().item(), vector": (
                    "takes the length of the product for the eigenvalue",
                    "a length has no sign: the Rayleigh quotient v · (A v) has",
                ),
                "(vector @ product).item(), vector": (
                    "takes the product of the step before",
                    "v · (A v) needs the product with the last v",
                ),
                "(matvec(vector) @ matvec(vector)).item(), vector": ("squares the eigenvalue", "it's v · (A v)"),
                "vector.sum().item(), vector": ("adds up the vector", "the eigenvalue is v · (A v)"),
            },
        ),
        *instead_of(
            "vector = product / product.norm()",
            {
                "vector = product": ("doesn't divide by the length", "the vector has length 1 after each step"),
                "vector = product / product.abs().sum()": (
                    "divides by the sum of absolute values",
                    "the length is the root of the sum of squares",
                ),
                "vector = (vector + product) / (vector + product).norm()": (
                    "keeps a part of the vector before",
                    "the product alone goes into the next step",
                ),
            },
        ),
        *instead_of("range(n_steps)", {"range(n_steps - 1)": ("makes a step too few", "there are n_steps of them")}),
        *instead_of(
            "0.0, vector",
            {"0.0, product": ("returns a vector of zeros", "where the walk ends, the vector before it counts")},
        ),
        *instead_of(
            "vector = start / start.norm()",
            {
                "vector = start.div_(start.norm())": ("divides start in place", "start stays as it is: start / length"),
                "vector = start": ("begins with a vector of any length", "start is divided by its length, too"),
            },
        ),
    ],
)


def lanczos_cases(generator: torch.Generator) -> list[Case]:
    """Short runs whose numbers count, runs that end early, long ones whose basis counts."""

    def case(label: str, matrix: Tensor, start: Tensor, n_steps: int, **options: bool) -> Case:
        given = {"matrix": matrix, "start": start, "n_steps": n_steps, "options": options}
        written = "".join(f", {name}={value}" for name, value in options.items())
        return Case(label=label, given=given, call=f"matvec, start, {n_steps}{written}")

    few = torch.zeros(6).double()
    few[1], few[4] = 2.0, -3.0
    ladder = torch.diag(torch.linspace(1, 6, 6).double())
    steep = torch.diag(torch.cat([torch.logspace(-4, 0, 58), torch.tensor([50.0, 200.0])]).double())
    plain = draw_symmetric(generator, 7)
    return [
        case("four steps", plain, draw(generator, 7), 4),
        case("all steps", draw_symmetric(generator, 5), 3 * draw(generator, 5), 5),
        case("one step", draw_symmetric(generator, 3), draw(generator, 3), 1),
        case("a start along two eigenvectors", ladder, few, 5),
        case("a start along one eigenvector", -4 * torch.eye(3).double(), draw(generator, 3), 3),
        case("tiny numbers", 1e-11 * plain, draw(generator, 7), 4),
        case("large numbers", 1e6 * ladder, few, 5, is_reorthogonalised=False),
        case("a matrix of zeros", torch.zeros(4, 4).double(), draw(generator, 4), 3),
        case("without re-orthogonalisation", plain, draw(generator, 7), 4, is_reorthogonalised=False),
        case("float32", plain.float(), draw(generator, 7).float(), 3),
        case("many steps", steep, draw(generator, 60), 45),
        case("many steps without re-orthogonalisation", steep, draw(generator, 60), 45, is_reorthogonalised=False),
    ]


def tridiagonal(function: Callable[..., Any], case: Case) -> Observations:
    """Both rows of numbers, the basis, how many products were made; of long runs whether the basis is orthonormal."""
    products = 0

    def matvec(v: Tensor) -> Tensor:
        nonlocal products
        products += 1
        return torch.as_tensor(case.given["matrix"] @ v)

    start = case.given["start"].clone()
    alphas, betas, basis = function(matvec, start, case.given["n_steps"], **case.given["options"])
    seen = {"products": products, "start afterwards": start, "shape of the basis": tuple(basis.shape)}
    if "many" in case.label:
        overlap = (basis @ basis.T - torch.eye(len(basis), dtype=basis.dtype)).abs().max().item()
        return seen | {"the basis is orthonormal to 1e-10": overlap < 1e-10}
    return seen | {"alphas": alphas, "betas": betas, "basis": basis}


def lanczos_by_arrays(
    matvec: Product, start: Tensor, n_steps: int, *, is_reorthogonalised: bool = True
) -> tuple[Tensor, Tensor, Tensor]:
    """Gram-Schmidt against all earlier vectors one by one, into arrays that are cut at the end."""
    basis = torch.zeros(n_steps, len(start), dtype=start.dtype)
    alphas, betas = torch.zeros(n_steps, dtype=start.dtype), torch.zeros(n_steps, dtype=start.dtype)
    basis[0] = start / start.norm()
    for j in range(n_steps):
        w = matvec(basis[j])
        alphas[j] = torch.dot(w, basis[j])
        w = w - alphas[j] * basis[j] - (betas[j - 1] * basis[j - 1] if j else 0)
        for _ in range(2 * is_reorthogonalised):
            for q in basis[: j + 1]:
                w = w - torch.dot(w, q) * q
        betas[j] = w.norm()
        size = max(alphas[: j + 1].abs().max(), betas[: j + 1].abs().max() if j else alphas[0].abs())
        if j + 1 < n_steps and betas[j] <= 10 * torch.finfo(w.dtype).eps * size:
            return alphas[: j + 1], betas[:j], basis[: j + 1]
        if j + 1 < n_steps:
            basis[j + 1] = w / betas[j]
    return alphas, betas[: n_steps - 1], basis


def lanczos_taken_off_once(
    matvec: Product, start: Tensor, n_steps: int, *, is_reorthogonalised: bool = True
) -> tuple[Tensor, Tensor, Tensor]:
    """One pass of re-orthogonalisation, which in practice leaves no more than two do."""
    basis: list[Tensor] = [start / start.norm()]
    alphas: list[Tensor] = []
    betas: list[Tensor] = []
    for step in range(n_steps):
        w = matvec(basis[step])
        alphas.append(torch.dot(w, basis[step]))
        if step == n_steps - 1:
            break
        w = w - alphas[step] * basis[step] - (betas[step - 1] * basis[step - 1] if step else 0)
        if is_reorthogonalised:
            w = w - torch.stack(basis).T @ (torch.stack(basis) @ w)
        beta = w.norm()
        if beta <= 10 * torch.finfo(w.dtype).eps * max(number.abs().item() for number in (*alphas, *betas, beta)):
            break
        betas.append(beta)
        basis.append(w / beta)
    return torch.stack(alphas), torch.stack(betas) if betas else start[:0].clone(), torch.stack(basis)


def lanczos_with_a_last_beta(
    matvec: Product, start: Tensor, n_steps: int, *, is_reorthogonalised: bool = True
) -> tuple[Tensor, Tensor, Tensor]:
    """Also writes down the beta of the last step."""
    alphas, betas, basis = lanczos.lanczos(matvec, start, n_steps, is_reorthogonalised=is_reorthogonalised)
    w = matvec(basis[-1]) - alphas[-1] * basis[-1] - (betas[-1] * basis[-2] if len(betas) else 0)
    return alphas, torch.cat([betas, w.norm()[None]]), basis


def lanczos_into_noise(
    matvec: Product, start: Tensor, n_steps: int, *, is_reorthogonalised: bool = True
) -> tuple[Tensor, Tensor, Tensor]:
    """Divides by a beta of any size."""
    basis: list[Tensor] = [start / start.norm()]
    alphas: list[Tensor] = []
    betas: list[Tensor] = []
    for step in range(n_steps):
        w = matvec(basis[step])
        alphas.append(torch.dot(w, basis[step]))
        if step == n_steps - 1:
            break
        w = w - alphas[step] * basis[step] - (betas[step - 1] * basis[step - 1] if step else 0)
        if is_reorthogonalised:
            w = lanczos.take_off(lanczos.take_off(w, torch.stack(basis)), torch.stack(basis))
        betas.append(w.norm())
        basis.append(w / betas[-1])
    return torch.stack(alphas), torch.stack(betas) if betas else start[:0].clone(), torch.stack(basis)


def counts(seen: Sequence[Observations]) -> list[tuple[int, int]]:
    """How many alphas and betas there were, case by case."""
    return [(len(shown["alphas"]), len(shown["betas"])) for shown in seen if {"alphas", "betas"} <= shown.keys()]


def goes_on_into_noise(seen: Sequence[Observations]) -> bool:
    """Whether it makes more steps from a start along two eigenvectors, and as many as it should elsewhere."""
    both = counts(seen)
    return len(both) > 3 and both[:3] == [(4, 3), (5, 4), (1, 0)] and both[3][0] > 2


def stops_among_tiny_numbers(seen: Sequence[Observations]) -> bool:
    """Whether only the smallness of a matrix ends it."""
    at = [shown["alphas"] for shown in seen if "alphas" in shown]
    return [len(alphas) for alphas in at][:4] == [4, 5, 1, 2] and any(
        len(alphas) < 4 and alphas.abs().max() < 1e-8 for alphas in at if alphas.abs().max() > 0
    )


def writes_a_last_beta(seen: Sequence[Observations]) -> bool:
    """Whether there are as many betas as alphas where all steps were made."""
    return (4, 4) in counts(seen)[:1]


test_lanczos = exercise(
    reference=lanczos.lanczos,
    cases=lanczos_cases,
    observe=tridiagonal,
    accepts=[lanczos_by_arrays, lanczos_taken_off_once],
    equivalent={
        "torch.stack([*alphas, *betas]).abs().max() -> torch.stack([*alphas, *betas]).abs().min()": (
            "any measure of the matrix's size tells rounding from a direction"
        ),
    },
    mistakes=[
        *instead_of(
            "w = w - alphas[-1] * basis[-1]",
            {
                "pass": ("leaves what lies along the last vector", "w - alpha * q comes before its length is taken"),
                "w = w + alphas[-1] * basis[-1]": ("adds what lies along the last vector", "it's taken off: minus"),
            },
        ),
        *instead_of(
            "w = w - betas[-1] * basis[-2]",
            {
                "pass": ("forgets the vector before the last", "w also has beta along it, which is taken off"),
                "w = w + betas[-1] * basis[-2]": ("adds what lies along the vector before", "it's taken off: minus"),
            },
        ),
        *instead_of(
            "take_off(take_off(w, torch.stack(basis)), torch.stack(basis))",
            {
                "w": ("doesn't re-orthogonalise along all vectors", "rounding errors bring back the early ones, too"),
                "take_off(w, torch.stack(basis[-2:]))": (
                    "doesn't re-orthogonalise along all vectors",
                    "rounding errors bring back the early ones, too",
                ),
            },
        ),
        *instead_of(
            "if is_reorthogonalised:",
            {"if True:": ("always re-orthogonalises", "is_reorthogonalised=False leaves it out")},
        ),
        *instead_of(
            "alphas.append(w @ basis[-1])",
            {"alphas.append(w.norm())": ("takes the length of w for alpha", "alpha is w · q, and has a sign")},
        ),
        *instead_of(
            "basis = [start / start.norm()]",
            {"basis = [start]": ("begins with a vector of any length", "every basis vector has length 1")},
        ),
        *instead_of(
            "basis.append(w / beta)", {"basis.append(w)": ("doesn't divide by beta", "every basis vector has length 1")}
        ),
        *instead_of(
            "basis = [start / start.norm()]",
            {"basis = [start.div_(start.norm())]": ("divides start in place", "start stays as it is: start / length")},
        ),
        Mistake(
            "compares beta with a fixed number",
            "beta <= ROUNDING * torch.finfo(w.dtype).eps * torch.stack([*alphas, *betas]).abs().max()",
            "beta <= 1e-8",
            why="what is as good as 0 depends on the matrix: compare beta with the largest alpha or beta, times eps",
            shows=stops_among_tiny_numbers,
        ),
        Mistake(
            "goes on where no direction is left",
            function=lanczos_into_noise,
            why="where beta is as good as 0, w / beta is rounding errors blown up: stop before",
            shows=goes_on_into_noise,
        ),
        Mistake(
            "writes down a beta at the last step, too",
            function=lanczos_with_a_last_beta,
            why="the last step ends with its alpha: betas are one fewer",
            shows=writes_a_last_beta,
        ),
    ],
)
