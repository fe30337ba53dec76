"""Judges of whole models: GPT-2's and Llama's.

Shapes:  tokens "batch seq"; logits "batch seq d_vocab".
"""

import torch
from torch import Tensor, nn

from arena_lib.checking import Case, Mistake, exercise, instead_of, module_case, module_outputs_and_gradients
from arena_lib.tests.transformer_from_scratch.small_models import GPT2, LLAMA, LOGITS, tokens, wrong_results
from arena_lib.transformer import lesson, lesson_llama

__test__ = False


def wrong_walks(start: str) -> tuple[Mistake, ...]:
    """Wrong ways through the blocks of a whole model, whose stream begins with `start`."""
    return (
        *instead_of(
            "residual = block(residual)",
            {
                "residual = residual + block(residual)": (
                    "adds each block's output to the stream again",
                    "a block returns the whole stream already, residual connection included",
                ),
                f"residual = block({start})": (
                    "runs every block on the embedding",
                    "each block reads what the one before it returned",
                ),
                f"residual = (0 if block is self.blocks[0] else residual) + block({start})": (
                    "runs the blocks side by side",
                    "each block reads what the one before it returned",
                ),
                "residual = self.blocks[-1](residual)": ("runs the last block every time", "each block takes its turn"),
                f"residual = residual + block({start})": (
                    "adds up what every block makes of the embedding",
                    "each block reads what the one before it returned, and returns the whole stream",
                ),
                "residual = self.blocks[0](residual)": (
                    "runs the first block every time",
                    "each block runs once, in order",
                ),
                "residual = block(residual if block is self.blocks[0] else self.ln_final(residual))": (
                    "normalises after every block",
                    "ln_final comes once, after the last block; the blocks have norms of their own",
                ),
            },
        ),
        *instead_of(
            "in self.blocks:",
            {
                "in self.blocks[1:]:": ("leaves the first block out", "every block takes its turn"),
                "in [*self.blocks, *self.blocks]:": ("runs all blocks twice", "every block takes one turn"),
                "in self.blocks[:-1]:": ("leaves the last block out", "every block runs once, in order"),
                "in self.blocks[:1]:": (
                    "stops after the first block",
                    "every block must run: put the return after the loop",
                ),
                "in ():": ("leaves all blocks out", "every block runs once, in order"),
                "in reversed(self.blocks):": (
                    "runs the blocks in reverse order",
                    "the blocks run in order, block 0 first",
                ),
            },
        ),
    )


