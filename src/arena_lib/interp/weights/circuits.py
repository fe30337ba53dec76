"""What a head moves (OV) and where it looks (QK), read from the weights alone, between tokens.

Row `source` of a full OV circuit: what the head adds to the logits of each token when it attends to
that source. Entry [query, key] of a full QK circuit: how much a query token wants a key token. Norms
are folded into the weights that read the stream (`folding.py`), so an entry is exact up to the norms'
scales, which are one positive number for each position: a row's order is exact for one source.

Shapes:  OV "d_vocab d_vocab" (source, logit); QK "d_vocab d_vocab" (query, key) or "n_ctx n_ctx".
Raises:  UnknownNameError for a layer or a head that is not there; ConfigError for positions of a model that
         has no position embedding.
Source:  Elhage et al. 2021, "A mathematical framework for transformer circuits".
Differs: norms' gains and centring are in; biases are out. For rotary models the QK circuit is the one at
         distance zero. Scores are these entries over the root of d_head.
"""

from collections.abc import Iterable
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from arena_lib.errors import ConfigError
from arena_lib.interp.hooking import hooked
from arena_lib.interp.models import Head
from arena_lib.interp.weights.factored import FactoredMatrix
from arena_lib.interp.weights.folding import folded_reader, folded_unembedding


def full_OV_circuit(model: Any, layer: int, head: int) -> FactoredMatrix:
    """W_E W_V W_O W_U of one head, "d_vocab d_vocab": row = token attended to, column = logit.

    Two factors that meet in d_head: A = W_E W_V and B = W_O W_U, each no larger than d_vocab x d_head. (Others of
    that size with the same product are as good.)
    The norms are folded in: W_V is `folded_reader(model, layer, "W_V")[head]`, W_U is
    `folded_unembedding(model)`. W_O is `model.W_O[layer, head]`, W_E is `model.W_E`.
    """
    lm = hooked(model)
    lm.check_heads([(layer, head)])
    A = lm.W_E @ folded_reader(model, layer, "W_V")[head]
    B = lm.W_O(layer)[head] @ folded_unembedding(model)
    return FactoredMatrix(A, B)


def effective_OV_circuit(model: Any, heads: Iterable[Head]) -> FactoredMatrix:
    """The sum of the full OV circuits of several heads, each (layer, head), as one factored matrix.

    Heads that attend to the same place add up what they bring. The A of all heads stand side by side,
    "d_vocab (n_heads d_head)", the B one below the other, "(n_heads d_head) d_vocab": their product is
    the sum of the heads' A @ B. The order of the heads is free, as long as both factors have the same. A head
    that is given twice counts twice.
    """
    circuits = [full_OV_circuit(model, layer, head) for layer, head in heads]
    if not circuits:
        raise ConfigError("a sum of heads needs at least one: got none. Give (layer, head) pairs.")
    return FactoredMatrix(
        torch.cat([circuit.A for circuit in circuits], dim=-1), torch.cat([circuit.B for circuit in circuits], dim=-2)
    )


def full_QK_circuit(model: Any, layer: int, head: int) -> FactoredMatrix:
    """W_E W_Q W_K^T W_E^T of one head, "d_vocab d_vocab": row = query token, column = key token."""
    lm = hooked(model)
    lm.check_heads([(layer, head)])
    q, k = (lm.W_E @ folded_reader(model, layer, name)[head] for name in ("W_Q", "W_K"))
    return FactoredMatrix(q, k.mT)


def position_QK_circuit(model: Any, layer: int, head: int) -> FactoredMatrix:
    """W_pos W_Q W_K^T W_pos^T of one head, "n_ctx n_ctx": row = query position, column = key position.

    In the attention-only form positions join after the norm, so nothing is folded and entries over the
    root of d_head are scores; in the GPT-2 form they pass the norm like tokens.
    """
    lm = hooked(model)
    lm.check_heads([(layer, head)])
    W_pos = getattr(lm.model, "W_pos", None) if hasattr(lm.model, "pos_embed") else None
    if W_pos is None:
        raise ConfigError(
            f"positions must be embedded: got {type(lm.model).__name__}, which has no W_pos. Rotary models turn "
            "queries and keys instead; look at their attention patterns."
        )
    if lm.has_mlp:
        q, k = (W_pos @ folded_reader(model, layer, name)[head] for name in ("W_Q", "W_K"))
    else:
        q, k = W_pos @ lm.W_Q(layer)[head], W_pos @ lm.W_K(layer)[head]
    return FactoredMatrix(q, k.mT)


def top_1_acc(full_OV_circuit: FactoredMatrix, batch_size: int = 1000) -> float:
    """The share of source tokens (rows) whose own logit (the diagonal) is the largest of their row.

    Only `batch_size` rows are multiplied out at a time: the whole matrix may not fit into memory. The
    last batch may be smaller.
    """
    n_correct = 0
    for start in range(0, full_OV_circuit.shape[0], batch_size):
        rows = full_OV_circuit[start : start + batch_size].AB
        own = torch.arange(start, start + rows.shape[0], device=rows.device)
        n_correct += int((rows.argmax(dim=-1) == own).sum())
    return n_correct / full_OV_circuit.shape[0]


def top_k_acc(full_OV_circuit: FactoredMatrix, k: int = 5, batch_size: int = 1000) -> float:
    """The share of source tokens whose own logit is among the `k` largest of their row."""
    n_correct = 0
    for start in range(0, full_OV_circuit.shape[0], batch_size):
        rows = full_OV_circuit[start : start + batch_size].AB
        n_correct += int(_is_among_top(rows, start, k).sum())
    return n_correct / full_OV_circuit.shape[0]


def _is_among_top(rows: Float[Tensor, "batch d_vocab"], start: int, k: int) -> Bool[Tensor, " batch"]:
    """Whether fewer than k logits of each row are larger than the row's own."""
    own = rows.diagonal(offset=start)
    return (rows > own[:, None]).sum(dim=-1) < k
