"""The logit of the right next token, split into what each part of a two-layer attention-only model adds.

The stream that leaves the last layer is a sum: the embedding, and what each head wrote. The unembedding
is linear, so each logit is the sum of the parts' own logits.

Shapes:  embed "seq d_model", results "seq n_heads d_model", W_U "d_model d_vocab" -> "seq-1 1+2*n_heads".
Source:  Elhage et al. 2021, "A mathematical framework for transformer circuits" (paths through the residual stream).
Differs: our models end in a LayerNorm; hand in parts that it has scaled (`cache.apply_ln_to_stack`).
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor


def logit_attribution(
    embed: Float[Tensor, "seq d_model"],
    l1_results: Float[Tensor, "seq n_heads d_model"],
    l2_results: Float[Tensor, "seq n_heads d_model"],
    W_U: Float[Tensor, "d_model d_vocab"],
    tokens: Int[Tensor, " seq"],
) -> Float[Tensor, "seq-1 n_components"]:
    """What each component adds, at each position, to the logit of the token that really comes next.

    Entry [i, c] is the dot product of component c at position i with column tokens[i + 1] of W_U, for
    i = 0 ... seq - 2: what follows the last position isn't known. The n_components = 1 + 2 n_heads
    columns are the embedding (the direct path), the heads of the first layer (`l1_results`), and
    those of the second (`l2_results`), in this order.

    Gradients flow through it.
    """
    components = torch.cat([embed[:, None], l1_results, l2_results], dim=1)[:-1]
    directions = W_U[:, tokens[1:]]
    return torch.einsum("scm,ms->sc", components, directions)
