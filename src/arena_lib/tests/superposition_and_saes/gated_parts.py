"""Judges of the parts of a gated toy SAE, section 1.5.4.

Shapes:  pre_gate and pre_mag "... n_inst d_sae"; W_gate "n_inst d_in d_sae", W_dec "n_inst d_sae d_in"
"""

import einops
import torch
from torch import Tensor

from arena_lib.checking import Case, exercise, instead_of, outputs_and_gradients
from arena_lib.saes.toy import gated
from arena_lib.tests.superposition_and_saes.toy_sae_parts import (
    without_gradient_of,
)

__test__ = False


def tie_cases(generator: torch.Generator) -> list[Case]:
    """Factors below and above 1; one instance; as many inputs as latents."""
    sizes = {"three instances": (3, 2, 5), "one instance": (1, 4, 3), "as many inputs as latents": (2, 3, 3)}
    return [
        Case(
            label=label,
            args=(
                torch.randn(n_inst, d_in, d_sae, generator=generator),
                torch.randn(n_inst, d_sae, generator=generator),
            ),
            axes={"output": "n_inst d_in d_sae"},
        )
        for label, (n_inst, d_in, d_sae) in sizes.items()
    ]


def tie_by_diagonal(W_gate: Tensor, r_mag: Tensor) -> Tensor:
    """Multiplies by a diagonal matrix."""
    return W_gate @ torch.diag_embed(torch.exp(r_mag))


test_tie_magnitudes = exercise(
    reference=gated.tie_magnitudes,
    cases=tie_cases,
    observe=outputs_and_gradients,
    accepts=[tie_by_diagonal],
    mistakes=[
        *instead_of(
            "r_mag.exp()[:, None]",
            {
                "r_mag[:, None]": (
                    "forgets exp",
                    "the factor must be positive, or the two paths would point in opposite directions: exp(r_mag)",
                ),
                "(-r_mag).exp()[:, None]": ("takes exp(-r_mag)", "the factor is exp(r_mag)"),
                "r_mag.softmax(dim=-1)[:, None]": (
                    "divides by the sum over the latents",
                    "each latent has a factor of its own: exp(r_mag), and no softmax",
                ),
                "(1 + r_mag)[:, None]": ("takes 1 + r_mag", "the factor is exp(r_mag), which is never negative"),
                "r_mag.exp()[:1, None]": (
                    "takes the first instance's r_mag for all",
                    "each instance has factors of its own",
                ),
                "r_mag.detach().exp()[:, None]": ("detaches r_mag", "the factors are learned"),
            },
        ),
        *instead_of(
            "return W_gate *",
            {
                "return W_gate +": ("adds the factor", "the column of each latent is multiplied"),
                "return W_gate.detach() *": (
                    "detaches W_gate",
                    "the directions are shared, and learn from both paths",
                ),
                "return torch.ones_like(W_gate) *": (
                    "leaves out W_gate",
                    "the magnitude path has the gate's directions, each times its factor",
                ),
                "if W_gate.shape[1] == W_gate.shape[2]:\n        return W_gate * r_mag.exp()[..., None]\n    return W_gate *": (
                    "multiplies the rows",
                    "a latent is a column of W_gate: the factors go along the last axis, r_mag.exp()[:, None]",
                ),
            },
        ),
    ],
)


def gate_cases(generator: torch.Generator) -> list[Case]:
    """Both signs of both, and gates that are exactly zero; any number of leading axes."""
    cases = []
    for label, leading, n_inst, d_sae in (
        ("a batch", (8,), 3, 5),
        ("one example", (), 2, 7),
        ("two axes", (2, 3), 1, 4),
    ):
        pre_gate, pre_mag = (torch.randn(*leading, n_inst, d_sae, generator=generator) for _ in range(2))
        axes = {"output": " ".join(["batch", "seq"][: len(leading)]) + " n_inst d_sae"}
        cases.append(Case(label=label, args=(pre_gate, pre_mag), axes=axes))
    at_zero = torch.tensor([[[0.0, 0.0, 1.0, -1.0, 1e-6]]])
    magnitudes = torch.tensor([[[2.0, -2.0, -3.0, 1.5, 0.7]]])
    return [*cases, Case(label="gates at zero", args=(at_zero, magnitudes), axes={"output": "batch n_inst d_sae"})]


def gate_by_product(pre_gate: Tensor, pre_mag: Tensor) -> Tensor:
    """Multiplies zeros and ones with the magnitudes."""
    return pre_gate.gt(0).float() * pre_mag.clamp(min=0)


GATE = "torch.where(pre_gate > 0, torch.relu(pre_mag), 0.0)"
ABOVE = "the gate is open above 0, and only there"

