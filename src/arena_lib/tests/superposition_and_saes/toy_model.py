"""Judges of the toy model, section 1.5.4: its forward pass and its loss.

Shapes:  features "... n_inst n_feats", batches "batch n_inst n_feats"
"""

from dataclasses import replace
from typing import Any

import einops
import torch
from torch import Tensor, nn

from arena_lib.checking import (
    Case,
    Unfit,
    exercise,
    instead_of,
    module_case,
    module_outputs_and_gradients,
)
from arena_lib.checking.comparison.describing import describe
from arena_lib.checking.observing import Observations
from arena_lib.saes.superposition import model
from arena_lib.saes.superposition.model import ToyModel, ToyModelConfig

__test__ = False

EACH, GRADIENT = "each instance's loss", "gradient of out"
GIVEN = [
    "__init__",
    "make_weights",
    "generate_batch",
    "generate_correlated_features",
    "generate_anticorrelated_features",
    "_with_magnitudes",
    "_probability_of_correlated",
    "_probability_of_anticorrelated",
    "_broadcast",
]
"""Methods that learners find written in the class; they write the other four."""


def build(cls: Any, case: Case) -> nn.Module:
    """A model of a learner's class for the case's config, probabilities and importances."""
    if not (isinstance(cls, type) and issubclass(cls, nn.Module)):
        raise Unfit(f"This test takes the class itself: got {type(cls).__name__}. Pass the class, without calling it.")
    built: nn.Module = cls(case.given["cfg"], case.given.get("probability", 0.01), case.given.get("importance", 1.0))
    return built


def forward_cases(generator: torch.Generator) -> list[Case]:
    """Any number of leading axes, one instance and several."""
    sizes = [("a batch", (4,), 3, 2, 5), ("no leading axes", (), 2, 3, 4), ("one instance", (2, 3), 1, 2, 6)]
    return [
        module_case(
            label,
            ToyModel,
            ToyModelConfig(n_inst=n_inst, d_hidden=d_hidden, n_feats=n_feats),
            (torch.randn(*leading, n_inst, n_feats, generator=generator),),
            "",
            generator,
        )
        for label, leading, n_inst, d_hidden, n_feats in sizes
    ]


class ModelByGram(ToyModel):
    """Multiplies by W^T W, which is computed first."""

    def forward(self, features: Tensor) -> Tensor:
        gram = einops.einsum(self.W, self.W, "n_inst d_hidden i, n_inst d_hidden j -> n_inst i j")
        return torch.relu((gram @ features.unsqueeze(-1)).squeeze(-1) + self.b_final)


SCORES = 'einops.einsum({hidden}, self.W, "... n_inst d_hidden, n_inst d_hidden n_feats -> ... n_inst n_feats") + self.b_final'
PLAIN = SCORES.format(hidden="compress(features, self.W)")
ONE_PLACE = (
    "lets W learn from one of its two places",
    "W squeezes features and reads them off: it gets a gradient from both",
)
LINEAR = "the hidden state is linear in the features: the only ReLU is at the output"

test_model = exercise(
    reference=model.ToyModel,
    cases=forward_cases,
    observe=module_outputs_and_gradients,
    keep=[*GIVEN, "generate_uncorrelated_features", "calculate_losses", "calculate_loss"],
    accepts=[ModelByGram],
    name="model",
    mistakes=[
        *instead_of(
            "reconstruct(compress(features, self.W), self.W, self.b_final)",
            {
                PLAIN: ("forgets the ReLU", "features are never negative: what is below 0 after the bias becomes 0"),
                "reconstruct(compress(features, self.W), self.W, torch.zeros_like(self.b_final))": (
                    "forgets the bias",
                    "the bias keeps small interference below 0",
                ),
                f"torch.relu({PLAIN} - self.b_final) + self.b_final": (
                    "adds the bias after the ReLU",
                    "the bias comes first, so that the ReLU can remove interference",
                ),
                "reconstruct(torch.relu(compress(features, self.W)), self.W, self.b_final)": (
                    "applies a ReLU to the hidden state, too",
                    LINEAR,
                ),
                SCORES.format(hidden="torch.relu(compress(features, self.W))"): (
                    "applies the ReLU to the hidden state alone",
                    LINEAR,
                ),
                "reconstruct(compress(features, self.W), self.W, -self.b_final)": (
                    "subtracts the bias",
                    "the bias is added",
                ),
                "reconstruct(compress(features, self.W.detach()), self.W, self.b_final)": ONE_PLACE,
                "reconstruct(compress(features, self.W), self.W.detach(), self.b_final)": ONE_PLACE,
                "features * (reconstruct(compress(features, self.W), self.W, self.b_final) > 0)": (
                    "hands the features through",
                    "what comes out must have gone through the hidden state",
                ),
            },
            within="ToyModel.forward",
        ),
    ],
)


def loss_cases(generator: torch.Generator) -> list[Case]:
    """Those of `ToyModel`."""
    return weighted_cases(ToyModel, generator)


def weighted_cases(toy: type[ToyModel], generator: torch.Generator) -> list[Case]:
    """Importances that differ by feature and instance; one example, one instance."""

    def case(label: str, batch: int, n_inst: int, n_feats: int) -> Case:
        out, given = (torch.rand(batch, n_inst, n_feats, generator=generator) for _ in range(2))
        importance = 0.2 + 2 * torch.rand(n_inst, n_feats, generator=generator)
        cfg = ToyModelConfig(n_inst=n_inst, n_feats=n_feats)
        return Case(
            label=label,
            given={"cfg": cfg, "importance": importance, "out": 1.5 * out, "batch": given},
            call=f"{toy.__name__}(cfg, importance=importance).calculate_loss(out, batch)",
            axes={EACH: "n_inst", GRADIENT: "batch n_inst n_feats"},
        )

    return [case("many examples", 9, 3, 5), case("one example", 1, 2, 4), case("one instance", 6, 1, 3)]


