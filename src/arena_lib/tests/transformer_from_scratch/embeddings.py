"""Judges of the ways from tokens to vectors and back.

Shapes:  tokens "batch seq"; residual stream "batch seq d_model"; logits "batch seq d_vocab".
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of, module_case, module_outputs_and_gradients
from arena_lib.tests.transformer_from_scratch.small_models import (
    GPT2,
    LOGITS,
    RESIDUAL,
    residual_cases,
    tokens,
    wrong_results,
)
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
            "self.W_E[tokens.flatten()]": (
                "flattens the batch",
                "the result has the axes batch, seq, d_model: tokens may index W_E as they are",
            ),
            "self.W_E[tokens[0]]": ("returns the first sequence only", "every sequence of the batch gets its vectors"),
            "nn.Embedding(*self.W_E.shape)(tokens)": (
                "makes a new table at each call",
                "the vectors are the rows of the parameter W_E, which is learned",
            ),
            "self.W_E[tokens.T].reshape(*tokens.shape, -1)": (
                "mixes batch and positions by a reshape",
                "tokens may index W_E as they are; axes are moved, not reshaped",
            ),
            "self.W_E[:, tokens]": (
                "reads columns of W_E",
                "a token's vector is a row: the first axis of W_E is d_vocab",
                "IndexError",
            ),
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
            ', "seq d_model -> batch seq d_model", batch=batch)',
            {
                ', "seq d_model -> batch seq d_model", batch=1)': (
                    "returns a batch of one, whatever the batch size",
                    "the result has a vector for each position of each sequence: repeat or expand it",
                ),
                ', "seq d_model -> seq batch d_model", batch=batch)': (
                    "swaps batch and seq",
                    "the result has the axes batch, seq, d_model",
                ),
                ', "seq d_model -> (seq batch) d_model", batch=batch).reshape(batch, seq, -1)': (
                    "mixes batch and positions by a reshape",
                    "the axis of the batch comes first: repeat along a new first axis",
                ),
                ', "seq d_model -> seq d_model")': (
                    "returns no batch axis",
                    "the result has a vector for each position of each sequence: repeat or expand it along a batch axis",
                ),
            },
        ),
        *instead_of(
            'einops.repeat(self.W_pos[:seq], "seq d_model -> batch seq d_model", batch=batch)',
            {
                "self.W_pos[tokens]": (
                    "looks up the tokens in W_pos",
                    "the vector depends on where a token stands, not on which token it is",
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
                "self.W_pos[seq - 1 : seq].expand(seq, -1)": (
                    "gives every position the last one's vector",
                    "then the model could not tell one position from another",
                ),
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


PRODUCT = "einops.einsum(normalized_resid_final, self.W_U, project)"

test_unembed = exercise(
    reference=lesson.Unembed,
    cases=unembed_cases,
    observe=module_outputs_and_gradients,
    keep=["__init__"],
    accepts=[UnembedByProduct],
    mistakes=[
        *instead_of(
            " + self.b_U",
            {
                "": ("forgets b_U", "the bias says how common each token is, whatever came before"),
                " - self.b_U": ("subtracts b_U", "the bias is added"),
            },
        ),
        *wrong_results(
            {
                ".softmax(dim=-1)": (
                    "returns probabilities",
                    "the result is the logits: the softmax is taken later, where probabilities are needed",
                ),
                ".log_softmax(dim=-1)": (
                    "returns log-probabilities",
                    "the result is the logits, before any normalisation",
                ),
                ".argmax(dim=-1)": (
                    "returns the likeliest tokens",
                    "the result holds a score for every token of the vocabulary",
                ),
                "[:, -1:]": ("returns the last position only", "every position has logits of its own"),
                "[:, -1]": (
                    "returns the last position only, without an axis for it",
                    "every position has logits of its own",
                ),
                "[:, :-1]": ("leaves the last position out", "every position has logits of its own"),
                ".mean(dim=1, keepdim=True)": ("averages over the positions", "every position has logits of its own"),
                ".transpose(1, 2)": ("swaps seq and d_vocab", "the result has the axes batch, seq, d_vocab"),
                ".transpose(1, 2).reshape(len(x), x.shape[1], -1)": (
                    "mixes positions and tokens by a reshape",
                    "reshape keeps the numbers in their order: move d_vocab back to the end instead",
                ),
                " / self.cfg.d_model**0.5": (
                    "scales the logits by the root of d_model",
                    "only attention scores are scaled; the unembedding is a plain linear map",
                ),
            }
        ),
        *instead_of(
            PRODUCT,
            {
                f"{PRODUCT} / self.cfg.d_model**0.5": (
                    "scales the product by the root of d_model",
                    "only attention scores are scaled; the unembedding is a plain linear map",
                ),
                PRODUCT.replace("self.W_U", "self.W_U.reshape(self.W_U.shape[::-1]).T"): (
                    "reshapes W_U before multiplying by it",
                    "W_U has the axes d_model, d_vocab already, so it is used as it is",
                ),
                PRODUCT.replace("final", "final.detach()"): (
                    "cuts the gradient to the residual stream",
                    "the whole model learns through the unembedding: no detach, data or no_grad on the way",
                ),
                PRODUCT.replace("self.W_U", "self.W_U.detach()"): (
                    "cuts the gradient to W_U",
                    "the unembedding is learned: no detach, data or no_grad on the way",
                ),
            },
        ),
        Mistake(
            "normalises the stream again",
            "einsum(normalized_resid_final",
            "einsum(F.layer_norm(normalized_resid_final, (self.cfg.d_model,))",
            why="the stream has already been normalised, by the model's ln_final",
        ),
    ],
)
