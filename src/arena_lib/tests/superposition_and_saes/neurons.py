"""Judges of toy models with neurons, section 1.5.4.

Shapes:  features "... n_inst n_feats"
"""

from dataclasses import replace
from typing import Any

import einops
import torch
from torch import Tensor

from arena_lib.checking import (
    Case,
    Mistake,
    Tolerance,
    exercise,
    instead_of,
    module_case,
    module_outputs_and_gradients,
)
from arena_lib.checking.observing import Observations
from arena_lib.saes.superposition import neurons
from arena_lib.saes.superposition.model import ToyModelConfig
from arena_lib.tests.superposition_and_saes.toy_batches import (
    GLOBAL,
    HANDED_IN,
    LEVELS,
    N_EXAMPLES,
    SPREADS,
    STATISTICS,
    batches_seen,
    draw,
    is_off,
    statistics_cases,
)
from arena_lib.tests.superposition_and_saes.toy_model import ONE_PLACE, build, losses_seen, signed_loss_cases

__test__ = False

SIZES = [("a batch", (4,), 3, 2, 5), ("no leading axes", (), 2, 3, 4), ("one instance", (2, 3), 1, 6, 4)]
"""Of the cases: label, leading axes, n_inst, d_hidden, n_feats."""


def neuron_cases(generator: torch.Generator) -> list[Case]:
    """Any number of leading axes, features of both signs."""
    return forward_cases(neurons.NeuronModel, generator)


def forward_cases(reference: Any, generator: torch.Generator) -> list[Case]:
    """A model of each size."""
    cases = []
    for label, leading, n_inst, d_hidden, n_feats in SIZES:
        cfg = ToyModelConfig(n_inst=n_inst, d_hidden=d_hidden, n_feats=n_feats)
        features = torch.randn(*leading, n_inst, n_feats, generator=generator)
        cases.append(module_case(label, reference, cfg, (features,), "", generator))
    return cases


class NeuronModelByProduct(neurons.NeuronModel):
    """Multiplies matrices."""

    def forward(self, features: Tensor) -> Tensor:
        hidden = (self.W @ features[..., None]).clamp(min=0)
        return ((self.W.mT @ hidden)[..., 0] + self.b_final).clamp(min=0)


READ = '(einops.einsum({hidden}, self.W, "... n_inst d_hidden, n_inst d_hidden n_feats -> ... n_inst n_feats"){bias})'
NEURONS = "torch.relu(compress(features, self.W))"
TWO_RELUS = "there is a ReLU in the hidden layer, which makes neurons of its dimensions, and one at the output"

test_neuron_model = exercise(
    reference=neurons.NeuronModel,
    cases=neuron_cases,
    observe=module_outputs_and_gradients,
    accepts=[NeuronModelByProduct],
    mistakes=[
        *instead_of(
            "reconstruct(torch.relu(compress(features, self.W)), self.W, self.b_final)",
            {
                "reconstruct(compress(features, self.W), self.W, self.b_final)": (
                    "forgets the ReLU of the neurons",
                    TWO_RELUS,
                ),
                READ.format(hidden=NEURONS, bias=" + self.b_final"): ("forgets the ReLU at the output", TWO_RELUS),
                f"reconstruct({NEURONS}, self.W, torch.zeros_like(self.b_final))": (
                    "forgets the bias",
                    "the bias is added before the last ReLU",
                ),
                "torch.relu(" + READ.format(hidden=NEURONS, bias="") + ") + self.b_final": (
                    "adds the bias after the last ReLU",
                    "the bias is added before the last ReLU",
                ),
                "reconstruct(compress(torch.relu(features), self.W), self.W, self.b_final)": (
                    "applies the ReLU to the features instead of the neurons",
                    TWO_RELUS,
                ),
                "reconstruct(compress(features, self.W).abs(), self.W, self.b_final)": (
                    "takes the absolute value of the neurons",
                    TWO_RELUS,
                ),
                "reconstruct(torch.relu(compress(features, self.W.detach())), self.W, self.b_final)": ONE_PLACE,
                "reconstruct(torch.relu(compress(features, self.W)), self.W.detach(), self.b_final)": ONE_PLACE,
                "reconstruct(torch.nn.functional.gelu(compress(features, self.W)), self.W, self.b_final)": (
                    "uses GELU",
                    TWO_RELUS,
                ),
            },
        ),
    ],
)


