"""Judge of a norm folded into the weight that reads its output.

Shapes:  a weight "*heads d_model d_out" and a gain "d_model" -> a weight of the same shape.
"""

import torch
from torch import Tensor

from arena_lib.checking import Case, exercise, instead_of, outputs
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
        *instead_of(
            "weight * gain[:, None]",
            {
                "weight * 1.0": ("leaves the gain out", "the norm multiplies entry i by gain[i]"),
                "weight / gain[:, None]": ("divides by the gain", "the norm multiplies entry i by gain[i]"),
                "weight * (1 + gain[:, None])": ("adds 1 to the gain", "the norm multiplies entry i by gain[i]"),
            },
        ),
        *instead_of(
            "scaled - scaled.mean(dim=-2, keepdim=True) if is_centred else scaled",
            {
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
