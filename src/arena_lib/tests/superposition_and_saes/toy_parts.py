"""Judges of what a toy model does with features, step by step, section 1.5.4.

Shapes:  features "... n_inst n_feats", hidden "... n_inst d_hidden", W "n_inst d_hidden n_feats"
"""

import einops
import torch
from torch import Tensor

from arena_lib.checking import Case, exercise, instead_of, outputs_and_gradients
from arena_lib.saes.superposition import model

__test__ = False

SIZES = [
    ("a batch", (4,), 3, 2, 5),
    ("two leading axes", (2, 7), 3, 4, 5),
    ("no leading axes", (), 2, 3, 4),
    ("one instance", (5,), 1, 2, 3),
    ("more dimensions than features", (3,), 2, 6, 4),
]
"""Of the cases: label, leading axes, n_inst, d_hidden, n_feats."""
EACH_ITS_OWN = "each instance has a W of its own"
ONE_IS_AN_AXIS = "only the axis that the product added goes, with squeeze(dim): a single instance keeps its axis"


def compress_cases(generator: torch.Generator) -> list[Case]:
    """Any number of leading axes, one instance and several."""

    def case(label: str, leading: tuple[int, ...], n_inst: int, d_hidden: int, n_feats: int) -> Case:
        features = torch.randn(*leading, n_inst, n_feats, generator=generator)
        return Case(label=label, args=(features, torch.randn(n_inst, d_hidden, n_feats, generator=generator)))

    return [case(*sizes) for sizes in SIZES]


def compress_by_product(features: Tensor, W: Tensor) -> Tensor:
    """Multiplies matrices."""
    return (W @ features.unsqueeze(-1)).squeeze(-1)


def compress_by_sum(features: Tensor, W: Tensor) -> Tensor:
    """Adds up the directions, each as far as its feature is present."""
    return (W * features.unsqueeze(-2)).sum(dim=-1)


test_compress = exercise(
    reference=model.compress,
    cases=compress_cases,
    observe=outputs_and_gradients,
    accepts=[compress_by_product, compress_by_sum],
    mistakes=[
        *instead_of(
            'einops.einsum(features, W, "... n_inst n_feats, n_inst d_hidden n_feats -> ... n_inst d_hidden")',
            {
                'einops.einsum(features, W[0], "... n_inst n_feats, d_hidden n_feats -> ... n_inst d_hidden")': (
                    "uses the first instance's W for all",
                    EACH_ITS_OWN,
                ),
                'einops.einsum(features, W.mean(dim=0), "... n_inst n_feats, d_hidden n_feats -> ... n_inst d_hidden")': (
                    "uses the mean of all instances' W",
                    EACH_ITS_OWN,
                ),
                "torch.relu((W @ features.unsqueeze(-1)).squeeze(-1))": (
                    "applies a ReLU to the hidden state",
                    "the hidden state is linear in the features: the only ReLU is at the output",
                ),
                "((W / W.norm(dim=1, keepdim=True)) @ features.unsqueeze(-1)).squeeze(-1)": (
                    "gives every direction length 1",
                    "a direction's length counts: a feature that isn't represented has length 0",
                ),
                "(W @ features.unsqueeze(-1)).squeeze(-1) / W.shape[-1]": (
                    "takes the mean over the features",
                    "the directions of all present features are added up",
                ),
                'einops.einsum(features, W, "... n_inst n_feats, n_inst d_hidden n_feats -> ... d_hidden")': (
                    "adds up all instances",
                    "no instance sees what another one holds",
                ),
                "(W @ features.unsqueeze(-1)).squeeze()": (
                    "drops every axis of length 1",
                    ONE_IS_AN_AXIS,
                ),
                "(W @ features.detach().unsqueeze(-1)).squeeze(-1)": (
                    "cuts the gradient to the features",
                    "gradients flow through both arguments: nothing is detached",
                ),
                "(W.detach() @ features.unsqueeze(-1)).squeeze(-1)": (
                    "cuts the gradient to W",
                    "W is what is learned: nothing is detached",
                ),
            },
        ),
    ],
)


