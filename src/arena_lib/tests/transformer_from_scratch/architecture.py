"""Judges of the parts that a GPT-2-style transformer is assembled from, attention aside.

Shapes:  residual stream "batch seq d_model"; tokens "batch seq"; logits "batch seq d_vocab".
Raises:  see `arena_lib.checking`.
Source:  own design.
"""

import einops
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from arena_lib.checking import Case, Mistake, exercise, module_case, module_outputs_and_gradients
from arena_lib.transformer import lesson

__test__ = False

RESIDUAL = "batch seq d_model"
LOGITS = "batch seq d_vocab"
CFG = lesson.Config(d_model=6, d_vocab=13, n_ctx=7, n_layers=3, n_heads=2, d_head=4, d_mlp=9, layer_norm_eps=3e-5)


def residual(generator: torch.Generator, *shape: int) -> Tensor:
    """Vectors with a mean well away from zero."""
    return 1.5 * torch.randn(*shape, CFG.d_model, generator=generator) + 0.7


def tokens(generator: torch.Generator, *shape: int) -> Tensor:
    """Token ids that are valid positions too, so that confusing the two gives a wrong value, not an exception."""
    return torch.randint(0, CFG.n_ctx, shape, generator=generator)


def layer_norm_cases(generator: torch.Generator) -> list[Case]:
    """Ordinary vectors, one alone, and vectors with a variance below epsilon."""
    inputs = {
        "several sequences": residual(generator, 2, 3),
        "one vector": residual(generator, 1, 1),
        "epsilon: vectors that hardly vary": 1e-3 * torch.randn(2, 3, CFG.d_model, generator=generator),
    }
    return [module_case(label, lesson.LayerNorm, CFG, (x,), RESIDUAL, generator) for label, x in inputs.items()]


class LayerNormByFunction(lesson.LayerNorm):
    """Calls torch's own."""

    def forward(self, residual: Tensor) -> Tensor:
        return F.layer_norm(residual, (self.cfg.d_model,), self.w, self.b, self.cfg.layer_norm_eps)


class LayerNormByMoments(lesson.LayerNorm):
    """Takes the variance as the mean square less the squared mean, and multiplies by the inverse root."""

    def forward(self, residual: Tensor) -> Tensor:
        mean = einops.reduce(residual, "batch seq d_model -> batch seq 1", "mean")
        variance = residual.var(-1, keepdim=True, unbiased=False)
        return torch.rsqrt(variance + self.cfg.layer_norm_eps) * (residual - mean) * self.w + self.b


test_layer_norm = exercise(
    reference=lesson.LayerNorm,
    cases=layer_norm_cases,
    observe=module_outputs_and_gradients,
    keep=["__init__"],
    accepts=[LayerNormByFunction, LayerNormByMoments],
    mistakes=[
        Mistake(
            "does not subtract the mean",
            "centred = residual - residual.mean(dim=-1, keepdim=True)",
            "centred = residual",
            why="a LayerNorm centres each vector first: its normalised entries sum to zero",
        ),
        Mistake(
            "divides by d_model - 1 in the variance",
            "centred.pow(2).mean(dim=-1, keepdim=True)",
            "centred.var(dim=-1, keepdim=True)",
            why="torch.var is unbiased unless it is told otherwise; LayerNorm takes the plain mean of the squares",
        ),
        Mistake(
            "divides by the variance",
            ".sqrt()",
            "",
            why="it is the standard deviation, the root of the variance, that brings a vector to unit size",
        ),
        Mistake(
            "leaves epsilon out",
            " + self.cfg.layer_norm_eps",
            "",
            why="a vector that hardly varies would be blown up by the division",
        ),
        Mistake(
            "adds epsilon behind the root",
            "(variance + self.cfg.layer_norm_eps).sqrt()",
            "(variance.sqrt() + self.cfg.layer_norm_eps)",
            why="epsilon belongs to the variance, under the root: outside, it is a thousand times too strong or too weak",
        ),
        Mistake(
            "normalises over the positions",
            "centred = residual - residual.mean(dim=-1, keepdim=True)\n        variance = centred.pow(2).mean(dim=-1, keepdim=True)",
            "centred = residual - residual.mean(dim=1, keepdim=True)\n        variance = centred.pow(2).mean(dim=1, keepdim=True)",
            why="each position's vector is normalised by itself, over d_model: positions must not see each other here",
        ),
        Mistake("forgets the gain w", " * self.w", "", why="after normalising, each direction gets its learned scale"),
        Mistake("forgets the shift b", " + self.b", "", why="after scaling, each direction gets its learned shift"),
        Mistake(
            "cuts the gradient of the variance",
            "centred.pow(2)",
            "centred.detach().pow(2)",
            why="the variance depends on the input, and its gradient is part of LayerNorm's",
        ),
    ],
)
test_layer_norm_epsilon = test_layer_norm.part("epsilon")


