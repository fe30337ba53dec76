"""Judge of logistic regression as a probe.

Shapes:  activations "n_statements d_model", labels "n_statements" -> probabilities "n_statements"
"""

from typing import Any

import torch
from torch import Tensor, nn

from arena_lib.checking import Case, Mistake, Tolerance, Unfit, exercise, instead_of
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
    axes = {"probabilities": "statement", DIRECTION: "d_model"}
    return [
        Case(
            label=label,
            given={"acts": acts, "labels": labels, "x": x, "how": how},
            call=", ".join(["acts, labels", *(f"{name}={value}" for name, value in how.items())]),
            axes=axes,
        )
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

    has_intercept = False

    def __init__(self, d_in: int, scaler_mean: Tensor | None = None, scaler_scale: Tensor | None = None) -> None:
        super().__init__()
        self.linear = nn.Linear(d_in, 1, bias=False)
        self.intercept = torch.zeros(())
        self.mean = torch.zeros(d_in) if scaler_mean is None else scaler_mean
        self.scale = torch.ones(d_in) if scaler_scale is None else scaler_scale

    def forward(self, x: Tensor) -> Tensor:
        return self.linear((x - self.mean) / self.scale).squeeze(-1).sigmoid()

    @property
    def direction(self) -> Tensor:
        return self.linear.weight.data[0] / self.scale

    @classmethod
    def from_data(cls, acts: Tensor, labels: Tensor, C: float = 0.1, device: str = "cpu") -> "LRProbeByNewton":
        mean, scale = acts.mean(0), acts.std(0, unbiased=False)
        scale[scale == 0] = 1.0
        probe = cls(acts.shape[1], mean, scale)
        z = torch.cat([(acts - mean) / scale, torch.ones(len(acts), 1)], dim=1).double()
        pulled = torch.eye(z.shape[1], dtype=torch.float64)
        if cls.has_intercept:
            pulled[-1, -1] = 0.0
        else:
            z[:, -1] = 0.0
        w = torch.zeros(z.shape[1], dtype=torch.float64)
        for _ in range(30):
            p = (z @ w).sigmoid()
            gradient = pulled @ w + C * z.T @ (p - labels)
            hessian = pulled + C * z.T @ (z * (p * (1 - p))[:, None])
            w = w - torch.linalg.solve(hessian, gradient)
        probe.linear.weight.data[0], probe.intercept = w[:-1].float(), w[-1].float()
        return probe


class LRProbeBesideAnIntercept(LRProbeByNewton):
    """The mistake of fitting an intercept, which the probe has no place for."""

    has_intercept = True


class LRProbeWithAnIntercept(LRProbeByNewton):
    """The mistake of fitting an intercept and adding it to each score."""

    has_intercept = True

    def forward(self, x: Tensor) -> Tensor:
        return (self.linear((x - self.mean) / self.scale).squeeze(-1) + self.intercept).sigmoid()


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
    equivalent={
        "split_by_label(acts, labels) -> None": "it only refuses labels of one class",
        "torch.where(scale > 0, scale, 1.0) -> torch.where(scale > 0, scale, 2.0)": "the weight of such an entry is 0",
        "torch.optim.LBFGS([weight], max_iter=1000, tolerance_grad=1e-09, tolerance_change=0.0, "
        "line_search_fn='strong_wolfe')": "the optimum is the same, however it is reached",
        "probe.weight.data.copy_(weight.detach()) -> probe.weight.data.copy_(weight)": "data has no gradient",
    },
    mistakes=[
        *instead_of(
            "cls(acts.shape[1], acts.mean(dim=0), torch.where(scale > 0, scale, 1.0))",
            {
                "cls(acts.shape[1])": (
                    "does not standardise",
                    "the penalty treats all entries alike only if they have the same standard deviation",
                ),
                "cls(acts.shape[1], acts.mean(dim=0))": (
                    "centres, but does not scale",
                    "the penalty treats all entries alike only if they have the same standard deviation",
                ),
                "cls(acts.shape[1], acts.mean(dim=0), acts.std(correction=0).expand(acts.shape[1]))": (
                    "divides all entries by one standard deviation",
                    "each entry has its own standard deviation, taken over statements: std(dim=0)",
                ),
                "cls(acts.shape[1], acts.mean().expand(acts.shape[1]), acts.std(correction=0).expand(acts.shape[1]))": (
                    "standardises with one mean and one standard deviation",
                    "each entry has its own mean and standard deviation, taken over statements: dim=0",
                ),
                "cls(acts.shape[1], acts.mean(dim=0), scale)": (
                    "divides an entry that never varies by zero",
                    "an entry that never varies has the standard deviation 0, and 0 / 0 is NaN: set its scale to 1",
                ),
            },
        ),
        *instead_of(
            "(((x - self.scaler_mean) / self.scaler_scale) @ self.weight).sigmoid()",
            {
                "((x / self.scaler_scale) @ self.weight).sigmoid()": (
                    "does not subtract the mean",
                    "new activations are scaled by the same scaler as the training activations",
                ),
                "((x - self.scaler_mean) @ self.weight).sigmoid()": (
                    "forgets to scale new activations",
                    "new activations are scaled by the same scaler as the training activations",
                ),
                "(x @ self.weight).sigmoid()": (
                    "does not use the scaler for new activations",
                    "new activations are scaled by the same scaler as the training activations",
                ),
                "(((x - x.mean(dim=0)) / x.std(dim=0, correction=0)) @ self.weight).sigmoid()": (
                    "scales new activations by their own mean and spread",
                    "the scaler keeps the mean and standard deviation of the training activations",
                ),
                "((((x - self.scaler_mean) / self.scaler_scale) @ self.weight).sigmoid() > 0.5).to(x)": (
                    "returns predictions",
                    "forward returns a probability: the caller chooses the threshold",
                ),
                "(((x - self.scaler_mean) / self.scaler_scale) @ self.weight[:, None]).sigmoid()": (
                    "keeps a last axis of length 1",
                    "there is one probability for each row of x: squeeze the last axis",
                ),
                "((x - self.scaler_mean) / self.scaler_scale) @ self.weight": (
                    "returns the score instead of the probability",
                    "forward returns a probability, the sigmoid of the score",
                ),
            },
        ),
        *instead_of(
            "acts.std(dim=0, correction=0)",
            {
                "acts.std(dim=0, correction=1)": (
                    "computes the standard deviation with n - 1",
                    "the scaler divides by the population's standard deviation, by n",
                ),
                "acts.var(dim=0, correction=0)": (
                    "divides by the variance",
                    "the scale is the standard deviation, the root of the variance",
                ),
            },
        ),
        *instead_of(
            "z = ((acts - probe.scaler_mean) / probe.scaler_scale).double()",
            {
                "z = acts.double()": (
                    "fits the weights on activations that are not standardised",
                    "forward standardises, so the weights are fitted on standardised activations too",
                ),
                "z = (acts - probe.scaler_mean).double()": (
                    "fits the weights on activations that are only centred",
                    "forward standardises, so the weights are fitted on standardised activations too",
                ),
                "z = acts.sub_(probe.scaler_mean).div_(probe.scaler_scale).double()": (
                    "changes the activations in place",
                    "the caller still uses the activations, so they must stay unchanged",
                ),
            },
        ),
        *instead_of(
            'F.binary_cross_entropy_with_logits(z @ weight, targets, reduction="sum")',
            {
                "((z @ weight).sigmoid() - targets).square().sum()": (
                    "minimises a squared error instead of the log loss",
                    "the loss of a statement is -y log p - (1 - y) log(1 - p)",
                ),
                "(z @ weight - targets).square().sum()": (
                    "minimises the squared error of the scores",
                    "the loss of a statement is -y log p - (1 - y) log(1 - p)",
                ),
            },
        ),
        *instead_of(
            "self.weight.detach() / self.scaler_scale",
            {
                "self.weight.detach()": (
                    "returns the direction of the standardised activations",
                    "the direction is used on the activations themselves: divide each weight by its entry's scale",
                ),
                "self.weight.detach() * self.scaler_scale": (
                    "multiplies the direction by the scale",
                    "(x / scale) . w is x . (w / scale)",
                ),
                "self.weight / self.scaler_scale": (
                    "returns a direction that isn't detached",
                    "the direction is a plain vector without a gradient: detach the weights",
                ),
                "torch.nn.functional.normalize(self.weight.detach() / self.scaler_scale, dim=0)": (
                    "makes the direction a unit vector",
                    "the direction is w / scaler_scale as it is",
                ),
            },
        ),
        *instead_of(
            "weight.square().sum() / 2 + C * log_loss",
            {
                "weight.square().sum() + C * log_loss": (
                    "leaves out the factor 1/2 of the penalty",
                    "the penalty is |w|^2 / 2",
                ),
                "weight.norm() / 2 + C * log_loss": ("forgets the square in the penalty", "the penalty is |w|^2 / 2"),
                "weight.abs().sum() + C * log_loss": (
                    "uses the sum of absolute values as the penalty",
                    "the penalty is |w|^2 / 2, with the sum of squares",
                ),
                "weight.square().mean() / 2 + C * log_loss": (
                    "averages the penalty over the entries",
                    "|w|^2 is the sum of the squares of all entries",
                ),
                "weight.square().sum() / 2 + log_loss": (
                    "always uses C = 1",
                    "C is an argument: scikit-learn's own default is 1, so pass C=C",
                ),
                "weight.square().sum() / 2 + 0.1 * log_loss": ("ignores C", "C is an argument: 0.1 is its default"),
                "C * weight.square().sum() / 2 + log_loss": (
                    "uses C as the strength of the penalty",
                    "C is the inverse strength: it multiplies the log loss, not the penalty",
                ),
                "1e-4 * weight.square().sum() + C * log_loss": (
                    "leaves out the penalty",
                    "without the penalty the weights grow without end once the classes can be separated",
                ),
                "weight.square().sum() / 2 + C * log_loss / len(targets)": (
                    "averages the loss over statements",
                    "C multiplies the sum of the log losses, not their mean",
                ),
            },
        ),
        Mistake(
            "swaps the two labels",
            "labels.double()",
            "1 - labels.double()",
            why="forward returns the probability of label 1",
        ),
        Mistake(
            "fits an intercept beside the weights",
            function=LRProbeBesideAnIntercept,
            why="the probe has no intercept: pass fit_intercept=False, or leave out the bias",
        ),
        Mistake(
            "fits an intercept and adds it to the scores",
            function=LRProbeWithAnIntercept,
            why="the probe has no intercept: pass fit_intercept=False, or leave out the bias",
        ),
        Mistake(
            "stops after a few steps",
            "max_iter=1000",
            "max_iter=2",
            why="the result is the optimum, so run the optimiser until it converges",
        ),
    ],
)