def signed_loss_cases(toy: type[ToyModel], generator: torch.Generator) -> list[Case]:
    """As `weighted_cases`, with features and outputs of both signs."""
    cases = weighted_cases(toy, generator)
    return [
        replace(case, given={**case.given, **{name: 2 * case.given[name] - 1 for name in ("out", "batch")}})
        for case in cases
    ]


def losses_seen(cls: Any, case: Case) -> Observations:
    """The losses, their sum, and its gradient; an older form of the class has the sum alone."""
    toy: Any = build(cls, case)
    out, batch = case.given["out"].clone().requires_grad_(), case.given["batch"].clone()
    if hasattr(toy, "calculate_losses"):
        each = toy.calculate_losses(out, batch)
    else:
        each = torch.stack([toy.calculate_loss(_only(i, out, batch), batch) for i in range(out.shape[1])])
    loss = toy.calculate_loss(out, batch)
    if not isinstance(loss, Tensor) or loss.ndim:
        raise Unfit(f"calculate_loss must return a tensor without axes, one number: got {describe(loss)}.")
    (gradient,) = torch.autograd.grad(loss, out, allow_unused=True) if loss.requires_grad else (None,)
    zeros = torch.zeros_like(out)
    return {
        EACH: each.detach() if isinstance(each, Tensor) else each,
        "loss": loss.detach(),
        GRADIENT: zeros if gradient is None else gradient,
        "batch is as before": torch.equal(batch, case.given["batch"]),
    }


def _only(instance: int, out: Tensor, batch: Tensor) -> Tensor:
    """`out` with every other instance without error."""
    return torch.stack([out[:, i] if i == instance else batch[:, i] for i in range(out.shape[1])], dim=1)


class LossByEinsum(ToyModel):
    """Sums over everything, and divides."""

    def calculate_losses(self, out: Tensor, batch: Tensor) -> Tensor:
        errors = (out - batch) ** 2 * self.importance
        return einops.reduce(errors, "batch n_inst n_feats -> n_inst", "mean")

    def calculate_loss(self, out: Tensor, batch: Tensor) -> Tensor:
        return ((out - batch) ** 2 * self.importance).mean(dim=(0, 2)).sum()


class LossWithoutParts(nn.Module):
    """The older form, which has no loss for each instance."""

    def __init__(self, cfg: ToyModelConfig, feature_probability: Any = 0.01, importance: Any = 1.0) -> None:
        super().__init__()
        self.importance = importance

    def calculate_loss(self, out: Tensor, batch: Tensor) -> Tensor:
        """Mean over examples and features, sum over instances."""
        return einops.reduce(self.importance * (batch - out) ** 2, "batch inst feats -> inst", "mean").sum()


ALONE = "the sum lets each instance learn as if it were alone"
PLAIN_LOSSES = "importance_weighted_losses(out, batch, self.importance)"

test_calculate_loss = exercise(
    reference=model.ToyModel,
    cases=loss_cases,
    observe=losses_seen,
    equivalent={
        "importance_weighted_losses(out, batch, self.importance) -> "
        "importance_weighted_losses(batch, out, self.importance)": "the square is the same",
        "return self.calculate_losses(out, batch).sum() -> return self.calculate_losses(batch, out).sum()": (
            "the square is the same"
        ),
    },
    keep=[*GIVEN, "generate_uncorrelated_features", "forward"],
    accepts=[LossByEinsum, LossWithoutParts],
    name="calculate_loss",
    mistakes=[
        *instead_of(
            "self.calculate_losses(out, batch).sum()",
            {
                "self.calculate_losses(out, batch).mean()": (
                    "takes the mean over instances",
                    ALONE + "; with a mean, each learns more slowly the more there are",
                ),
                "self.calculate_losses(out, batch).max()": ("takes the largest loss", ALONE),
                "self.calculate_losses(out, batch).prod()": ("multiplies the losses", ALONE),
                "self.calculate_losses(out, batch)[0]": ("takes the first instance alone", ALONE),
                "self.calculate_losses(out, batch).sum().detach()": (
                    "cuts the gradient",
                    "the loss is what the model learns from: nothing is detached",
                ),
                "(self.importance * (batch - out).pow(2)).sum()": (
                    "adds up the examples and features, too",
                    "over examples and features the loss is a mean; only the instances are added up",
                ),
            },
            within="ToyModel.calculate_loss",
        ),
        *instead_of(
            PLAIN_LOSSES,
            {
                "importance_weighted_losses(out, batch, torch.ones_like(self.importance))": (
                    "leaves the importance out",
                    "an error in an important feature counts more: self.importance",
                ),
                "importance_weighted_losses(out, batch, self.feature_probability)": (
                    "weighs by the probability",
                    "self.importance says how much an error counts",
                ),
                "importance_weighted_losses(out, batch, self.importance).detach()": (
                    "cuts the gradient",
                    "the loss is what the model learns from: nothing is detached",
                ),
                "importance_weighted_losses(out, batch, self.importance**2)": (
                    "squares the importance",
                    "importance multiplies the squared error as it is",
                ),
            },
            within="ToyModel.calculate_losses",
        ),
    ],
)
