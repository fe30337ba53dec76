"""Judge of a norm folded into the weight that reads its output.

Shapes:  a weight "*heads d_model d_out" and a gain "d_model" -> a weight of the same shape.
"""

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of, outputs
from arena_lib.interp.weights import folding

__test__ = False


def fold_norm_cases(generator: torch.Generator) -> list[Case]:
    """Heads of a layer, one matrix, a square one, and a norm that takes no mean away."""

    def weight(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    def gain(size: int) -> Tensor:
        return 0.3 + torch.rand(size, generator=generator, dtype=torch.float64)

    def case(label: str, *shape: int, is_centred: bool) -> Case:
        return Case(
            label=label,
            args=(weight(*shape), gain(shape[-2]), is_centred),
            axes={"output": " ".join(["n_heads", "d_model", "d_out"][-len(shape) :])},
        )

    return [
        case("a LayerNorm and all heads of a layer", 3, 7, 4, is_centred=True),
        case("a LayerNorm and one matrix", 7, 11, is_centred=True),
        case("a LayerNorm and a square matrix", 5, 5, is_centred=True),
        case("an RMSNorm", 3, 6, 4, is_centred=False),
        Case(label="a LayerNorm unless said otherwise", args=(weight(6, 4), gain(6))),
    ]


def fold_by_matrices(weight: Tensor, gain: Tensor, is_centred: bool = True) -> Tensor:
    """Writes centring and gain as matrices."""
    size = len(gain)
    eye = torch.eye(size, dtype=weight.dtype, device=weight.device)
    centre = eye - 1 / size if is_centred else eye
    return centre @ torch.diag(gain) @ weight


ONCE = "the norm multiplies entry i by gain[i]"
SCALE_STAYS = "the norm's scale depends on the text and is no part of the weight"

test_fold_norm = exercise(
    reference=folding.fold_norm,
    cases=fold_norm_cases,
    observe=outputs,
    accepts=[
        fold_by_matrices,
        lambda weight, gain, is_centred=True: (
            torch.einsum("...io,i->...io", weight, gain)
            - is_centred * torch.einsum("...io,i->...o", weight, gain)[..., None, :] / len(gain)
        ),
    ],
    mistakes=[
        Mistake(
            "takes a norm for RMSNorm unless said otherwise",
            "is_centred: bool = True",
            "is_centred: bool = False",
            why="a norm takes the mean away unless is_centred says otherwise: its default is True",
        ),
        *instead_of(
            "weight * gain[:, None]",
            {
                "weight * 1.0": ("leaves the gain out", "the norm multiplies entry i by gain[i]"),
                "weight * gain": (
                    "multiplies the outputs by the gain",
                    "the gain belongs to the d_model rows: gain[:, None]",
                ),
                "weight * gain[:, None] ** 2": ("multiplies by the gain twice", ONCE),
                "weight * gain[:, None].sqrt()": ("takes the root of the gain", ONCE),
                "weight + gain[:, None]": ("adds the gain", ONCE),
                "weight * (gain - is_centred * gain.mean())[:, None]": (
                    "takes the mean of the gain away",
                    "a LayerNorm takes the mean of its input away, and multiplies by the gain as it is",
                ),
                "weight / gain[:, None]": ("divides by the gain", "the norm multiplies entry i by gain[i]"),
                "weight * (1 + gain[:, None])": ("adds 1 to the gain", "the norm multiplies entry i by gain[i]"),
            },
        ),
        *instead_of(
            "scaled - scaled.mean(dim=-2, keepdim=True) if is_centred else scaled",
            {
                "scaled - scaled.mean(dim=-2, keepdim=True) if is_centred else weight": (
                    "leaves the gain out for RMSNorm",
                    "both kinds of norm multiply entry i by gain[i]",
                ),
                "scaled + scaled.mean(dim=-2, keepdim=True) if is_centred else scaled": (
                    "adds the mean",
                    "a LayerNorm subtracts the mean of its input",
                ),
                "(scaled - scaled.mean(dim=-2, keepdim=True)) / scaled.std(dim=-2, keepdim=True) "
                "if is_centred else scaled": ("divides by the spread of the weight", SCALE_STAYS),
                "scaled - scaled.mean(dim=-2, keepdim=True) if is_centred "
                "else scaled / scaled.square().mean(dim=-2, keepdim=True).sqrt()": (
                    "divides by the root mean square for RMSNorm",
                    SCALE_STAYS,
                ),
                "weight.sub_(weight - scaled).sub_(is_centred * scaled.mean(dim=-2, keepdim=True))": (
                    "writes into the weight that it got",
                    "`weight` stays as it is: it is the model's own",
                ),
                "scaled": (
                    "never subtracts the mean",
                    "a LayerNorm subtracts the mean of its input, which is linear too",
                ),
                "scaled - scaled.mean(dim=-2, keepdim=True)": (
                    "subtracts the mean for RMSNorm too",
                    "RMSNorm divides by the root mean square and subtracts no mean",
                ),
                "(weight - is_centred * weight.mean(dim=-2, keepdim=True)) * gain[:, None]": (
                    "multiplies the mean by the gain",
                    "the gain comes after the mean is subtracted, so the mean is that of the weight times the gain",
                ),
                "scaled if is_centred else scaled - scaled.mean(dim=-2, keepdim=True)": (
                    "subtracts the mean only for RMSNorm",
                    "LayerNorm subtracts the mean, and RMSNorm doesn't",
                ),
            },
        ),
        *instead_of(
            "scaled.mean(dim=-2, keepdim=True)",
            {
                "scaled.mean(dim=-1, keepdim=True)": (
                    "subtracts the mean over the outputs",
                    "the mean of the stream runs over d_model, the weight's last axis but one",
                ),
                "weight.mean(dim=-2, keepdim=True)": (
                    "subtracts the mean of the weight without the gain",
                    "the gain comes after the mean is subtracted, so the mean is that of the weight times the gain",
                ),
                "scaled.sum(dim=-2, keepdim=True)": (
                    "subtracts the sum instead of the mean",
                    "a LayerNorm subtracts the mean of its input",
                ),
                "scaled.mean(dim=(-2, -1), keepdim=True)": (
                    "uses one mean over rows and outputs",
                    "each output has a mean of its own, over the d_model rows",
                ),
                "scaled.mean(dim=tuple(range(scaled.ndim - 1)), keepdim=True)": (
                    "uses the mean over the heads, too",
                    "each head's weight has row means of its own: dim=-2 alone",
                ),
                "weight.mean(dim=-2, keepdim=True) * gain.mean()": (
                    "multiplies the mean of the weight by the mean of the gain",
                    "the mean of a product is another number: take it of the weight that has the gain in it",
                ),
                "scaled.mean(dim=0, keepdim=True)": (
                    "subtracts the mean over the first axis",
                    "heads may come first: d_model is the last axis but one",
                ),
                "scaled.mean()": (
                    "subtracts the mean of the whole weight",
                    "each output has a mean of its own, over the d_model rows",
                ),
            },
        ),
    ],
)