def reconstruct_cases(generator: torch.Generator) -> list[Case]:
    """Any number of leading axes, biases of both signs."""

    def case(label: str, leading: tuple[int, ...], n_inst: int, d_hidden: int, n_feats: int) -> Case:
        shapes = (*leading, n_inst, d_hidden), (n_inst, d_hidden, n_feats), (n_inst, n_feats)
        return Case(label=label, args=tuple(torch.randn(shape, generator=generator) for shape in shapes))

    return [case(*sizes) for sizes in SIZES]


def reconstruct_by_product(hidden: Tensor, W: Tensor, b_final: Tensor) -> Tensor:
    """Multiplies by the transposed matrix."""
    return ((W.mT @ hidden[..., None])[..., 0] + b_final).clamp(min=0)


def reconstruct_by_instance(hidden: Tensor, W: Tensor, b_final: Tensor) -> Tensor:
    """Goes through the instances."""
    scores = [hidden[..., i, :] @ W[i] + b_final[i] for i in range(len(W))]
    return torch.stack(scores, dim=-2).relu()


SCORES = 'einops.einsum(hidden, W, "... n_inst d_hidden, n_inst d_hidden n_feats -> ... n_inst n_feats")'
BELOW_ZERO = "features are never negative, so what is below 0 after the bias becomes 0"

test_reconstruct = exercise(
    reference=model.reconstruct,
    cases=reconstruct_cases,
    observe=outputs_and_gradients,
    accepts=[reconstruct_by_product, reconstruct_by_instance],
    mistakes=[
        *instead_of(
            "torch.relu(scores + b_final)",
            {
                "scores + b_final": ("forgets the ReLU", BELOW_ZERO),
                "torch.relu(scores)": ("forgets the bias", "the bias keeps small interference below 0"),
                "torch.relu(scores) + b_final": (
                    "adds the bias after the ReLU",
                    "the bias comes first: a negative one pushes interference below 0, and the ReLU removes it",
                ),
                "torch.relu(scores - b_final)": ("subtracts the bias", "the bias is added"),
                "torch.relu(scores + b_final[:1])": (
                    "uses the first instance's bias for all",
                    "each instance has biases of its own",
                ),
                "torch.sigmoid(scores + b_final)": ("uses a sigmoid", BELOW_ZERO),
                "torch.relu(scores + b_final).squeeze()": ("drops every axis of length 1", ONE_IS_AN_AXIS),
                "(scores + b_final).abs()": ("takes the absolute value", BELOW_ZERO),
                "torch.nn.functional.leaky_relu(scores + b_final)": ("uses a leaky ReLU", BELOW_ZERO),
                "torch.nn.functional.gelu(scores + b_final)": ("uses GELU", BELOW_ZERO),
                "torch.relu(scores + b_final).detach()": (
                    "cuts the gradient",
                    "the loss must reach W and b_final: nothing is detached",
                ),
            },
        ),
        *instead_of(
            SCORES,
            {
                SCORES.replace("hidden, W,", "torch.relu(hidden), W,"): (
                    "applies a ReLU to the hidden state",
                    "the hidden state may be negative: the only ReLU is at the output",
                ),
                SCORES.replace("hidden, W,", "hidden, W[0],").replace("n_inst d_hidden n_feats", "d_hidden n_feats"): (
                    "uses the first instance's W for all",
                    EACH_ITS_OWN,
                ),
                SCORES.replace("hidden, W,", "hidden, W / W.norm(dim=1, keepdim=True),"): (
                    "gives every direction length 1",
                    "a direction's length counts: it's read off as it was written",
                ),
                SCORES.replace("hidden, W,", "hidden, W.detach(),"): (
                    "cuts the gradient to W",
                    "W learns from where it's read, too: nothing is detached",
                ),
                SCORES + " / hidden.shape[-1] ** 0.5": (
                    "divides by the root of d_hidden",
                    "these are plain dot products, nothing is divided",
                ),
            },
        ),
    ],
)


