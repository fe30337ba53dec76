"""Judge of logistic regression as a probe.

Shapes:  activations "n_statements d_model", labels "n_statements" -> probabilities "n_statements"
"""

from typing import Any

import torch
from torch import Tensor, nn

from arena_lib.checking import Case, Mistake, Tolerance, Unfit, exercise
from arena_lib.checking.observing import Observations
from arena_lib.interp.probes.logistic import LRProbe

__test__ = False

FITTED = Tolerance(rtol=0.0, atol=4e-3)
"""Iterative methods stop a little before the optimum: scikit-learn's default by up to 1e-3 here."""
DIRECTION = "direction, times the spread of each entry"


def lr_probe_cases(generator: torch.Generator) -> list[Case]:
    """Entries of very different scale, one that never varies, unequal classes, more dimensions than statements."""

    def data(
        n_positive: int, n_negative: int, d_model: int, constant: int | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        labels = torch.tensor([1] * n_positive + [0] * n_negative)
        labels = labels[torch.randperm(len(labels), generator=generator)]
        towards = torch.randn(d_model, generator=generator)
        acts = torch.randn(len(labels) + 5, d_model, generator=generator)
        acts[: len(labels)] += 0.7 * labels[:, None] * towards
        scale = torch.logspace(-1, 1.2, d_model)[torch.randperm(d_model, generator=generator)]
        acts = acts * scale + 3 * torch.randn(d_model, generator=generator)
        if constant is not None:
            acts[:, constant] = 1.7
        return acts[: len(labels)], labels, acts[len(labels) :]

    cases = {
        "a few dimensions": (data(17, 15, 4), {}),
        "classes of unequal size": (data(6, 19, 3), {}),
        "more dimensions than statements": (data(7, 6, 16), {}),
        "an entry that never varies": (data(11, 9, 5, constant=2), {}),
        "a larger C": (data(14, 13, 3), {"C": 2.0}),
    }
    axes = {"probabilities": "n_statements", DIRECTION: "d_model"}
    return [
        Case(label=label, given={"acts": acts, "labels": labels, "x": x, "how": how}, axes=axes)
        for label, ((acts, labels, x), how) in cases.items()
    ]


def probed(cls: Any, case: Case) -> Observations:
    """Probabilities for new activations, the direction, and whether either can be steered by or spoils its data."""
    if not isinstance(cls, type):
        raise Unfit(f"This test takes the class LRProbe itself: got {type(cls).__name__}.")
    probe_cls: Any = cls
    given = case.given
    acts, labels, x = given["acts"].clone(), given["labels"].clone(), given["x"].clone().requires_grad_(True)
    probe = probe_cls.from_data(acts, labels, **given["how"])
    probabilities = probe(x)
    if not isinstance(probabilities, Tensor):
        raise Unfit(f"A probe must give a tensor of probabilities: got {type(probabilities).__name__}.")
    direction = getattr(probe, "direction", None)
    if not isinstance(direction, Tensor):
        raise Unfit(f"An LRProbe must have a direction, a tensor: got {type(direction).__name__}. Make it a property.")
    return {
        "probabilities": probabilities.detach().to(x.dtype),
        # Its entries differ in size as the activations do: in units of those, all count alike.
        DIRECTION: direction.detach().to(x.dtype) * acts.std(dim=0, correction=0)
        if direction.shape == acts.shape[1:]
        else direction.detach(),
        "the direction needs a gradient": direction.requires_grad,
        "a gradient reaches the activations": probabilities.requires_grad and _reaches(probabilities, x),
        "data changed in place": not torch.equal(acts, given["acts"]),
    }


def _reaches(probabilities: Tensor, x: Tensor) -> bool:
    gradient = torch.autograd.grad(probabilities.sum(), x, allow_unused=True)[0]
    return gradient is not None and bool(gradient.abs().sum() > 0)


class LRProbeByNewton(nn.Module):
    """Newton's method, and a linear layer for the weights."""

    def __init__(self, d_in: int, scaler_mean: Tensor | None = None, scaler_scale: Tensor | None = None) -> None:
        super().__init__()
        self.linear = nn.Linear(d_in, 1, bias=False)
        self.mean = torch.zeros(d_in) if scaler_mean is None else scaler_mean
        self.scale = torch.ones(d_in) if scaler_scale is None else scaler_scale

    def forward(self, x: Tensor) -> Tensor:
        return self.linear((x - self.mean) / self.scale).squeeze(-1).sigmoid()

    @property
    def direction(self) -> Tensor:
        return self.linear.weight.data[0] / self.scale

    @staticmethod
    def from_data(acts: Tensor, labels: Tensor, C: float = 0.1, device: str = "cpu") -> "LRProbeByNewton":
        mean, scale = acts.mean(0), acts.std(0, unbiased=False)
        scale[scale == 0] = 1.0
        probe = LRProbeByNewton(acts.shape[1], mean, scale)
        z, w = ((acts - mean) / scale).double(), torch.zeros(acts.shape[1], dtype=torch.float64)
        for _ in range(30):
            p = (z @ w).sigmoid()
            gradient = w + C * z.T @ (p - labels)
            hessian = torch.eye(len(w), dtype=torch.float64) + C * z.T @ (z * (p * (1 - p))[:, None])
            w = w - torch.linalg.solve(hessian, gradient)
        probe.linear.weight.data[0] = w.float()
        return probe


class LRProbeByAdam(LRProbe):
    """Plain gradient steps from PyTorch, many of them."""

    @classmethod
    def from_data(cls, acts: Tensor, labels: Tensor, C: float = 0.1, device: str = "cpu") -> "LRProbeByAdam":
        scale = acts.std(0, correction=0)
        probe = cls(acts.shape[1], acts.mean(0), torch.where(scale == 0, torch.ones_like(scale), scale))
        optimizer = torch.optim.Adam(probe.parameters(), lr=0.05)
        for _ in range(300):
            optimizer.zero_grad()
            p = probe.forward(acts).clamp(1e-7, 1 - 1e-7)
            log_loss = -(labels * p.log() + (1 - labels) * (1 - p).log()).sum()
            (probe.weight.square().sum() / 2 + C * log_loss).backward()
            optimizer.step()
        return probe


test_lr_probe = exercise(
    reference=LRProbe,
    cases=lr_probe_cases,
    observe=probed,
    keep=["__init__"],
    accepts=[LRProbeByNewton, LRProbeByAdam],
    tolerance={"probabilities": FITTED, DIRECTION: FITTED},
    mistakes=[
        Mistake(
            "does not standardise",
            "probe = cls(acts.shape[1], acts.mean(dim=0), torch.where(scale > 0, scale, 1.0)).to(acts)",
            "probe = cls(acts.shape[1]).to(acts)",
            why="the pull towards zero is fair only where all entries have the same spread",
        ),
        Mistake(
            "does not subtract the mean",
            "(((x - self.scaler_mean) / self.scaler_scale) @ self.weight)",
            "((x / self.scaler_scale) @ self.weight)",
            why="new activations go through the same scaler as those of training",
        ),
        Mistake(
            "forgets to scale new activations",
            "(((x - self.scaler_mean) / self.scaler_scale) @ self.weight)",
            "((x - self.scaler_mean) @ self.weight)",
            why="new activations go through the same scaler as those of training",
        ),
        Mistake(
            "divides an entry that never varies by zero",
            "torch.where(scale > 0, scale, 1.0)",
            "scale",
            why="its standard deviation is 0, and 0 / 0 is NaN: give it the scale 1",
        ),
        Mistake(
            "takes the standard deviation with n - 1",
            "correction=0",
            "correction=1",
            why="the scaler divides by the population's standard deviation, by n",
        ),
        Mistake(
            "gives the direction in standardised space",
            " / self.scaler_scale\n\n",
            "\n\n",
            why="the activations themselves are to be moved: an entry with a large scale needs less weight",
        ),
        Mistake(
            "multiplies the direction by the scale",
            "self.weight.detach() / self.scaler_scale",
            "self.weight.detach() * self.scaler_scale",
            why="(x / scale) . w is x . (w / scale)",
        ),
        Mistake(
            "leaves the weights at the gradient's mercy",
            "self.weight.detach() /",
            "self.weight /",
            why="a direction is a result, not something to be trained further: detach it",
        ),
        Mistake(
            "averages the loss over statements",
            'reduction="sum"',
            'reduction="mean"',
            why="C multiplies the sum of the log losses, so more statements count for more against the pull",
        ),
        Mistake(
            "pulls twice as strongly",
            "weight.square().sum() / 2",
            "weight.square().sum()",
            why="the penalty is half the squared length",
        ),
        Mistake(
            "takes C for the strength of the pull",
            "weight.square().sum() / 2 + C * log_loss",
            "C * weight.square().sum() / 2 + log_loss",
            why="C is the inverse strength: it multiplies the log loss, not the penalty",
        ),
        Mistake(
            "does not pull at all",
            "weight.square().sum() / 2 + C * log_loss",
            "1e-4 * weight.square().sum() + C * log_loss",
            why="without the penalty the weights grow without end once the classes can be separated",
        ),
        Mistake(
            "stops after a few steps",
            "max_iter=1000",
            "max_iter=2",
            why="the optimum is what counts: give the optimiser the steps it needs",
        ),
        Mistake("returns the score", ").sigmoid()", ")", why="forward gives a probability, sigmoid of the score"),
    ],
)
