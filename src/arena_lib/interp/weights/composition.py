"""How strongly the output of one head reaches the queries, keys or values of a later one, by weights.

A head writes W_V W_O into the stream; a later head reads it through W_Q, W_K or W_V. The composition
score is how much of both survives the product, ||W_A W_B|| / (||W_A|| ||W_B||), to be compared with the
score of two random matrices of the same rank, which is about 1 / sqrt(d_model).

Shapes:  W_A "in_A out_A", W_B "out_A out_B" -> a number; batches "*A_idx ..." and "*B_idx ..." -> "*A_idx *B_idx".
Raises:  UnknownNameError for a head that is not there; ConfigError for a kind other than Q, K, V;
         ShapeError for matrices that do not meet.
Source:  Elhage et al. 2021, "A mathematical framework for transformer circuits", section
         "Composition of heads"; the batched form by factors is our own derivation.
Differs: what reads the stream has its norm's gain and centring folded in (`folding.py`). With rotary
         positions queries and keys are those at distance zero. A large score says that a path is there in
         the weights; whether anything flows along it only activations tell. A head
         whose W_V W_O is zero has no score: NaN.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from arena_lib.errors import ConfigError, ShapeError
from arena_lib.interp.hooking import hooked
from arena_lib.interp.weights.factored import FactoredMatrix
from arena_lib.interp.weights.folding import folded_reader

N_RANDOM = 20
"""Random writers, and as many readers, whose scores make the baseline."""


def find_K_comp_full_circuit(model: Any, prev_token_head_index: int, ind_head_index: int) -> FactoredMatrix:
    """The full circuit of K-composition from a head of layer 0 to one of layer 1, "d_vocab d_vocab".

    Entry [query, source]: how much the later head, at a query token, wants a position to which the earlier
    head has brought the source token: W_E W_Q W_K^T W_O^T W_V^T W_E^T. W_Q and W_K belong to head
    `ind_head_index` of layer 1, W_V and W_O to head `prev_token_head_index` of layer 0. The factors are
    A = W_E W_Q, the queries, and B = (W_E W_V W_O W_K)^T, the keys; they meet in d_head.
    W_Q, W_K and W_V come from `folded_reader(model, layer, "W_Q")[head]` and so on, with the norms folded in,
    since what they read here has passed no norm.
    """
    lm = hooked(model)
    lm.check_heads([(0, prev_token_head_index), (1, ind_head_index)])
    queries = lm.W_E @ folded_reader(model, 1, "W_Q")[ind_head_index]
    brought = lm.W_E @ folded_reader(model, 0, "W_V")[prev_token_head_index] @ lm.W_O(0)[prev_token_head_index]
    keys = brought @ folded_reader(model, 1, "W_K")[ind_head_index]
    return FactoredMatrix(queries, keys.mT)


def effective_K_comp_circuit(model: Any, prev_token_heads: Sequence[int], ind_head_index: int) -> FactoredMatrix:
    """The sum of `find_K_comp_full_circuit` over several heads of layer 0, which bring the same token together.

    The queries are the same for all, so the keys that the heads bring are added up.
    """
    if not prev_token_heads:
        raise ConfigError("a sum of heads needs at least one: got none. Give indices of heads of layer 0.")
    circuits = [find_K_comp_full_circuit(model, head, ind_head_index) for head in prev_token_heads]
    return FactoredMatrix(circuits[0].A, torch.stack([circuit.B for circuit in circuits]).sum(dim=0))


def get_comp_score(W_A: Float[Tensor, "in_A out_A"], W_B: Float[Tensor, "out_A out_B"]) -> float:
    """||W_A W_B|| / (||W_A|| ||W_B||), with the Frobenius norm: the root of the sum of all squared entries."""
    product = torch.linalg.matrix_norm(W_A @ W_B)
    return (product / (torch.linalg.matrix_norm(W_A) * torch.linalg.matrix_norm(W_B))).item()


def generate_single_random_comp_score(d_model: int, d_head: int, generator: torch.Generator | None = None) -> float:
    """The composition score of two random matrices like a head's: d_model x d_model, but of rank d_head.

    Each is a product of a "d_model d_head" and a "d_head d_model" matrix, all four drawn independently
    from a standard normal with `generator`.
    """
    left_A, right_A, left_B, right_B = torch.randn(4, d_model, d_head, generator=generator)
    return get_comp_score(left_A @ right_A.mT, left_B @ right_B.mT)


def random_comp_scores(
    d_model: int, d_head: int, n_random: int, generator: torch.Generator | None = None
) -> Float[Tensor, "n_random n_random"]:
    """The scores of `n_random` random writers with as many random readers, drawn as for a single score."""
    left_A, right_A, left_B, right_B = torch.randn(4, n_random, d_model, d_head, generator=generator)
    return get_batched_comp_scores(FactoredMatrix(left_A, right_A.mT), FactoredMatrix(left_B, right_B.mT))


def get_batched_comp_scores(W_As: FactoredMatrix, W_Bs: FactoredMatrix) -> Float[Tensor, "*A_and_B_idx"]:
    """The composition score of each W_A with each W_B, without multiplying any of them out.

    `W_As` has the shape (*A_idx, in_A, out_A), `W_Bs` (*B_idx, out_A, out_B); the result (*A_idx, *B_idx).
    *A_idx and *B_idx stand for any number of batch axes on either side: none, one (heads) or several
    (layers, heads). Every W_A is paired with every W_B: element [a, b] is
    ||W_As[a] @ W_Bs[b]|| / (||W_As[a]|| ||W_Bs[b]||). A `FactoredMatrix` takes each of these norms from
    its factors: A = Q R with orthonormal columns in Q, and Q changes no length. The matrices themselves may be
    huge where their factors are small, so `.AB` is never asked for.
    """
    if W_As.shape[-1] != W_Bs.shape[-2]:
        raise ShapeError(
            f"each W_A must have as many columns as each W_B has rows: got {tuple(W_As.shape)} and "
            f"{tuple(W_Bs.shape)}. What one head writes the other reads; transpose one with .T if that was meant."
        )
    R_A = torch.linalg.qr(one_batch_axis(W_As.A)).R[:, None]
    L_B = torch.linalg.qr(one_batch_axis(W_Bs.B).mT).R.mT[None]
    middle = one_batch_axis(W_As.B)[:, None] @ one_batch_axis(W_Bs.A)[None]
    products = torch.linalg.matrix_norm(R_A @ middle @ L_B)
    scores = products / (W_As.norm().reshape(-1, 1) * W_Bs.norm().reshape(1, -1))
    return scores.reshape(W_As.shape[:-2] + W_Bs.shape[:-2])


def one_batch_axis(factors: Float[Tensor, "*batch rows columns"]) -> Float[Tensor, "n rows columns"]:
    """The same with all leading axes as one."""
    return factors.reshape(-1, *factors.shape[-2:])


@dataclass(frozen=True, kw_only=True)
class CompositionScores:
    """The composition scores of all pairs of heads of a model, and what chance gives."""

    kind: str
    """What of the later head is composed with: Q, K or V."""
    scores: Float[Tensor, "n_layers n_heads n_layers n_heads"]
    """[layer, head, later layer, later head]; NaN where the second layer is not later."""
    baseline_mean: float
    """Mean score of random matrices of the same sizes and ranks."""
    baseline_std: float
    """Their standard deviation."""

    @property
    def excess(self) -> Float[Tensor, "n_layers n_heads n_layers n_heads"]:
        """The scores less the baseline's mean."""
        return self.scores - self.baseline_mean


