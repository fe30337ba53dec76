"""Does a head write down the name that it looks at? Attention to a name against what the head writes along it.

One point for each prompt and name: how much the head attends from the end to the name, and how far its
output there points along the name's direction in the unembedding. Points on a rising line belong to a head
that copies what it looks at; on a falling line, to one that pushes it down.

Shapes:  "2 batch" each: IO first, then S.
Raises:  UnknownNameError for a head that is not there; what `IOIDataset.at` raises.
Source:  Wang et al. 2022, arXiv:2211.00593, section 3.1, figure 3c.
Differs: S is taken at S1, its first mention; the unembedding has the final norm folded in
         (`weights/folding.py`), as the paper's weights have.
"""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from arena_lib.interp.hooking import hooked
from arena_lib.interp.ioi.prompts import IOIDataset
from arena_lib.interp.weights.folding import folded_unembedding


@torch.no_grad()
def calculate_scatter_embedding_vs_attn(
    layer: int, head: int, cache: Mapping[Any, Tensor], dataset: IOIDataset, model: Any
) -> tuple[Float[Tensor, "2 batch"], Float[Tensor, "2 batch"]]:
    """Attention from "end" to IO and to S1, and the head's output at "end" along IO's and S's direction.

    Returns two tensors, each with the row of IO first and that of S second, one column for each prompt:

    1. the pattern from the position `dataset.word_idx["end"]` to `word_idx["IO"]` and `word_idx["S1"]`;
    2. the dot product of the head's output at "end", z W_O[layer, head], with the column of
       `folded_unembedding(model)` ("d_model d_vocab") of the token in `dataset.io_tokens`, `s_tokens`. The final
       norm's scale is left out.

    `cache["pattern", layer]` is "batch n_heads seq_q seq_k", `cache["z", layer]` is "batch seq n_heads
    d_head", and `hooked(model).W_O(layer)` has heads first.
    """
    lm = hooked(model)
    lm.check_heads([(layer, head)])
    rows, end = torch.arange(len(dataset)), dataset.word_idx["end"]
    from_end = cache["pattern", layer][rows, head, end]
    attention = torch.stack([from_end[rows, dataset.word_idx[role]] for role in ("IO", "S1")])
    output = cache["z", layer][rows, end, head] @ lm.W_O(layer)[head]
    directions = folded_unembedding(lm)[:, torch.stack([dataset.io_tokens, dataset.s_tokens])]
    return attention, torch.einsum("bm,mnb->nb", output, directions)