def embed_cases(generator: torch.Generator) -> list[Case]:
    """Repeated tokens in uneven batches, and every token of the vocabulary once."""
    inputs = {
        "several sequences": tokens(generator, 2, 5),
        "the whole vocabulary": torch.randperm(CFG.d_vocab, generator=generator)[None],
    }
    return [module_case(label, lesson.Embed, CFG, (x,), RESIDUAL, generator) for label, x in inputs.items()]


class EmbedByOneHot(lesson.Embed):
    """Multiplies one-hot vectors with the matrix."""

    def forward(self, tokens: Tensor) -> Tensor:
        return F.one_hot(tokens, self.cfg.d_vocab).to(self.W_E.dtype) @ self.W_E


test_embed = exercise(
    reference=lesson.Embed,
    cases=embed_cases,
    observe=module_outputs_and_gradients,
    keep=["__init__"],
    accepts=[EmbedByOneHot],
    mistakes=[
        Mistake(
            "reads the row before the token's",
            "self.W_E[tokens]",
            "self.W_E[tokens - 1]",
            why="row 0 belongs to token 0: no shift is needed",
        ),
        Mistake(
            "cuts the gradient to W_E",
            "self.W_E[tokens]",
            "self.W_E.detach()[tokens]",
            why="the embedding is learned; .data, detach and no_grad leave it as it started",
        ),
        Mistake(
            "multiplies by the root of d_model",
            "self.W_E[tokens]",
            "self.W_E[tokens] * self.cfg.d_model**0.5",
            why="the first transformer did that; GPT-2 takes the row as it is",
        ),
        Mistake(
            "reads the rows of the positions",
            "self.W_E[tokens]",
            "self.W_E[torch.arange(tokens.shape[1]).expand(tokens.shape)]",
            why="the embedding depends on which token stands there, not on where it stands",
        ),
    ],
)


def pos_embed_cases(generator: torch.Generator) -> list[Case]:
    """A short batch, a full context, and one token."""
    shapes = {"shorter than the context": (2, 5), "the whole context": (3, CFG.n_ctx), "a single token": (1, 1)}
    return [
        module_case(label, lesson.PosEmbed, CFG, (tokens(generator, *shape),), RESIDUAL, generator)
        for label, shape in shapes.items()
    ]


class PosEmbedByIndex(lesson.PosEmbed):
    """Looks the positions up, and lets expand make the batch."""

    def forward(self, tokens: Tensor) -> Tensor:
        batch, seq = tokens.shape
        return F.embedding(torch.arange(seq, device=tokens.device), self.W_pos).expand(batch, -1, -1)


