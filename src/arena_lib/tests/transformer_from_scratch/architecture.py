"""Judges of the MLPs and of the block.

Shapes:  residual stream "batch seq d_model".
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of, module_outputs_and_gradients
from arena_lib.tests.transformer_from_scratch.small_models import GPT2, LLAMA, residual_cases
from arena_lib.transformer import lesson, lesson_llama

__test__ = False


def mlp_cases(generator: torch.Generator) -> list[Case]:
    """Several positions, and one."""
    return residual_cases(generator, lesson.MLP, GPT2)


class MLPByLinear(lesson.MLP):
    """Uses F.linear and spells GELU out."""

    def forward(self, normalized_resid_mid: Tensor) -> Tensor:
        pre = F.linear(normalized_resid_mid, self.W_in.T, self.b_in)
        gate = 1 + torch.tanh((2 / torch.pi) ** 0.5 * (pre + 0.044715 * pre**3))
        return F.linear(0.5 * pre * gate, self.W_out.T, self.b_out)


GELU = "0.5 * pre * (1 + torch.tanh((2 / torch.pi) ** 0.5 * (pre + 0.044715 * pre**3)))"
SECOND_LAYER = 'einops.einsum(post, self.W_out, "batch seq d_mlp, d_mlp d_model -> batch seq d_model") + self.b_out'

test_mlp = exercise(
    reference=lesson.MLP,
    cases=mlp_cases,
    observe=module_outputs_and_gradients,
    keep=["__init__"],
    accepts=[MLPByLinear],
    mistakes=[
        *instead_of(
            'F.gelu(pre, approximate="tanh")',
            {
                "pre": (
                    "has no activation",
                    "without a nonlinear function between them, two linear layers are one linear layer",
                ),
                "F.relu(pre)": ("uses ReLU instead of GELU", "GELU is smooth, and slightly negative below zero"),
                "F.silu(pre)": ("uses SiLU instead of GELU", "GPT-2's activation is GELU in its tanh form"),
                "torch.tanh(pre)": ("uses tanh instead of GELU", "the tanh is only one factor of GELU"),
                "pre * torch.sigmoid(1.702 * pre)": (
                    "uses the sigmoid form of GELU",
                    "GPT-2 was trained with the tanh form; trained weights notice the difference",
                ),
                "F.gelu(pre)": (
                    "uses the exact GELU instead of its tanh form",
                    "GPT-2 was trained with the tanh form; they differ in the fourth digit, and trained weights notice",
                ),
                GELU.replace("0.044715", "0.44715"): (
                    "writes 0.44715 for 0.044715",
                    "the constant has a zero after the point: 0.044715",
                ),
                GELU.replace(" ** 0.5", ""): ("uses 2 / pi, not its root", "the formula has the root, sqrt(2 / pi)"),
                GELU.replace("0.5 * pre", "pre"): ("leaves out the factor 1/2", "gelu(a) = a/2 * (1 + tanh(...))"),
                GELU.replace("pre**3", "pre**2"): (
                    "squares the input where the formula has its cube",
                    "the formula has a^3",
                ),
                GELU.replace("* (pre + 0.044715 * pre**3)", "* pre + 0.044715 * pre**3"): (
                    "multiplies only a by sqrt(2/pi)",
                    "the root multiplies the whole bracket: a + 0.044715 a^3",
                ),
                GELU.replace("pre + 0.044715 * pre**3", "0.044715 * pre**3"): (
                    "leaves a out of the tanh",
                    "the tanh is of sqrt(2/pi) * (a + 0.044715 a^3)",
                ),
                GELU.replace("1 + ", ""): ("leaves out the 1 before the tanh", "gelu(a) = a/2 * (1 + tanh(...))"),
                GELU.replace("1 + ", "1 - "): ("subtracts the tanh", "gelu(a) = a/2 * (1 + tanh(...))"),
                GELU.replace("2 / torch.pi", "torch.pi / 2"): ("takes pi / 2 for 2 / pi", "the formula has sqrt(2/pi)"),
                GELU.replace("(2 / torch.pi) ** 0.5", "2**0.5 / torch.pi"): (
                    "takes the root of 2 only, not of 2 / pi",
                    "the formula has sqrt(2/pi)",
                ),
                GELU.replace("** 0.5", "* 0.5"): ("halves 2 / pi where the root is asked for", "** 0.5 is the root"),
                "pre * torch.sigmoid((2 / torch.pi) ** 0.5 * (pre + 0.044715 * pre**3))": (
                    "takes sigmoid for (1 + tanh) / 2",
                    "(1 + tanh(u)) / 2 is sigmoid(2u), with the 2",
                ),
                "0.5 * pre * (1 + torch.erf(pre))": (
                    "uses the exact GELU without the root of 2",
                    "GPT-2 was trained with the tanh form: a/2 * (1 + tanh(sqrt(2/pi) * (a + 0.044715 a^3)))",
                ),
                "pre * (1 + torch.erf(pre / 2**0.5))": (
                    "uses the exact GELU without the half",
                    "GPT-2 was trained with the tanh form: a/2 * (1 + tanh(sqrt(2/pi) * (a + 0.044715 a^3)))",
                ),
                **{
                    code: (f"uses {name} instead of GELU", "GPT-2's activation is GELU in its tanh form")
                    for code, name in [
                        ("torch.sigmoid(pre)", "a sigmoid"),
                        ("F.leaky_relu(pre)", "leaky ReLU"),
                        ("F.elu(pre)", "ELU"),
                        ("F.softplus(pre)", "softplus"),
                        ("F.relu(pre).square()", "the square of ReLU"),
                        ("pre.softmax(dim=-1)", "a softmax"),
                    ]
                },
                'F.gelu(pre.detach(), approximate="tanh")': (
                    "cuts the gradient to the first layer",
                    "both layers are learned: no detach, data or no_grad on the way",
                ),
                'F.gelu(pre - self.b_in, approximate="tanh") + self.b_in': (
                    "adds b_in after the activation",
                    "the bias decides where each neuron starts to fire, so it comes before GELU",
                ),
            },
        ),
        Mistake("forgets b_in", "+ self.b_in", "", why="the bias decides where each neuron starts to fire"),
        *instead_of(
            " + self.b_out",
            {
                "": ("forgets b_out", "the output layer has a bias as well"),
                " - self.b_out": ("subtracts b_out", "the bias is added"),
            },
        ),
        *instead_of(
            "return einops",
            {
                "return normalized_resid_mid + einops": (
                    "adds the residual stream itself",
                    "the MLP returns what it adds; the block adds it to the stream",
                ),
            },
        ),
        *instead_of(
            "einops.einsum(normalized_resid_mid, ",
            {
                'einops.einsum(F.gelu(normalized_resid_mid, approximate="tanh"), ': (
                    "applies the activation to the input too",
                    "GELU stands between the two layers only",
                ),
            },
        ),
        *instead_of(
            SECOND_LAYER,
            {
                f'F.gelu({SECOND_LAYER}, approximate="tanh")': (
                    "applies the activation to the output too",
                    "what is added to the residual stream must be free to have either sign",
                ),
            },
        ),
    ],
)


def gated_mlp_cases(generator: torch.Generator) -> list[Case]:
    """Several positions, and one."""
    return residual_cases(generator, lesson_llama.GatedMLP, LLAMA)


class GatedMLPByProduct(lesson_llama.GatedMLP):
    """Matrix products, and SiLU spelled out."""

    def forward(self, normalized_resid_mid: Tensor) -> Tensor:
        gate = normalized_resid_mid @ self.W_gate
        return ((normalized_resid_mid @ self.W_in) * gate * torch.sigmoid(gate)) @ self.W_out


test_gated_mlp = exercise(
    reference=lesson_llama.GatedMLP,
    cases=gated_mlp_cases,
    observe=module_outputs_and_gradients,
    keep=["__init__"],
    accepts=[GatedMLPByProduct],
    mistakes=[
        *instead_of(
            "F.silu(einops.einsum(normalized_resid_mid, self.W_gate, widen))\n"
            "        post = gate * einops.einsum(normalized_resid_mid, self.W_in, widen)",
            {
                "F.silu(einops.einsum(normalized_resid_mid, self.W_in, widen))\n"
                "        post = gate * einops.einsum(normalized_resid_mid, self.W_gate, widen)": (
                    "swaps gate and input",
                    "the activation acts on what W_gate gives; W_in stays linear",
                ),
                "F.silu(einops.einsum(normalized_resid_mid, self.W_in, widen))\n"
                "        post = gate * einops.einsum(normalized_resid_mid, self.W_in, widen)": (
                    "makes the gate with W_in",
                    "two products of x are multiplied: one with W_in, and the silu of one with W_gate",
                ),
                "torch.sigmoid(einops.einsum(normalized_resid_mid, self.W_in, widen))\n"
                "        post = gate * einops.einsum(normalized_resid_mid, self.W_gate, widen)": (
                    "swaps gate and input, and uses a sigmoid",
                    "the activation acts on what W_gate gives, and silu(a) = a * sigmoid(a)",
                ),
                "F.silu(einops.einsum(normalized_resid_mid, self.W_in, widen))\n        post = gate": (
                    "leaves W_gate out",
                    "two products of x are multiplied: one with W_in, and the silu of one with W_gate",
                ),
                "einops.einsum(normalized_resid_mid, self.W_gate, widen)\n"
                "        post = F.silu(gate * einops.einsum(normalized_resid_mid, self.W_in, widen))": (
                    "applies SiLU to the product",
                    "SiLU is applied to the gate only, before the multiplication",
                ),
            },
        ),
        *instead_of(
            "post = gate * einops.einsum(normalized_resid_mid, self.W_in, widen)",
            {
                "post = einops.einsum(normalized_resid_mid, self.W_in, widen)": (
                    "leaves the gate out",
                    "the gate decides how much of each hidden value passes",
                ),
                "post = gate": ("leaves W_in out", "the gate multiplies what W_in gives"),
                "post = gate * einops.einsum(normalized_resid_mid, self.W_gate, widen)": (
                    "multiplies the gate with itself, before and after SiLU",
                    "the gate multiplies what W_in gives",
                ),
                "post = (1 - gate) * einops.einsum(normalized_resid_mid, self.W_in, widen)": (
                    "turns the gate round",
                    "where the gate is zero nothing passes",
                ),
                "post = gate + einops.einsum(normalized_resid_mid, self.W_in, widen)": (
                    "adds the gate",
                    "the gate multiplies what W_in gives: where the gate is zero, nothing passes",
                ),
                "post = gate * F.silu(einops.einsum(normalized_resid_mid, self.W_in, widen))": (
                    "applies SiLU to both factors",
                    "SiLU is applied to the gate only; what W_in gives stays linear",
                ),
            },
        ),
        *instead_of(
            "F.silu(",
            {
                "torch.tanh(": ("uses tanh instead of SiLU", "silu(a) = a * sigmoid(a)"),
                "torch.square(": ("squares the gate", "silu(a) = a * sigmoid(a)"),
                "torch.sigmoid(": ("uses a sigmoid instead of SiLU", "silu(a) = a * sigmoid(a)"),
                "F.gelu(": ("uses GELU instead of SiLU", "Llama's gate is SiLU: a * sigmoid(a)"),
                "nn.GELU('tanh')(": ("uses GELU's tanh form instead of SiLU", "Llama's gate is SiLU: a * sigmoid(a)"),
                "F.relu(": ("uses ReLU instead of SiLU", "Llama's gate is SiLU: a * sigmoid(a)"),
                "torch.softmax(dim=-1, input=": (
                    "uses a softmax instead of SiLU",
                    "each entry of the gate is computed by itself: silu(a) = a * sigmoid(a)",
                ),
                "(": ("has no activation", "SiLU is applied to the gate before the multiplication"),
            },
        ),
        Mistake(
            "applies SiLU to the output too",
            "def forward(",
            "@lambda forward: lambda self, x: F.silu(forward(self, x))\n    def forward(",
            why="what is added to the residual stream must be free to have either sign",
        ),
        Mistake(
            "adds the residual stream itself",
            "return einops",
            "return normalized_resid_mid + einops",
            why="the MLP returns what it adds; the block adds it to the stream",
        ),
    ],
)


def transformer_block_cases(generator: torch.Generator) -> list[Case]:
    """Several positions, and one."""
    return residual_cases(generator, lesson.TransformerBlock, GPT2)


class TransformerBlockByParts(lesson.TransformerBlock):
    """Names what each part writes, and adds at the end."""

    def forward(self, resid_pre: Tensor) -> Tensor:
        attn_out = self.attn(self.ln1(resid_pre))
        mlp_out = self.mlp(self.ln2(attn_out + resid_pre))
        return torch.stack([mlp_out, attn_out, resid_pre]).sum(dim=0)


test_transformer_block = exercise(
    reference=lesson.TransformerBlock,
    cases=transformer_block_cases,
    observe=module_outputs_and_gradients,
    keep=["__init__"],
    accepts=[TransformerBlockByParts],
    mistakes=[
        *instead_of(
            "resid_mid = resid_pre + self.attn(self.ln1(resid_pre))",
            {
                "resid_mid = self.attn(self.ln1(resid_pre))": (
                    "forgets the residual connection around attention",
                    "attention adds to the residual stream; it does not replace it",
                ),
                "resid_mid = resid_pre": (
                    "leaves attention out",
                    "attention adds to the stream before the MLP reads it",
                ),
                "resid_mid = resid_pre + self.attn(resid_pre)": (
                    "does not normalise before attention",
                    "attention reads a normalised copy of the stream",
                ),
                "resid_mid = resid_pre + self.ln1(self.attn(resid_pre))": (
                    "normalises what attention writes",
                    "attention reads a normalised copy of the stream; what it writes is added as it is",
                ),
                "resid_mid = self.ln1(resid_pre + self.attn(resid_pre))": (
                    "normalises after adding attention, not before",
                    "GPT-2 normalises the input of each sublayer; only the original transformer normalised the stream after adding",
                ),
                "normed = self.ln1(resid_pre)\n        resid_mid = normed + self.attn(normed)": (
                    "adds attention to the normalised copy",
                    "the stream itself goes on unchanged: only the input of attention is normalised",
                ),
                "resid_mid = resid_pre + self.attn(self.ln2(resid_pre))": (
                    "uses ln2 for attention",
                    "ln1 belongs to attention, ln2 to the MLP",
                ),
                "resid_pre = resid_mid = resid_pre + self.mlp(self.ln2(resid_pre))\n"
                "        return resid_pre + self.attn(self.ln1(resid_pre))": (
                    "runs the MLP before attention",
                    "attention comes first, and the MLP reads what it wrote",
                ),
            },
        ),
        *instead_of(
            "return resid_mid + self.mlp(self.ln2(resid_mid))",
            {
                "return resid_mid": ("leaves the MLP out", "after attention the MLP adds to the stream"),
                "return resid_mid - resid_pre + self.mlp(self.ln2(resid_mid))": (
                    "returns what the block adds, without the stream",
                    "the stream after the block is asked for: resid_pre is part of it",
                ),
                "return self.ln2(resid_mid + self.mlp(self.ln2(resid_mid)))": (
                    "normalises the stream at the end",
                    "in GPT-2 the stream itself is never normalised on the way",
                ),
                "return resid_mid + self.mlp(self.ln2(self.ln1(resid_mid)))": (
                    "normalises twice before the MLP",
                    "the MLP reads what ln2 makes of the stream",
                ),
                "return resid_mid + self.mlp(self.ln2(resid_mid.detach()))": (
                    "cuts the gradient through the MLP",
                    "all that comes before learns through the MLP too",
                ),
                "return self.mlp(self.ln2(resid_mid))": (
                    "forgets the residual connection around the MLP",
                    "the MLP adds to the residual stream; it does not replace it",
                ),
                "return resid_mid + self.mlp(self.ln2(resid_pre))": (
                    "runs the MLP on the stream before attention",
                    "the MLP comes after attention and reads what attention wrote",
                ),
                "return resid_mid + self.mlp(self.ln2(resid_mid - resid_pre))": (
                    "runs the MLP on attention's output only",
                    "the MLP reads the whole stream, to which attention has added",
                ),
                "return resid_mid + self.mlp(resid_mid)": (
                    "does not normalise before the MLP",
                    "the MLP reads a normalised copy of the stream",
                ),
                "return resid_mid + self.mlp(self.ln1(resid_mid))": (
                    "uses ln1 for the MLP",
                    "each sublayer has a LayerNorm of its own",
                ),
                "return resid_pre + self.mlp(self.ln2(resid_mid))": (
                    "adds the MLP to the stream before attention",
                    "the MLP's output is added to the stream that holds attention's output, so that both stay",
                ),
                "return resid_pre + resid_mid + self.mlp(self.ln2(resid_mid))": (
                    "adds the stream twice",
                    "resid_mid holds resid_pre already",
                ),
                "return resid_mid + self.ln2(self.mlp(resid_mid))": (
                    "normalises what the MLP writes",
                    "the MLP reads a normalised copy of the stream; what it writes is added as it is",
                ),
                "return self.ln2(resid_mid + self.mlp(resid_mid))": (
                    "normalises after adding the MLP, not before",
                    "GPT-2 normalises the input of each sublayer, and never the stream itself",
                ),
                "normed = self.ln2(resid_mid)\n        return normed + self.mlp(normed)": (
                    "adds the MLP to the normalised copy",
                    "the stream itself goes on unchanged: only the input of the MLP is normalised",
                ),
            },
        ),
    ],
)
