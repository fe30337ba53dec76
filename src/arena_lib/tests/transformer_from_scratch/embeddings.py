"""Judges of the ways from tokens to vectors and back.

Shapes:  tokens "batch seq"; residual stream "batch seq d_model"; logits "batch seq d_vocab".
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from arena_lib.checking import Case, exercise, instead_of, module_case, module_outputs_and_gradients
from arena_lib.tests.transformer_from_scratch.small_models import GPT2, LOGITS, RESIDUAL, residual_cases, tokens
from arena_lib.transformer import lesson

__test__ = False


def embed_cases(generator: torch.Generator) -> list[Case]:
    """Repeated tokens in uneven batches, and every token of the vocabulary once."""
    inputs = {
        "several sequences": tokens(generator, 2, 5),
        "the whole vocabulary": torch.randperm(GPT2.d_vocab, generator=generator)[None],
    }
    return [module_case(label, lesson.Embed, GPT2, (x,), RESIDUAL, generator) for label, x in inputs.items()]


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
    mistakes=instead_of(
        "self.W_E[tokens]",
        {
            "self.W_E[tokens - 1]": (
                "reads the row before the token's",
                "row 0 belongs to token 0: no shift is needed",
            ),
            "self.W_E[(tokens + 1) % len(self.W_E)]": (
                "reads the row after the token's",
                "row 0 belongs to token 0: no shift is needed",
            ),
            "self.W_E.detach()[tokens]": (
                "cuts the gradient to W_E",
                "the embedding is learned; .data, detach and no_grad leave it as it started",
            ),
            "self.W_E[tokens] * self.cfg.d_model**0.5": (
                "multiplies by the root of d_model",
                "the original transformer scaled its embeddings so; GPT-2 uses the row unchanged",
            ),
            "self.W_E[torch.arange(tokens.shape[1]).expand(tokens.shape)]": (
                "looks up the positions in W_E",
                "the embedding depends on which token stands there, not on where it stands",
            ),
            "self.W_E[tokens[:1]].expand(*tokens.shape, -1)": (
                "uses the first sequence for the whole batch",
                "each sequence has its own tokens: tokens may index W_E as they are",
            ),
            "self.W_E.reshape(self.W_E.shape[::-1]).T[tokens]": (
                "reshapes W_E before looking up the tokens",
                "W_E has a row for each token already, so it is indexed as it is",
            ),
            "F.normalize(self.W_E[tokens], dim=-1)": ("normalises the rows", "the row is returned as it is"),
            "self.W_E[tokens].transpose(0, 1)": ("swaps batch and seq", "the result has the axes batch, seq, d_model"),
        },
    ),
)


def pos_embed_cases(generator: torch.Generator) -> list[Case]:
    """A short batch, a full context, and one token."""
    shapes = {"shorter than the context": (2, 5), "the whole context": (3, GPT2.n_ctx), "a single token": (1, 1)}
    return [
        module_case(label, lesson.PosEmbed, GPT2, (tokens(generator, *shape),), RESIDUAL, generator)
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
        *instead_of(
            'einops.repeat(self.W_pos[:seq], "seq d_model -> batch seq d_model", batch=batch)',
            {
                "self.W_pos[tokens]": (
                    "looks up the tokens in W_pos",
                    "the vector depends on where a token stands, not on which token it is",
                ),
                "self.W_pos[:seq]": (
                    "returns no batch axis",
                    "the result has a vector for each position of each sequence: repeat or expand it along a batch axis",
                ),
                "self.W_pos[None, :seq]": (
                    "returns a batch of one, whatever the batch size",
                    "the result has a vector for each position of each sequence: repeat or expand it",
                ),
                "self.W_pos.expand(batch, -1, -1)": (
                    "returns the vectors of the whole context",
                    "the tokens fill only the first seq positions of the context",
                ),
                "self.W_pos[torch.arange(batch * seq) % len(self.W_pos)].reshape(batch, seq, -1)": (
                    "continues the positions from one sequence to the next",
                    "each sequence of the batch starts at position 0",
                ),
                "self.W_pos[torch.arange(batch)[:, None].expand(batch, seq)]": (
                    "numbers the sequences, not the positions",
                    "tokens.shape is (batch, seq): the positions run along the second axis",
                ),
            },
        ),
        *instead_of(
            "self.W_pos[:seq]",
            {
                "self.W_pos[-seq:]": (
                    "uses the last positions of the context",
                    "the first token stands at position 0, however long the sequence is",
                ),
                "self.W_pos.roll(-1, 0)[:seq]": ("counts positions from one", "the first token gets row 0"),
                "self.W_pos[:1].expand(seq, -1)": (
                    "uses the first vector for every position",
                    "each position has a vector of its own, so that the model can tell positions apart",
                ),
                "self.W_pos[:seq].detach()": (
                    "cuts the gradient to W_pos",
                    "positions are learned; .data, detach and no_grad leave them as they started",
                ),
                "self.W_pos[:seq].flip(0)": (
                    "numbers the positions backwards",
                    "row i belongs to position i, counted from the start of the text",
                ),
            },
        ),
    ],
)


def unembed_cases(generator: torch.Generator) -> list[Case]:
    """Several positions, and one."""
    return residual_cases(generator, lesson.Unembed, GPT2, axes=LOGITS)


class UnembedByProduct(lesson.Unembed):
    """A matrix product and in-place addition."""

    def forward(self, normalized_resid_final: Tensor) -> Tensor:
        logits = normalized_resid_final @ self.W_U
        logits += self.b_U
        return logits


LOGITS_OF_UNEMBED = "einops.einsum(normalized_resid_final, self.W_U, project) + self.b_U"

test_unembed = exercise(
    reference=lesson.Unembed,
    cases=unembed_cases,
    observe=module_outputs_and_gradients,
    keep=["__init__"],
    accepts=[UnembedByProduct],
    mistakes=instead_of(
        LOGITS_OF_UNEMBED,
        {
            LOGITS_OF_UNEMBED.removesuffix(" + self.b_U"): (
                "forgets b_U",
                "the bias says how common each token is, whatever came before",
            ),
            LOGITS_OF_UNEMBED.replace("+", "-"): ("subtracts b_U", "the bias is added"),
            f"({LOGITS_OF_UNEMBED}).softmax(dim=-1)": (
                "returns probabilities",
                "the result is the logits: the softmax is taken later, where probabilities are needed",
            ),
            f"({LOGITS_OF_UNEMBED}).log_softmax(dim=-1)": (
                "returns log-probabilities",
                "the result is the logits, before any normalisation",
            ),
            f"({LOGITS_OF_UNEMBED}).argmax(dim=-1)": (
                "returns the likeliest tokens",
                "the result holds a score for every token of the vocabulary",
            ),
            f"({LOGITS_OF_UNEMBED})[:, -1:]": (
                "returns the last position only",
                "every position has logits of its own",
            ),
            LOGITS_OF_UNEMBED.replace(" +", " / self.cfg.d_model**0.5 +"): (
                "scales the product by the root of d_model",
                "only attention scores are scaled; the unembedding is a plain linear map",
            ),
            f"({LOGITS_OF_UNEMBED}) / self.cfg.d_model**0.5": (
                "scales the logits by the root of d_model",
                "only attention scores are scaled; the unembedding is a plain linear map",
            ),
            LOGITS_OF_UNEMBED.replace("self.W_U", "self.W_U.reshape(self.W_U.shape[::-1]).T"): (
                "reshapes W_U before multiplying by it",
                "W_U has the axes d_model, d_vocab already, so it is used as it is",
            ),
            LOGITS_OF_UNEMBED.replace("(n", "(F.layer_norm(n").replace("final,", "final, (self.cfg.d_model,)),"): (
                "normalises the stream again",
                "the stream has already been normalised, by the model's ln_final",
            ),
            LOGITS_OF_UNEMBED.replace("final", "final.detach()"): (
                "cuts the gradient to the residual stream",
                "the whole model learns through the unembedding: no detach, data or no_grad on the way",
            ),
        },
    ),
)
