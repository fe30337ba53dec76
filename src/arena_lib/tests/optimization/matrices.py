"""Judges of Newton-Schulz and of Muon."""

import math
from collections.abc import Iterable

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, Tolerance, exercise, instead_of, outputs
from arena_lib.fundamentals.optimizers import muon
from arena_lib.tests.optimization.watching import (
    life_of_an_optimizer,
    mistakes_around_the_update,
    mistakes_with_a_state,
    optimizer_cases,
)

__test__ = False


def matrix_cases(generator: torch.Generator) -> list[Case]:
    """Wide, tall, square and single-row matrices, large and small ones, other numbers of steps, zeros."""

    def case(
        label: str, shape: tuple[int, int], scale: float = 1.0, *rest: int, dtype: torch.dtype = torch.float32
    ) -> Case:
        matrix = scale * torch.randn(shape, generator=generator).to(dtype)
        return Case(label=label, args=(matrix, *rest), axes={"output": "rows columns"})

    return [
        case("two entries on a diagonal", (2, 2), 0.0, 1),
        case("a wide matrix", (3, 5)),
        case("a tall matrix", (6, 2)),
        case("a square matrix", (4, 4)),
        case("one row", (1, 3)),
        case("a large matrix", (2, 4), 1e4, 3),
        case("a tiny matrix", (3, 2), 1e-9, 2),
        case("no steps", (2, 3), 1.0, 0),
        case("one step", (3, 4), 1.0, 1),
        case("double precision", (2, 5), 1.0, 4, dtype=torch.float64),
    ]


def orthogonalize_by_singular_values(matrix: Tensor, n_steps: int = 5) -> Tensor:
    """The same polynomial, applied to the singular values."""
    a, b, c = 3.4445, -4.7750, 2.0315
    u, s, vh = torch.linalg.svd(matrix, full_matrices=False)
    s = s / s.square().sum().sqrt().clamp(min=1e-7)
    for _ in range(n_steps):
        s = a * s + b * s**3 + c * s**5
    return (u * s) @ vh


