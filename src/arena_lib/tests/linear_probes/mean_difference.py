"""Judge of the mass-mean probe.

Shapes:  activations "n_statements d_model", labels "n_statements" -> probabilities "n_statements"
"""

from typing import Any

import torch
from torch import Tensor, nn

from arena_lib.checking import Case, Mistake, Tolerance, Unfit, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.interp.probes.mean_difference import MMProbe

__test__ = False

AXES = {
    "forward(x)": "statement",
    "forward(x, iid=True)": "statement",
    "direction": "d_model",
    "gradient of x": "statement d_model",
}


def mm_probe_cases(generator: torch.Generator) -> list[Case]:
    """Probes built by hand and probes of data: skewed, of classes of unequal size, with directions that never vary."""

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    def covariance(*spreads: float) -> Tensor:
        turn = torch.linalg.qr(normal(len(spreads), len(spreads)))[0]
        return turn @ torch.tensor(spreads).diag() @ turn.T

    def data(n_positive: int, n_negative: int, d_model: int, rank: int) -> tuple[Tensor, Tensor]:
        labels = torch.tensor([1] * n_positive + [0] * n_negative)
        labels = labels[torch.randperm(len(labels), generator=generator)]
        mixing = normal(rank, d_model)
        shift = 0.4 * normal(rank) @ mixing
        return normal(len(labels), rank) @ mixing + labels[:, None] * shift, labels

    built: dict[str, tuple[Any, ...]] = {
        "without a covariance": (0.4 * normal(5), None),
        "with a covariance": (0.3 * normal(4), covariance(2.0, 0.9, 0.5, 0.3)),
        "directions that hardly vary": (0.3 * normal(4), covariance(7.0, 0.4, 0.004, 0.0003)),
        "another atol": (0.3 * normal(3), covariance(1.0, 0.3, 0.02), 0.1),
    }
    cases = [
        Case(
            label=f"built by hand, {label}",
            given={"build": parts, "x": normal(6, len(parts[0]))},
            call="direction, covariance" + "".join(f", atol={atol}" for atol in parts[2:]),
            axes=AXES,
        )
        for label, parts in built.items()
    ]
    fitted = {
        "of data": data(9, 8, 3, 3),
        "of data with classes of unequal size": data(4, 13, 4, 4),
        "of few statements in many dimensions": data(5, 4, 11, 3),
    }
    acts, labels = data(6, 5, 3, 3)
    fitted["labels that are booleans"] = acts, labels.bool()
    for label, (acts, labels) in fitted.items():
        x = acts[:6] - acts.mean(dim=0)
        cases.append(Case(label=label, given={"data": (acts, labels), "x": x}, call="acts, labels", axes=AXES))
    return cases


def probed(cls: Any, case: Case) -> Observations:
    """What the probe gives, plain and tilted, which way it points, and whether it changed its data."""
    if not isinstance(cls, type):
        raise Unfit(f"This test takes the class MMProbe itself: got {type(cls).__name__}.")
    probe_cls: Any = cls
    given = {name: _own(value) for name, value in case.given.items()}
    before = case.given.get("data", (None, None))[0]
    probe = probe_cls(*given["build"]) if "build" in given else probe_cls.from_data(*given["data"])
    if not isinstance(getattr(probe, "direction", None), Tensor):
        raise Unfit("An MMProbe must keep its direction as the attribute direction, a tensor: it has none.")
    x = given["x"].requires_grad_(True)
    plain, tilted = (_call(probe, x, **how) for how in ({}, {"iid": True}))
    seen: Observations = {
        "direction": probe.direction.detach(),
        "forward(x)": _detached(plain),
        "forward(x, iid=True)": _detached(tilted),
    }
    if isinstance(plain, Tensor) and plain.requires_grad and plain.shape == x.shape[:1]:
        weights = torch.arange(1.0, len(x) + 1)
        seen["gradient of x"] = torch.autograd.grad((plain * weights).sum(), x)[0]
    else:
        seen["gradient of x"] = torch.zeros_like(x)
    return seen | {"data changed in place": before is not None and not torch.equal(before, given["data"][0])}


def _call(probe: Any, x: Tensor, **how: Any) -> Any:
    return probe(x, **how) if callable(probe) else probe.forward(x, **how)