RESULTS = {
    ".softmax(dim=-1)": (
        "returns probabilities",
        "the model returns logits; the loss and the sampler take the softmax themselves",
    ),
    ".log_softmax(dim=-1)": (
        "returns log-probabilities",
        "the model returns logits; the loss takes the logarithm of the softmax itself",
    ),
    ".argmax(dim=-1)": ("returns the likeliest tokens", "a score for every token is asked for"),
    "[:, -1:]": ("returns the last position only", "in training every position predicts its next token"),
    "[:, -1]": (
        "returns the last position only, without an axis for it",
        "in training every position predicts its next token",
    ),
    "[:, :-1]": ("leaves the last position out", "the last position's logits say how the text goes on"),
    ".detach()": ("cuts the gradient", "a model learns through its logits: no detach, data or no_grad on the way"),
}
"""What can be done wrongly to a model's logits."""


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
        *instead_of(
            "self.unembed(self.ln_final(residual))",
            {
                "self.unembed(residual)": (
                    "forgets the final LayerNorm",
                    "the stream has grown with every block; it is normalised once more before it is read",
                ),
                "self.ln_final(residual) @ self.embed.W_E.T": (
                    "unembeds with W_E",
                    "the model has an unembedding of its own, in unembed",
                ),
                "self.ln_final(residual) @ self.embed.W_E.T + self.unembed.b_U": (
                    "unembeds with W_E and unembed's bias",
                    "this model has an unembedding of its own: unembed",
                ),
                "self.unembed(self.ln_final(self.ln_final(residual)))": (
                    "normalises twice at the end",
                    "ln_final comes once, after the last block",
                ),
                "self.unembed(self.blocks[-1].ln2(residual))": (
                    "uses the last block's norm in place of ln_final",
                    "ln_final has a gain and a shift of its own",
                ),
                "self.unembed(self.ln_final(residual + self.embed(tokens) + self.pos_embed(tokens)))": (
                    "adds the embeddings once more at the end",
                    "the stream carries them on: a block returns the whole stream",
                ),
                "self.unembed(self.ln_final(residual + self.pos_embed(tokens)))": (
                    "adds the position embedding once more at the end",
                    "it is added once, at the start, and the stream carries it on",
                ),
            },
        ),
        *wrong_results(RESULTS),
        *instead_of(
            "self.embed(tokens) + self.pos_embed(tokens)",
            {
                "self.embed(tokens) * self.cfg.d_model**0.5 + self.pos_embed(tokens)": (
                    "scales the embedding by the root of d_model",
                    "the first transformer did that; GPT-2 takes the row as it is",
                ),
                "self.embed(tokens)": (
                    "forgets the position embedding",
                    "without the position embedding, attention can't see the order of the tokens, except through the mask",
                ),
                "self.pos_embed(tokens)": (
                    "forgets the token embedding",
                    "the stream starts as the sum of the token embedding and the position embedding",
                ),
                "self.embed(tokens) * self.pos_embed(tokens)": (
                    "multiplies the embeddings",
                    "the token embedding and the position embedding are added",
                ),
                "self.ln_final(self.embed(tokens) + self.pos_embed(tokens))": (
                    "normalises the embeddings",
                    "the blocks have norms of their own; ln_final comes after the last one",
                ),
            },
        ),
        *wrong_walks("self.embed(tokens) + self.pos_embed(tokens)"),
        Mistake(
            "adds the position embedding before every block",
            "residual = block(residual)",
            "residual = block(residual if block is self.blocks[0] else residual + self.pos_embed(tokens))",
            why="the position embedding is added once, at the start, and the stream carries it through the blocks",
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
        *instead_of(
            "x = self.ln_final(residual)",
            {
                "x = residual": (
                    "forgets the final RMSNorm",
                    "the stream has grown with every block; it is normalised once more before it is read",
                ),
                "x = self.ln_final(self.ln_final(residual))": (
                    "normalises twice at the end",
                    "ln_final comes once, after the last block",
                ),
                "x = self.ln_final(residual + self.embed(tokens))": (
                    "adds the embeddings once more at the end",
                    "the stream carries them on: a block returns the whole stream",
                ),
                "x = residual if self.cfg.tie_embeddings else self.ln_final(residual)": (
                    "forgets the final RMSNorm where the embedding is tied",
                    "tied or not, the stream is normalised once more before it is read",
                ),
                "x = self.ln_final(residual) if self.cfg.tie_embeddings else residual": (
                    "forgets the final RMSNorm where the embedding isn't tied",
                    "tied or not, the stream is normalised once more before it is read",
                ),
            },
        ),
        *instead_of(
            "residual = self.embed(tokens)",
            {
                "residual = self.embed(tokens) * self.cfg.d_model**0.5": (
                    "scales the embedding by the root of d_model",
                    "Llama uses the row as it is; some other models scale it",
                ),
                "residual = self.ln_final(self.embed(tokens))": (
                    "normalises the embeddings",
                    "the blocks have norms of their own; ln_final comes after the last one",
                ),
            },
        ),
        *wrong_results(RESULTS),
        *wrong_walks("self.embed(tokens)"),
        *instead_of(
            "if self.cfg.tie_embeddings:",
            {
                "if True:": (
                    "unembeds with W_E even if it isn't tied",
                    "only with cfg.tie_embeddings W_E is the unembedding; else the model has an unembed of its own",
                ),
                "if False:": (
                    "calls unembed even if it is tied",
                    "with tie_embeddings there is no unembed: W_E unembeds",
                ),
            },
        ),
        Mistake(
            "cuts the gradient of a tied unembedding",
            "einops.einsum(x, self.embed.W_E,",
            "einops.einsum(x, self.embed.W_E.detach(),",
            why="a tied embedding learns from both of its uses",
        ),
    ],
)