def compute_composition_scores(
    model: Any, kind: str, *, n_random: int = N_RANDOM, generator: torch.Generator | None = None
) -> CompositionScores:
    """Q-, K- or V-composition of every head with every head of a later layer, with the random baseline."""
    if kind not in ("Q", "K", "V"):
        raise ConfigError(f"a kind of composition must be 'Q', 'K' or 'V': got {kind!r}. It names what reads.")
    lm = hooked(model)
    with torch.no_grad():
        writers = [FactoredMatrix(folded_reader(model, layer, "W_V"), lm.W_O(layer)) for layer in range(lm.n_layers)]
        readers = writers if kind == "V" else [_qk_reader(model, layer, kind) for layer in range(lm.n_layers)]
        scores = lm.W_E.new_full((lm.n_layers, lm.n_heads, lm.n_layers, lm.n_heads), torch.nan)
        for layer in range(lm.n_layers):
            for later in range(layer + 1, lm.n_layers):
                scores[layer, :, later] = get_batched_comp_scores(writers[layer], readers[later])
    baseline = random_comp_scores(lm.d_model, lm.d_head, n_random, generator)
    return CompositionScores(
        kind=kind, scores=scores, baseline_mean=float(baseline.mean()), baseline_std=float(baseline.std())
    )


def _qk_reader(model: Any, layer: int, kind: str) -> FactoredMatrix:
    """W_Q W_K^T of each head, or its transpose for K: what meets the earlier head's output comes first."""
    W_Q, W_K = folded_reader(model, layer, "W_Q"), folded_reader(model, layer, "W_K")
    return FactoredMatrix(W_Q, W_K.mT) if kind == "Q" else FactoredMatrix(W_K, W_Q.mT)