def orthogonalize_by_the_larger_product(matrix: Tensor, n_steps: int = 5) -> Tensor:
    """With X Xᵀ, whatever the shape: more work, the same result."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = matrix / max(matrix.pow(2).sum().sqrt().item(), 1e-7)
    for _ in range(n_steps):
        gram = x @ x.mT
        x = a * x + b * (gram @ x) + c * (gram @ (gram @ x))
    return x


test_orthogonalize = exercise(
    reference=muon.orthogonalize,
    cases=matrix_cases,
    observe=outputs,
    tolerance={"output": Tolerance(rtol=1e-3, atol=1e-4)},
    accepts=[orthogonalize_by_singular_values, orthogonalize_by_the_larger_product],
    mistakes=[
        *instead_of(
            "x / x.norm().clamp(min=EPS)",
            {
                "x / torch.linalg.matrix_norm(x, 2).clamp(min=EPS)": (
                    "divides by the largest singular value",
                    "the norm is Frobenius's, the root of the sum of all squares",
                ),
                "x / x.norm(dim=1, keepdim=True).clamp(min=EPS)": (
                    "divides each row by its own norm",
                    "one number divides the whole matrix",
                ),
                "x / x.abs().max().clamp(min=EPS)": (
                    "divides by the largest entry",
                    "the norm is Frobenius's, the root of the sum of all squares",
                ),
                "x / x.norm()": (
                    "divides a tiny matrix by a tiny norm",
                    "the norm counts as at least 1e-7: zeros stay zeros",
                ),
                "x": ("forgets to divide by the norm", "the steps only work for singular values of at most 1"),
                "x / (x.norm() + EPS)": (
                    "adds 1e-7 to the norm",
                    "the norm itself divides, and 1e-7 only where the norm is less: max(norm, 1e-7)",
                ),
                "x.div_(x.norm().clamp(min=EPS))": (
                    "divides the matrix in place",
                    "the matrix that was handed in stays as it is: write x = x / ..., not x /= ...",
                ),
            },
        ),
        Mistake(
            "keeps the first A",
            "    for _ in range(n_steps):\n        gram = x @ x.T\n",
            "    gram = x @ x.T\n    for _ in range(n_steps):\n",
            why="X changes in every step, and A = X Xᵀ with it: calculate A inside of the loop",
        ),
        *instead_of(
            "x = x / x.norm().clamp(min=EPS)",
            {
                "x = x / x.norm().square().clamp(min=EPS)": (
                    "forgets the root in the norm",
                    "the Frobenius norm is the root of the sum of all squares",
                ),
            },
        ),
        *instead_of(
            "gram = x @ x.T",
            {"gram = x * x": ("squares entry by entry", "A is a product of matrices, X Xᵀ", "RuntimeError")},
        ),
        *instead_of(
            "a * x + (b * gram + c * gram @ gram) @ x",
            {
                "a * x + (b * gram + c * gram * gram) @ x": (
                    "squares A entry by entry",
                    "A A is a product of matrices",
                ),
                "a * x + b * gram @ x": ("forgets the last term", "b A + c A A: the second product belongs to it"),
                "a * x + (b * gram + c * gram) @ x": ("takes A for A A", "c goes with A A, a product of two matrices"),
                "(b * gram + c * gram @ gram) @ x": ("forgets a X", "X itself, times a, belongs to the sum"),
                "a * x + b * gram @ x + c * gram @ gram": (
                    "multiplies A A by X no more",
                    "(b A + c A A) X: both terms are multiplied by X",
                ),
                "1.5 * x - 0.5 * gram @ x": (
                    "takes the classic step",
                    "these three coefficients bring small singular values up faster",
                ),
            },
        ),
        *instead_of(
            "return x.T if is_tall else x",
            {"return x": ("leaves the result transposed", "a tall matrix is transposed back at the end")},
        ),
        *instead_of(
            "range(n_steps)",
            {"range(5)": ("always takes five steps", "n_steps says how many")},
        ),
    ],
    equivalent={
        "is_tall = matrix.shape[0] > matrix.shape[1]": "either product gives the same result; the smaller one is faster",
    },
)


def muon_cases(generator: torch.Generator) -> list[Case]:
    """Every setting, and the defaults, for matrices of three shapes."""
    return optimizer_cases(
        generator,
        {"lr": 0.1, "weight_decay": 0.3, "momentum": 0.8},
        {
            "all defaults": {},
            "without Nesterov's step": {"lr": 0.1, "momentum": 0.6, "nesterov": False},
            "no decay": {"lr": 0.2, "weight_decay": 0.0},
            "the rate for AdamW's step": {"lr": 0.1, "adjust_lr_fn": "match_rms_adamw"},
        },
        has_matrices=True,
    )


class MuonBySums:
    """The momentum as a sum, as its authors write it."""

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 0.001,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        adjust_lr_fn: str = "original",
    ) -> None:
        self.params = list(params)
        self.lr, self.decay, self.mu, self.nesterov = lr, weight_decay, momentum, nesterov
        self.adjust_lr_fn = adjust_lr_fn
        self.velocity = {p: torch.zeros_like(p) for p in self.params}

    def zero_grad(self) -> None:
        for p in self.params:
            p.grad = None

    @torch.inference_mode()
    def step(self) -> None:
        for p in self.params:
            if p.grad is None:
                continue
            v = self.velocity[p] = self.mu * self.velocity[p] + p.grad
            u = orthogonalize_by_the_larger_product(p.grad + self.mu * v if self.nesterov else v)
            rows, columns = p.shape
            scale = max(1, rows / columns) ** 0.5
            if self.adjust_lr_fn == "match_rms_adamw":
                scale = 0.2 * math.sqrt(max(rows, columns))
            p.mul_(1 - self.lr * self.decay).sub_(self.lr * scale * u)


LOOSE = Tolerance(rtol=1e-3, atol=2e-4)

test_muon = exercise(
    reference=muon.Muon,
    cases=muon_cases,
    observe=life_of_an_optimizer,
    keep=["__init__", "zero_grad"],
    tolerance={
        **{f"parameters after step {n}": LOOSE for n in range(1, 5)},
        **{f"loss {n}": LOOSE for n in range(1, 5)},
        "parameters of the second optimizer after its first step": LOOSE,
        "parameters after a step without gradients": LOOSE,
        "weights after training": LOOSE,
    },
    accepts=[MuonBySums],
    mistakes=[
        *mistakes_around_the_update("Muon"),
        *mistakes_with_a_state(muon.Muon),
        *instead_of(
            "mean.mul_(self.momentum).add_((1 - self.momentum) * param.grad)",
            {
                "mean.mul_(self.momentum).add_(param.grad)": (
                    "mixes a sum with an average",
                    "if m adds up whole gradients, so must u: grad + momentum * m",
                ),
                "mean.mul_(self.momentum).add_((1 - self.momentum) * orthogonalize(param.grad))": (
                    "makes the gradient orthogonal before the average",
                    "it's the update u that is made orthogonal, after the momentum",
                ),
                "mean = self.momentum * mean + (1 - self.momentum) * param.grad": (
                    "forgets m after the step",
                    "m must be kept for the next step: change it in place, or store it",
                ),
            },
            within="Muon.step",
        ),
        *instead_of(
            "self.momentum * mean + (1 - self.momentum) * param.grad if self.nesterov else mean",
            {
                "mean": ("ignores nesterov", "if nesterov, u takes the gradient in once more"),
                "self.momentum * mean + (1 - self.momentum) * param.grad": (
                    "always takes Nesterov's step",
                    "if nesterov is False, u is m",
                ),
            },
            within="Muon.step",
        ),
        *instead_of(
            "adjust_lr(self.lr, tuple(param.shape), self.adjust_lr_fn)",
            {
                "self.lr": ("forgets to adjust the learning rate", "adjust_lr makes tall matrices take longer steps"),
                "adjust_lr(self.lr, tuple(param.shape)[::-1], self.adjust_lr_fn)": (
                    "adjusts for the transpose",
                    "the shape is rows, columns",
                ),
            },
            within="Muon.step",
        ),
        *instead_of(
            "param -= self.lr * self.weight_decay * param\n",
            {
                "pass\n": ("forgets weight decay", "the parameter shrinks by lr * weight_decay in every step"),
                "param -= adjust_lr(self.lr, tuple(param.shape), self.adjust_lr_fn) * self.weight_decay * param\n": (
                    "decays at the adjusted rate",
                    "the decay goes with lr itself",
                ),
            },
            within="Muon.step",
        ),
        *instead_of(
            "orthogonalize(update)",
            {
                "update / update.norm()": (
                    "only divides by the norm",
                    "orthogonalize makes every direction about equally long",
                )
            },
            within="Muon.step",
        ),
    ],
)