test_pos_embed = exercise(
    reference=lesson.PosEmbed,
    cases=pos_embed_cases,
    observe=module_outputs_and_gradients,
    keep=["__init__"],
    accepts=[PosEmbedByIndex],
    mistakes=[
        Mistake(
            "looks up the tokens in W_pos",
            'einops.repeat(self.W_pos[:seq], "seq d_model -> batch seq d_model", batch=batch)',
            "self.W_pos[tokens]",
            why="the vector depends on where a token stands, not on which token it is",
        ),
        Mistake(
            "takes the last positions of the context",
            "self.W_pos[:seq]",
            "self.W_pos[-seq:]",
            why="the first token stands at position 0, however long the sequence is",
        ),
        Mistake(
            "leaves the batch to broadcasting",
            'einops.repeat(self.W_pos[:seq], "seq d_model -> batch seq d_model", batch=batch)',
            "self.W_pos[:seq]",
            why="it works while something with a batch axis is added to it, and the shape asked for has one",
        ),
        Mistake(
            "gives every position the first vector",
            "self.W_pos[:seq]",
            "self.W_pos[:1].expand(seq, -1)",
            why="then the model could not tell one position from another",
        ),
        Mistake(
            "cuts the gradient to W_pos",
            "self.W_pos[:seq]",
            "self.W_pos[:seq].detach()",
            why="positions are learned; .data, detach and no_grad leave them as they started",
        ),
        Mistake(
            "numbers the positions backwards",
            "self.W_pos[:seq]",
            "self.W_pos[:seq].flip(0)",
            why="row i belongs to position i, counted from the start of the text",
        ),
    ],
)


def mlp_cases(generator: torch.Generator) -> list[Case]:
    """Several positions, and one."""
    inputs = {"several sequences": residual(generator, 2, 3), "one vector": residual(generator, 1, 1)}
    return [module_case(label, lesson.MLP, CFG, (x,), RESIDUAL, generator) for label, x in inputs.items()]


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


def transformer_block_cases(generator: torch.Generator) -> list[Case]:
    """Several positions, and one."""
    inputs = {"several sequences": residual(generator, 2, 3), "one vector": residual(generator, 1, 1)}
    return [module_case(label, lesson.TransformerBlock, CFG, (x,), RESIDUAL, generator) for label, x in inputs.items()]


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


def unembed_cases(generator: torch.Generator) -> list[Case]:
    """Several positions, and one."""
    inputs = {"several sequences": residual(generator, 2, 3), "one vector": residual(generator, 1, 1)}
    return [module_case(label, lesson.Unembed, CFG, (x,), LOGITS, generator) for label, x in inputs.items()]


class UnembedByProduct(lesson.Unembed):
    """A matrix product and in-place addition."""

    def forward(self, normalized_resid_final: Tensor) -> Tensor:
        logits = normalized_resid_final @ self.W_U
        logits += self.b_U
        return logits


test_unembed = exercise(
    reference=lesson.Unembed,
    cases=unembed_cases,
    observe=module_outputs_and_gradients,
    keep=["__init__"],
    accepts=[UnembedByProduct],
    mistakes=[
        Mistake("forgets b_U", " + self.b_U", "", why="the bias says how common each token is, whatever came before"),
        Mistake(
            "returns probabilities",
            "return einops.einsum(normalized_resid_final, self.W_U, project) + self.b_U",
            "return (einops.einsum(normalized_resid_final, self.W_U, project) + self.b_U).softmax(dim=-1)",
            why="logits are asked for; whoever needs probabilities takes the softmax later",
        ),
        Mistake(
            "returns log-probabilities",
            "return einops.einsum(normalized_resid_final, self.W_U, project) + self.b_U",
            "return (einops.einsum(normalized_resid_final, self.W_U, project) + self.b_U).log_softmax(dim=-1)",
            why="logits are asked for, before any normalisation",
        ),
        Mistake(
            "scales the logits by the root of d_model",
            "return einops.einsum(normalized_resid_final, self.W_U, project)",
            "return einops.einsum(normalized_resid_final, self.W_U, project) / self.cfg.d_model**0.5",
            why="only attention scores are scaled; the unembedding is a plain linear map",
        ),
    ],
)


def demo_transformer_cases(generator: torch.Generator) -> list[Case]:
    """Several sequences, the whole context, and one token."""
    shapes = {"several sequences": (2, 4), "the whole context": (1, CFG.n_ctx), "a single token": (3, 1)}
    return [
        module_case(label, lesson.DemoTransformer, CFG, (tokens(generator, *shape),), LOGITS, generator)
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