def loss_cases(generator: torch.Generator) -> list[Case]:
    """Importances that differ by feature and instance; one example, one instance."""

    def case(label: str, batch: int, n_inst: int, n_feats: int) -> Case:
        out, given = (torch.rand(batch, n_inst, n_feats, generator=generator) for _ in range(2))
        importance = 0.2 + 2 * torch.rand(n_inst, n_feats, generator=generator)
        return Case(label=label, args=(1.5 * out, given, importance), axes={"output": "n_inst"})

    sizes = [("many examples", 11, 3, 5), ("one example", 1, 2, 4), ("one instance", 6, 1, 3), ("one feature", 4, 3, 1)]
    return [case(*numbers) for numbers in sizes]


def losses_by_einsum(out: Tensor, batch: Tensor, importance: Tensor) -> Tensor:
    """Contracts everything but the instances."""
    errors = (out - batch) ** 2
    n_terms = out.shape[0] * out.shape[2]
    return einops.einsum(errors, importance, "batch n_inst n_feats, n_inst n_feats -> n_inst") / n_terms


def losses_by_instance(out: Tensor, batch: Tensor, importance: Tensor) -> Tensor:
    """Goes through the instances."""
    return torch.stack([((batch - out).square()[:, i] * importance[i]).mean() for i in range(out.shape[1])])


LOSSES = "(importance * (batch - out).pow(2)).mean(dim=(0, 2))"
MEAN_OVER_BOTH = "the mean goes over examples and features, and leaves one number for each instance"
AS_IT_IS = "importance multiplies the squared error as it is"

test_importance_weighted_losses = exercise(
    reference=model.importance_weighted_losses,
    cases=loss_cases,
    observe=outputs_and_gradients,
    accepts=[losses_by_einsum, losses_by_instance],
    mistakes=[
        *instead_of(
            LOSSES,
            {
                "(importance * (batch - out)).pow(2).mean(dim=(0, 2))": ("squares the importance, too", AS_IT_IS),
                "(importance.sqrt() * (batch - out).pow(2)).mean(dim=(0, 2))": (
                    "takes the root of the importance",
                    AS_IT_IS,
                ),
                "(batch - out).pow(2).mean(dim=(0, 2))": (
                    "leaves the importance out",
                    "an error in an important feature counts more",
                ),
                "(importance * (batch - out).pow(2)).mean(dim=(0, 2)) / importance.mean(dim=1)": (
                    "divides by the importances' mean",
                    AS_IT_IS,
                ),
                "((batch - out).pow(2) / importance).mean(dim=(0, 2))": ("divides by the importance", AS_IT_IS),
                "(importance[:1] * (batch - out).pow(2)).mean(dim=(0, 2))": (
                    "uses the first instance's importances for all",
                    "each instance has importances of its own",
                ),
                "(importance * (batch - out).abs()).mean(dim=(0, 2))": ("forgets the square", "errors are squared"),
                "(importance * (batch - out).pow(2)).mean(dim=(0, 2)).sqrt()": (
                    "takes the root of the mean",
                    "the squared error itself is the loss",
                ),
                "(importance * (batch.pow(2) - out.pow(2))).mean(dim=(0, 2))": (
                    "subtracts the squares",
                    "the difference is squared, not each of the two",
                ),
                "(importance * (batch - out).pow(2)).sum(dim=2).mean(dim=0)": ("adds up the features", MEAN_OVER_BOTH),
                "(importance * (batch - out).pow(2)).mean(dim=2).sum(dim=0)": ("adds up the examples", MEAN_OVER_BOTH),
                "(importance * (batch - out).pow(2)).sum(dim=(0, 2))": ("adds up everything", MEAN_OVER_BOTH),
                "(importance * (batch - out).pow(2)).mean()": ("takes the mean over instances, too", MEAN_OVER_BOTH),
                "(importance * (batch - out).pow(2)).mean().expand(len(importance))": (
                    "takes the mean over instances, too",
                    MEAN_OVER_BOTH,
                ),
                "(importance * (batch - out).pow(2)).mean(dim=(0, 1))": (
                    "keeps the features and averages over instances",
                    MEAN_OVER_BOTH,
                ),
                "(importance * (batch - out).pow(2)).mean(dim=(0, 2)) / 2": ("halves the loss", "the mean is the loss"),
                "(importance * (batch - out.detach()).pow(2)).mean(dim=(0, 2))": (
                    "cuts the gradient",
                    "gradients flow through out: that is what trains the model",
                ),
            },
        ),
    ],
)