test_gate_latents = exercise(
    reference=gated.gate_latents,
    cases=gate_cases,
    observe=outputs_and_gradients,
    accepts=[gate_by_product],
    mistakes=[
        *instead_of(
            GATE,
            {
                "torch.where(pre_gate >= 0, torch.relu(pre_mag), 0.0)": ("opens the gate at zero too", ABOVE),
                "torch.where(pre_gate < 0, torch.relu(pre_mag), 0.0)": ("opens the gate below zero", ABOVE),
                "torch.where(pre_gate > 0, pre_mag, 0.0)": (
                    "forgets the ReLU",
                    "a latent is never negative, also where its gate is open",
                ),
                "torch.where(pre_mag > 0, torch.relu(pre_gate), 0.0)": (
                    "swaps gate and magnitude",
                    "pre_gate says whether, pre_mag how strongly",
                ),
                "torch.where(pre_gate > 0, torch.relu(pre_gate), 0.0)": (
                    "takes the gate's own size",
                    "pre_gate says only whether a latent is active; how strongly says pre_mag",
                ),
                "torch.relu(pre_mag)": ("leaves out the gate", "where pre_gate isn't above 0, the latent is 0"),
                "torch.relu(pre_gate) * torch.relu(pre_mag)": (
                    "multiplies by the gate's size",
                    "the gate counts as 0 or 1: L1 makes its size small, and the latents must not shrink with it",
                ),
                "torch.sigmoid(pre_gate) * torch.relu(pre_mag)": (
                    "opens the gate by degrees",
                    "the gate is open or shut: 1 or 0",
                ),
                "(pre_gate > 0).to(pre_mag.dtype)": (
                    "says only which gates are open",
                    "where the gate is open the latent is ReLU(pre_mag)",
                ),
                "torch.where(pre_gate > 0, torch.relu(pre_mag).detach(), 0.0)": (
                    "detaches the magnitudes",
                    "the magnitude path learns from the reconstruction",
                ),
                "torch.where(pre_gate > 0, torch.relu(pre_mag), 0.0) + pre_gate - pre_gate.detach()": (
                    "lets gradients through to the gate",
                    "no gradient reaches pre_gate here: the auxiliary loss is what trains it",
                ),
            },
        ),
    ],
)


def auxiliary_cases(generator: torch.Generator) -> list[Case]:
    """Gates of both signs."""
    sizes = {"a batch": (6, 3, 2, 5), "one example": (1, 2, 4, 3), "one instance": (5, 1, 3, 4)}
    return [
        Case(
            label=label,
            args=(
                torch.randn(batch, n_inst, d_in, generator=generator),
                torch.randn(batch, n_inst, d_sae, generator=generator),
                torch.randn(n_inst, d_sae, d_in, generator=generator),
                torch.randn(n_inst, d_in, generator=generator),
            ),
            axes={"output": "batch n_inst"},
        )
        for label, (batch, n_inst, d_in, d_sae) in sizes.items()
    ]


def auxiliary_without_graph(h: Tensor, pre_gate: Tensor, W_dec: Tensor, b_dec: Tensor) -> Tensor:
    """Copies the decoder while no gradients are recorded, and detaches the target."""
    with torch.no_grad():
        matrix, error = W_dec.clone(), b_dec - h
    product = einops.einsum(pre_gate.clamp(min=0), matrix, "batch inst sae, inst sae d -> batch inst d")
    return (product + error).square().mean(dim=-1)


FROZEN = "this loss is there to train the gate: it must not move the decoder"

test_compute_auxiliary_loss = exercise(
    reference=gated.compute_auxiliary_loss,
    cases=auxiliary_cases,
    observe=without_gradient_of("h"),
    accepts=[auxiliary_without_graph],
    equivalent={
        "compute_reconstruction_loss(decode(torch.relu(pre_gate), W_dec.detach(), b_dec.detach()), h) -> "
        "compute_reconstruction_loss(h, decode(torch.relu(pre_gate), W_dec.detach(), b_dec.detach()))": (
            "a squared distance is the same both ways"
        ),
    },
    mistakes=[
        *instead_of(
            "W_dec.detach(), b_dec.detach()",
            {
                "W_dec, b_dec": ("lets gradients into the decoder", FROZEN),
                "W_dec, b_dec.detach()": ("lets gradients into W_dec", FROZEN),
                "W_dec.detach(), b_dec": ("lets gradients into b_dec", FROZEN),
                "W_dec.detach(), 0 * b_dec.detach()": (
                    "does not add b_dec",
                    "it's a reconstruction like any other: b_dec is added",
                ),
            },
        ),
        *instead_of(
            "decode(torch.relu(pre_gate),",
            {
                "decode(pre_gate,": (
                    "forgets the ReLU",
                    "a shut gate adds nothing: the reconstruction is that of ReLU(pre_gate)",
                ),
                "decode((pre_gate > 0).to(h.dtype),": (
                    "reconstructs from open gates as ones",
                    "through a step no gradient would flow: ReLU(pre_gate) counts with its size",
                ),
                "decode(torch.relu(pre_gate).detach(),": (
                    "detaches the gate",
                    "gradients flow through pre_gate: it's what is trained here",
                ),
                "decode(pre_gate.abs(),": ("takes the absolute value", "a shut gate adds nothing: ReLU(pre_gate)"),
            },
        ),
        *instead_of(
            "b_dec.detach()), h)",
            {
                "b_dec.detach()), h) * h.shape[-1]": ("takes the sum over d_in", "the mean over d_in is asked for"),
                "b_dec.detach()), h).mean(dim=0)": (
                    "takes the mean over the batch too",
                    "each example of each instance has a loss of its own",
                ),
                "b_dec.detach()), h - b_dec.detach())": (
                    "compares with h less b_dec",
                    "the reconstruction, b_dec included, is compared with h itself",
                ),
            },
        ),
    ],
)