def sign_cases(generator: torch.Generator) -> list[Case]:
    """Features present and absent, of both signs already, and draws of exactly 1/2."""

    def case(label: str, batch: int, n_inst: int, n_feats: int) -> Case:
        features, draws = (torch.rand(batch, n_inst, n_feats, generator=generator) for _ in range(2))
        return Case(label=label, args=(features * (draws.flip(0) < 0.6), draws))

    both = torch.randn(4, 2, 3, generator=generator)
    halves = torch.tensor([[[0.5, 0.5, 0.0, 0.25]]])
    return [
        case("some features are absent", 7, 2, 5),
        case("one example", 1, 3, 4),
        Case(label="draws of exactly 1/2", args=(torch.tensor([[[0.3, 0.8, 0.6, 0.0]]]), halves)),
        Case(label="features of both signs", args=(both, torch.rand(4, 2, 3, generator=generator))),
    ]


def signs_by_product(features: Tensor, draws: Tensor) -> Tensor:
    """Multiplies by 1 or -1."""
    return features * (1 - 2 * (draws < 0.5).to(features.dtype))


PRESENT = "the size of a feature stays, and an absent one stays 0: only the sign changes"

test_with_random_signs = exercise(
    reference=neurons.with_random_signs,
    cases=sign_cases,
    accepts=[signs_by_product],
    mistakes=[
        *instead_of(
            "torch.where(draws < 0.5, -features, features)",
            {
                "torch.where(draws < 0.5, features, -features)": (
                    "turns the others negative",
                    "a feature turns negative where its draw is below 1/2",
                ),
                "torch.where(draws <= 0.5, -features, features)": (
                    "turns a feature with a draw of exactly 1/2",
                    "below 1/2 is meant: a draw lies in [0, 1), so each half is as likely",
                ),
                "2 * features - 1": (
                    "stretches the features to [-1, 1]",
                    PRESENT + "; this makes -1 of every absent feature",
                ),
                "features * (2 * draws - 1)": ("multiplies by the stretched draws", PRESENT),
                "torch.where(draws < 0.5, -features.abs(), features.abs())": (
                    "gives a sign whatever sign was there",
                    "a feature keeps its sign, or gets the opposite one",
                ),
                "torch.where(draws[..., :1] < 0.5, -features, features)": (
                    "gives all features of an example one sign",
                    "each feature has a draw of its own",
                ),
                "torch.where(draws[:1] < 0.5, -features, features)": (
                    "gives all examples the first one's signs",
                    "each feature of each example has a draw of its own",
                ),
                "torch.where(draws < 0.5, features.neg_(), features)": (
                    "writes into the features",
                    "the result is a new tensor",
                ),
                "features * torch.sign(draws - 0.5)": (
                    "makes 0 of a feature with a draw of exactly 1/2",
                    "there are two cases only: below 1/2, and not",
                ),
            },
        ),
    ],
)


SIGNS = "mean product of the signs of each two features"


def computation_cases(generator: torch.Generator) -> list[Case]:
    """Forward passes, losses, and batches."""
    forward = forward_cases(neurons.NeuronComputationModel, generator)
    losses = [
        replace(case, label=f"the loss, {case.label}")
        for case in signed_loss_cases(neurons.NeuronComputationModel, generator)
    ]
    batches = statistics_cases(neurons.NeuronComputationModel)[:3:2]
    return [*forward, *losses, *(replace(case, label=f"batches, {case.label}") for case in batches)]


def computation_seen(cls: Any, case: Case) -> Observations:
    """What the case is about: the forward pass, the losses, or batches and their signs."""
    if "weights" in case.given:
        return module_outputs_and_gradients(cls, case)
    if "out" in case.given:
        return losses_seen(cls, case)
    seen, batch = batches_seen(cls, case), draw(build(cls, case), N_EXAMPLES, seed=5)
    if seen["shape"] != tuple(batch.shape):
        return seen
    signs = batch.sign().flatten(1)
    return seen | {SIGNS: einops.einsum(signs, signs, "batch i, batch j -> i j") / len(batch)}


class ComputationByProduct(neurons.NeuronComputationModel):
    """Multiplies matrices; draws a random sign as one of two numbers, before the features."""

    def forward(self, features: Tensor) -> Tensor:
        hidden = (self.W1 @ features[..., None]).relu()
        return ((self.W2 @ hidden)[..., 0] + self.b_final).relu()

    def generate_batch(self, batch_size: int, generator: torch.Generator) -> Tensor:
        shape = (batch_size, self.cfg.n_inst, self.cfg.n_feats)
        signs = 2 * torch.randint(2, shape, generator=generator) - 1
        return super(neurons.NeuronComputationModel, self).generate_batch(batch_size, generator) * signs

    def calculate_losses(self, out: Tensor, batch: Tensor) -> Tensor:
        return (self.importance * (out - batch.abs()) ** 2).mean(dim=(0, 2))