def _own(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.clone()
    return tuple(_own(part) for part in value) if isinstance(value, tuple) else value


def _detached(value: Any) -> Any:
    return value.detach() if isinstance(value, Tensor) else value


class MMProbeByEigenvalues(nn.Module):
    """Inverts the eigenvalues by hand, and fits the covariance class by class."""

    def __init__(self, direction: Tensor, covariance: Tensor | None = None, atol: float = 1e-3) -> None:
        super().__init__()
        self.direction = nn.Parameter(direction, requires_grad=False)
        self.tilted = direction
        if covariance is not None:
            values, vectors = torch.linalg.eigh(covariance)
            kept = values.abs() > atol
            self.tilted = vectors[:, kept] @ ((vectors[:, kept].T @ direction) / values[kept])

    def forward(self, x: Tensor, iid: bool = False) -> Tensor:
        return torch.sigmoid(torch.einsum("nd,d->n", x, self.tilted if iid else self.direction))

    @staticmethod
    def from_data(acts: Tensor, labels: Tensor, device: str = "cpu") -> "MMProbeByEigenvalues":
        weights = labels.to(acts.dtype)
        means = torch.stack(
            [(acts * (1 - weights)[:, None]).sum(0) / (1 - weights).sum(), acts.T @ weights / weights.sum()]
        )
        centred = acts - means[labels.long()]
        return MMProbeByEigenvalues(means[1] - means[0], torch.einsum("ni,nj->ij", centred, centred) / acts.shape[0])


class MMProbeByTorchCov:
    """No module, and torch.cov for the covariance."""

    def __init__(self, direction: Tensor, covariance: Tensor | None = None, atol: float = 1e-3) -> None:
        self.direction = direction
        self.inv = torch.eye(len(direction)) if covariance is None else torch.linalg.pinv(covariance, atol=atol)

    def forward(self, x: Tensor, iid: bool = False) -> Tensor:
        return 1 / (1 + torch.exp(-(x @ self.inv @ self.direction if iid else x @ self.direction)))

    def __call__(self, x: Tensor, iid: bool = False) -> Tensor:
        return self.forward(x, iid)

    @classmethod
    def from_data(cls, acts: Tensor, labels: Tensor, device: str = "cpu") -> "MMProbeByTorchCov":
        true, false = acts[labels.bool()], acts[~labels.bool()]
        parts = [torch.cov(part.T, correction=0) * len(part) / len(acts) for part in (true, false)]
        return cls(true.mean(0) - false.mean(0), parts[0] + parts[1])


test_mm_probe = exercise(
    reference=MMProbe,
    cases=mm_probe_cases,
    observe=probed,
    accepts=[MMProbeByEigenvalues, MMProbeByTorchCov],
    tolerance={"forward(x, iid=True)": Tolerance(rtol=1e-3, atol=1e-4)},
    equivalent={
        "torch.linalg.pinv(covariance, hermitian=True, atol=atol)": "a covariance is symmetric, whether pinv knows it or not"
    },
    mistakes=[
        *instead_of(
            "direction = positive.mean(dim=0) - negative.mean(dim=0)",
            {
                "direction = negative.mean(dim=0) - positive.mean(dim=0)": (
                    "subtracts the means in the wrong order",
                    "the direction leads from the mean of label 0 to the mean of label 1",
                ),
                "direction = positive.mean(dim=0) - acts.mean(dim=0)": (
                    "subtracts the mean of all statements",
                    "the direction is the difference of the two classes' means",
                ),
                "direction = positive.mean(dim=0)": (
                    "uses only the mean of label 1",
                    "the direction is the difference of the two classes' means",
                ),
                "direction = torch.nn.functional.normalize(positive.mean(dim=0) - negative.mean(dim=0), dim=0)": (
                    "makes the direction a unit vector",
                    "the direction's length says how far apart the classes are, and the probabilities depend on it",
                ),
                "direction = positive.median(dim=0).values - negative.median(dim=0).values": (
                    "subtracts medians instead of means",
                    "the direction is the difference of the two classes' means",
                ),
                "direction = positive.sum(dim=0) - negative.sum(dim=0)": (
                    "subtracts sums instead of means",
                    "with more statements of one label its sum is larger: take means",
                ),
            },
        ),
        *instead_of(
            "torch.cat([positive - positive.mean(dim=0), negative - negative.mean(dim=0)])",
            {
                "acts - acts.mean(dim=0)": (
                    "centres both classes with the same mean",
                    "the covariance is within the classes: each class is centred with its own mean",
                ),
                "torch.cat([positive - negative.mean(dim=0), negative - positive.mean(dim=0)])": (
                    "centres each class with the other class's mean",
                    "the covariance is within the classes: each class is centred with its own mean",
                ),
                "positive - positive.mean(dim=0)": (
                    "computes the covariance of label 1 only",
                    "the covariance is the mean over all statements, each centred with the mean of its own class",
                ),
                "negative - negative.mean(dim=0)": (
                    "computes the covariance of label 0 only",
                    "the covariance is the mean over all statements, each centred with the mean of its own class",
                ),
                "acts": (
                    "does not centre for the covariance",
                    "the covariance is of the deviations of each class from its own mean",
                ),
            },
        ),
        *instead_of(
            "cls(direction, centred.T @ centred / len(centred))",
            {
                "cls(direction, centred.T @ centred / (len(centred) - 1))": (
                    "divides the covariance by n - 1",
                    "Sigma is the mean of the products over all statements, divided by n",
                ),
                "cls(direction, centred.T @ centred / (len(centred) - 2))": (
                    "divides the covariance by n - 2",
                    "Sigma is the mean of the products over all statements, divided by n",
                ),
                "cls(direction, centred.square().mean(dim=0).diag())": (
                    "keeps only the variances",
                    "entries that vary together have covariances, which turn the direction: Sigma is a whole matrix",
                ),
                "cls(direction, centred.T @ centred)": (
                    "sums instead of averaging",
                    "Sigma is the mean of the products over all statements, divided by n",
                ),
                "cls(direction, (torch.cov(positive.T, correction=0) + torch.cov(negative.T, correction=0)) / 2)": (
                    "weights both classes equally in the covariance",
                    "Sigma is the mean over all statements, so the larger class counts for more",
                ),
                "cls(direction, torch.cov(positive.T, correction=0) + torch.cov(negative.T, correction=0))": (
                    "adds the two classes' covariances",
                    "Sigma is the mean over all statements, so each class counts by its share",
                ),
                "cls(direction)": ("leaves out the covariance", "iid=True needs Sigma, the covariance in the classes"),
            },
        ),
        *instead_of(
            "torch.linalg.pinv(covariance, hermitian=True, atol=atol)",
            {
                "covariance": (
                    "multiplies by the covariance, not by its inverse",
                    "directions that vary much within the classes must count less, so multiply by the inverse of the covariance",
                ),
                "torch.linalg.inv(covariance)": (
                    "uses the inverse instead of the pseudoinverse",
                    "a covariance of few statements has no inverse; the pseudoinverse leaves out directions without variance",
                ),
                "torch.linalg.pinv(covariance, hermitian=True)": (
                    "ignores atol",
                    "eigenvalues of at most atol count as zero, because the inverse of a rounding error is a huge number",
                ),
                "torch.linalg.pinv(covariance, hermitian=True, rtol=atol)": (
                    "uses atol as a share of the largest eigenvalue",
                    "atol is a size, not a share: pinv's second argument is rtol, so name it, pinv(covariance, atol=atol)",
                ),
                "(covariance + atol * torch.eye(len(covariance))).inverse()": (
                    "adds atol to the eigenvalues",
                    "eigenvalues of at most atol count as zero and their directions are left out; the others stay as they are",
                ),
            },
        ),
        *instead_of(
            "if iid and self.inverse is not None",
            {
                "if self.inverse is not None": (
                    "always multiplies by the inverse covariance",
                    "only iid=True multiplies the direction by the inverse covariance",
                ),
                "if iid": (
                    "needs a covariance for iid=True",
                    "without a covariance iid changes nothing: check whether there is one",
                ),
                "if not iid and self.inverse is not None": (
                    "swaps iid=True and iid=False",
                    "iid=True multiplies the direction by the inverse covariance, iid=False doesn't",
                ),
                "if False": (
                    "never multiplies by the inverse covariance",
                    "iid=True multiplies the direction by the inverse covariance",
                ),
            },
        ),
        *instead_of(
            "direction = self.inverse @ direction",
            {
                "direction = self.inverse @ self.inverse @ direction": (
                    "multiplies by the inverse covariance twice",
                    "x . Sigma^+ theta has Sigma^+ once",
                ),
                "values, vectors = torch.linalg.eigh(self.inverse)\n"
                "            direction = vectors @ (values.clamp(min=0).sqrt() * (vectors.T @ direction))": (
                    "multiplies by the square root of the inverse",
                    "x . Sigma^+ theta has Sigma^+ itself; its root would be right if both x and theta were multiplied by it",
                ),
                "direction = torch.nn.functional.normalize(self.inverse @ direction, dim=0)": (
                    "makes Sigma^+ theta a unit vector",
                    "the probabilities depend on the length of Sigma^+ theta, so it stays as it is",
                ),
            },
        ),
        Mistake(
            "replaces the direction by Sigma^+ theta",
            'self.register_buffer("inverse", inverse)',
            'self.register_buffer("inverse", None)\n'
            "        self.direction = direction if inverse is None else inverse @ direction",
            why="forward without iid needs theta itself, so keep both",
        ),
        *instead_of(
            "(x @ direction).sigmoid()",
            {
                "x @ direction": (
                    "returns the score instead of the probability",
                    "forward returns a probability, the sigmoid of the score",
                ),
                "(x.detach() @ direction).sigmoid()": (
                    "detaches the activations",
                    "the caller may need the gradient with respect to the activations, for steering",
                ),
                "((x @ direction).sigmoid() > 0.5).to(x)": (
                    "returns predictions",
                    "forward returns a probability: the caller chooses the threshold",
                ),
                "((x - x.mean(dim=0)) @ direction).sigmoid()": (
                    "centres the activations in forward",
                    "the caller has centred the activations, so forward uses them as they are",
                ),
            },
        ),
    ],
)
