"""Judges of the MLPs, of the block, and of whole models: GPT-2's and Llama's.

Shapes:  residual stream "batch seq d_model"; tokens "batch seq"; logits "batch seq d_vocab".
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from arena_lib.checking import Case, Mistake, exercise, module_case, module_outputs_and_gradients
from arena_lib.tests.transformer_from_scratch.small_models import GPT2, LLAMA, LOGITS, residual_cases, tokens
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


test_mlp = exercise(
    reference=lesson.MLP,
    cases=mlp_cases,
    observe=module_outputs_and_gradients,
    keep=["__init__"],
    accepts=[MLPByLinear],
    mistakes=[
        Mistake(
            "has no activation",
            'F.gelu(pre, approximate="tanh")',
            "pre",
            why="two linear layers without a bend between them are one linear layer",
        ),
        Mistake(
            "uses ReLU in place of GELU",
            'F.gelu(pre, approximate="tanh")',
            "F.relu(pre)",
            why="GPT-2's activation is GELU, which is smooth and slightly negative below zero",
        ),
        Mistake(
            "uses the exact GELU in place of its tanh form",
            'approximate="tanh"',
            'approximate="none"',
            why="GPT-2 was trained with the tanh form; they differ in the fourth digit, and trained weights notice",
        ),
        Mistake("forgets b_in", "+ self.b_in", "", why="the bias decides where each neuron starts to fire"),
        Mistake("forgets b_out", " + self.b_out", "", why="the output layer has a bias as well"),
        Mistake(
            "applies the activation to the output too",
            'return einops.einsum(post, self.W_out, "batch seq d_mlp, d_mlp d_model -> batch seq d_model") + self.b_out',
            'return F.gelu(einops.einsum(post, self.W_out, "batch seq d_mlp, d_mlp d_model -> batch seq d_model") + self.b_out, approximate="tanh")',
            why="what is added to the residual stream must be free to have either sign",
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
        Mistake(
            "swaps gate and input",
            "gate = F.silu(einops.einsum(normalized_resid_mid, self.W_gate, widen))\n        post = gate * einops.einsum(normalized_resid_mid, self.W_in, widen)",
            "gate = F.silu(einops.einsum(normalized_resid_mid, self.W_in, widen))\n        post = gate * einops.einsum(normalized_resid_mid, self.W_gate, widen)",
            why="the activation acts on what W_gate gives; W_in stays linear",
        ),
        Mistake(
            "leaves the gate out",
            "post = gate * einops",
            "post = einops",
            why="the gate decides how much of each hidden value passes",
        ),
        Mistake(
            "adds the gate",
            "post = gate * einops",
            "post = gate + einops",
            why="a gate multiplies: where it is zero nothing passes",
        ),
        Mistake(
            "uses a sigmoid in place of SiLU",
            "F.silu(",
            "torch.sigmoid(",
            why="silu(a) = a * sigmoid(a)",
        ),
        Mistake("uses GELU in place of SiLU", "F.silu(", "F.gelu(", why="Llama's gate is SiLU: a * sigmoid(a)"),
        Mistake(
            "has no activation",
            "F.silu(einops.einsum(normalized_resid_mid, self.W_gate, widen))",
            "einops.einsum(normalized_resid_mid, self.W_gate, widen)",
            why="the gate is bent by SiLU before it multiplies",
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
        Mistake(
            "forgets the residual connection around attention",
            "resid_pre + self.attn",
            "self.attn",
            why="attention adds to the residual stream; it does not replace it",
        ),
        Mistake(
            "forgets the residual connection around the MLP",
            "return resid_mid + self.mlp",
            "return self.mlp",
            why="the MLP adds to the residual stream; it does not replace it",
        ),
        Mistake(
            "lets the MLP read the stream before attention",
            "self.ln2(resid_mid)",
            "self.ln2(resid_pre)",
            why="the MLP comes after attention and reads what attention wrote",
        ),
        Mistake(
            "does not normalise before attention",
            "self.attn(self.ln1(resid_pre))",
            "self.attn(resid_pre)",
            why="attention reads a normalised copy of the stream",
        ),
        Mistake(
            "does not normalise before the MLP",
            "self.mlp(self.ln2(resid_mid))",
            "self.mlp(resid_mid)",
            why="the MLP reads a normalised copy of the stream",
        ),
        Mistake(
            "uses ln1 for the MLP too",
            "self.ln2(resid_mid)",
            "self.ln1(resid_mid)",
            why="each sublayer has a LayerNorm of its own",
        ),
        Mistake(
            "adds the MLP to the stream before attention",
            "return resid_mid + ",
            "return resid_pre + ",
            why="what attention wrote would be lost again",
        ),
        Mistake(
            "normalises after adding, not before",
            "resid_pre + self.attn(self.ln1(resid_pre))",
            "self.ln1(resid_pre + self.attn(resid_pre))",
            why="that was the first transformer; since GPT-2 the stream itself is never normalised on the way",
        ),
    ],
)


def demo_transformer_cases(generator: torch.Generator) -> list[Case]:
    """Several sequences, the whole context, and one token."""
    shapes = {"several sequences": (2, 4), "the whole context": (1, GPT2.n_ctx), "a single token": (3, 1)}
    return [
        module_case(label, lesson.DemoTransformer, GPT2, (tokens(generator, *shape),), LOGITS, generator)
        for label, shape in shapes.items()
    ]


class DemoTransformerBySequential(lesson.DemoTransformer):
    """Runs the blocks as a chain of functions."""

    def forward(self, tokens: Tensor) -> Tensor:
        stream = nn.Sequential(*self.blocks)(self.pos_embed(tokens) + self.embed(tokens))
        return self.unembed(self.ln_final(stream))


test_demo_transformer = exercise(
    reference=lesson.DemoTransformer,
    cases=demo_transformer_cases,
    observe=module_outputs_and_gradients,
    keep=["__init__"],
    accepts=[DemoTransformerBySequential],
    mistakes=[
        Mistake(
            "forgets the position embedding",
            " + self.pos_embed(tokens)",
            "",
            why="without it attention sees a bag of tokens with no order but the mask",
        ),
        Mistake(
            "forgets the final LayerNorm",
            "self.unembed(self.ln_final(residual))",
            "self.unembed(residual)",
            why="the stream has grown with every block; it is normalised once more before it is read",
        ),
        Mistake(
            "adds each block's output to the stream again",
            "residual = block(residual)",
            "residual = residual + block(residual)",
            why="a block returns the whole stream already, residual connection included",
        ),
        Mistake(
            "leaves the last block out",
            "in self.blocks:",
            "in self.blocks[:-1]:",
            why="every block takes its turn",
        ),
        Mistake(
            "runs the blocks backwards",
            "in self.blocks:",
            "in reversed(self.blocks):",
            why="block 0 comes first",
        ),
        Mistake(
            "returns probabilities",
            "return self.unembed(self.ln_final(residual))",
            "return self.unembed(self.ln_final(residual)).softmax(dim=-1)",
            why="the model returns logits; the loss and the sampler take the softmax themselves",
        ),
    ],
)


def demo_llama_cases(generator: torch.Generator) -> list[Case]:
    """Embeddings of their own and tied ones, several sequences, and one token."""
    tied = lesson_llama.LlamaConfig(**{**vars(LLAMA), "tie_embeddings": True})
    shapes = {"several sequences": (2, 4), "a single token": (3, 1)}
    return [
        module_case(
            f"{label}, {kind}",
            lesson_llama.DemoLlama,
            cfg,
            (torch.randint(0, LLAMA.d_vocab, shape, generator=generator),),
            LOGITS,
            generator,
        )
        for label, shape in shapes.items()
        for kind, cfg in [("tied embeddings", tied), ("an unembedding of its own", LLAMA)]
    ]


class DemoLlamaBySequential(lesson_llama.DemoLlama):
    """A chain of modules, and the unembedding as one matrix."""

    def forward(self, tokens: Tensor) -> Tensor:
        x = nn.Sequential(self.embed, *self.blocks, self.ln_final)(tokens)
        return x @ (self.embed.W_E.T if self.cfg.tie_embeddings else self.unembed.W_U)


test_demo_llama = exercise(
    reference=lesson_llama.DemoLlama,
    cases=demo_llama_cases,
    observe=module_outputs_and_gradients,
    keep=["__init__"],
    accepts=[DemoLlamaBySequential],
    mistakes=[
        Mistake(
            "forgets the final RMSNorm",
            "x = self.ln_final(residual)",
            "x = residual",
            why="the stream has grown with every block; it is normalised once more before it is read",
        ),
        Mistake(
            "leaves the last block out",
            "in self.blocks:",
            "in self.blocks[:-1]:",
            why="every block takes its turn",
        ),
        Mistake(
            "adds each block's output to the stream again",
            "residual = block(residual)",
            "residual = residual + block(residual)",
            why="a block returns the whole stream already",
        ),
        Mistake(
            "scales the embedding by the root of d_model",
            "residual = self.embed(tokens)",
            "residual = self.embed(tokens) * self.cfg.d_model**0.5",
            why="some models of other families do that; Llama takes the row as it is",
        ),
        Mistake(
            "cuts the gradient of a tied unembedding",
            "einops.einsum(x, self.embed.W_E,",
            "einops.einsum(x, self.embed.W_E.detach(),",
            why="a tied embedding learns from both of its uses",
        ),
        Mistake(
            "returns log-probabilities of tied embeddings",
            '"batch seq d_model, d_vocab d_model -> batch seq d_vocab")',
            '"batch seq d_model, d_vocab d_model -> batch seq d_vocab").log_softmax(dim=-1)',
            why="logits are asked for, before any normalisation",
        ),
    ],
)