HIDDEN = "torch.relu(compress(features, self.W1))"
SIGNED = "with_random_signs(features, draws)"
TARGET = "the model should give the absolute value of each feature, and the loss compares it with that"
FORWARD, BATCH, LOSS = (
    f"NeuronComputationModel.{method}" for method in ("forward", "generate_batch", "calculate_losses")
)

test_neuron_computation_model = exercise(
    reference=neurons.NeuronComputationModel,
    cases=computation_cases,
    observe=computation_seen,
    keep=["make_weights"],
    tolerance={
        **STATISTICS,
        LEVELS: Tolerance(rtol=0.0, atol=0.12),
        SPREADS: Tolerance(rtol=0.0, atol=0.08),
        SIGNS: Tolerance(rtol=0.0, atol=0.05),
    },
    equivalent={
        "importance_weighted_losses(out, batch.abs(), self.importance) -> "
        "importance_weighted_losses(batch.abs(), out, self.importance)": "the square is the same",
    },
    accepts=[ComputationByProduct],
    mistakes=[
        *instead_of(
            HIDDEN,
            {
                "compress(features, self.W1)": (
                    "forgets the ReLU of the neurons",
                    "without it the hidden layer is linear, and an absolute value can't be made of it",
                ),
                "compress(features, self.W1).abs()": ("takes the absolute value of the neurons", "neurons have a ReLU"),
                "torch.relu(compress(features, self.W2.mT))": (
                    "reads the features with W2",
                    "W1 goes from features to neurons, and W2 from neurons to the output",
                ),
                "torch.relu(compress(features.abs(), self.W1))": (
                    "takes the absolute value of the features first",
                    "that is what the model must learn to compute: it gets the features as they are",
                ),
            },
            within=FORWARD,
        ),
        *instead_of(
            "hidden, self.W2, ",
            {
                "hidden, self.W1.mT, ": (
                    "reads the output with W1",
                    "W2 goes from neurons to the output: the two matrices are not tied",
                ),
            },
            within=FORWARD,
        ),
        *instead_of(
            "torch.relu(scores + self.b_final)",
            {
                "scores + self.b_final": ("forgets the ReLU at the output", "out = ReLU(W2 hidden + b_final)"),
                "torch.relu(scores)": ("forgets the bias", "out = ReLU(W2 hidden + b_final)"),
                "torch.relu(scores) + self.b_final": (
                    "adds the bias after the last ReLU",
                    "the bias is added before the last ReLU",
                ),
            },
            within=FORWARD,
        ),
        *instead_of(
            SIGNED,
            {
                "features": ("leaves all features positive", "each feature gets a random sign"),
                "-features": ("makes all features negative", "each feature gets a random sign"),
                "2 * features - 1": (
                    "stretches the features to [-1, 1]",
                    "an absent feature stays 0: this would make -1 of it",
                ),
                "with_random_signs(features, draws[..., :1].expand_as(draws))": (
                    "gives all features of an example one sign",
                    "each feature has a sign of its own",
                ),
                "with_random_signs(features, draws[:, :1].expand_as(draws))": (
                    "gives all instances the same signs",
                    "each feature of each instance has a sign of its own",
                ),
                "with_random_signs(features, draws[:1].expand_as(draws))": (
                    "gives all examples the same signs",
                    "each feature of each example has a sign of its own",
                ),
                "with_random_signs(features, draws**2)": (
                    "makes negative features more frequent",
                    "both signs are as likely: the draw itself is compared with 1/2",
                ),
                "with_random_signs(features, features)": (
                    "uses the features for draws of the sign",
                    "the sign must not follow from the size: draw it anew",
                ),
            },
            within=BATCH,
        ),
        Mistake(
            "draws signs from torch's global state",
            "draw_uniform((batch_size, self.cfg.n_inst, self.cfg.n_feats), generator)",
            "torch.rand(batch_size, self.cfg.n_inst, self.cfg.n_feats)",
            within=BATCH,
            why=HANDED_IN,
            shows=is_off(GLOBAL),
        ),
        *instead_of(
            "importance_weighted_losses(out, batch.abs(), self.importance)",
            {
                "importance_weighted_losses(out, batch, self.importance)": (
                    "compares with the features themselves",
                    TARGET,
                ),
                "importance_weighted_losses(out.abs(), batch.abs(), self.importance)": (
                    "takes the absolute value of the output, too",
                    "the output is compared as it is",
                ),
                "importance_weighted_losses(out, torch.relu(batch), self.importance)": (
                    "compares with the positive features alone",
                    TARGET,
                ),
                "importance_weighted_losses(out, batch.abs(), torch.ones_like(self.importance))": (
                    "leaves the importance out",
                    "an error in an important feature counts more: self.importance",
                ),
            },
            within=LOSS,
        ),
    ],
)
