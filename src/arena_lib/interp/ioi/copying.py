"""What a head would say if it looked at a name: does its output raise that name's logit, or lower it?

A head's output is its pattern times what each position hands over. The second half, W_V W_O, can be
studied alone: hand it the vector of a name and see which tokens its output makes likely. A name mover
puts the name itself on top; a head that does the opposite puts it on top when its output's sign is turned.

Shapes:  names "n_names" (token ids) -> "2 n_layers-1 n_heads", positive and negative copying.
Raises:  TokenError for ids outside the vocabulary; ConfigError for k below 1, no names, or a single layer.
Source:  Wang et al. 2022, arXiv:2211.00593, section 3.1 and appendix C (copying score).
Differs: norms keep their gains and biases, which the paper's weights have folded in; the head's own bias of
         the values is left out, as there.
"""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from arena_lib.errors import ConfigError, TokenError
from arena_lib.interp.hooking import hooked
from arena_lib.wording import counted


@torch.no_grad()
def embed_names(model: Any, names: Int[Tensor, " n_names"]) -> Float[Tensor, "n_names d_model"]:
    """The stream of each name after the first block, if attention there did nothing: W_E[name] + MLP_0(W_E[name]).

    `hooked(model)` has `W_E` "d_vocab d_model", and `mlp_out(0, resid)`, what the MLP of layer 0 adds to a
    stream (its norm included). In a model without MLPs (`hooked(model).has_mlp` is False) the stream stays W_E[name].
    """
    lm = hooked(model)
    if len(names) == 0 or not 0 <= int(names.min()) <= int(names.max()) < lm.d_vocab:
        raise TokenError(
            f"names must be token ids from 0 to {lm.d_vocab - 1}: got {names.tolist()[:8]}. Use model.to_single_token."
        )
    embedded = lm.W_E[names]
    if not lm.has_mlp:
        return embedded
    added = lm.mlp_out(0, embedded[None])[0]
    return embedded + added


@torch.no_grad()
def get_copying_scores(model: Any, k: int, names: Int[Tensor, " n_names"]) -> Float[Tensor, "2 n_later_layers n_heads"]:
    """How often each head's output, when it looks at a name alone, has that name among its k likeliest tokens.

    For each name (a token id) take its stream, `embed_names(model, names)`, through the head of layer l:
    the layer's norm, W_V[l, head], W_O[l, head]; then through the end of the model: final norm, W_U, b_U.
    Entry [0, l - 1, head] is the share of names, 0 to 1, whose own logit is among the k largest. Entry
    [1, l - 1, head] is the same with the sign of the head's output flipped (times -1): it's large for heads
    that push down what they look at. Heads of layer 0, which can't see what MLP 0 made of a name, are left out,
    so the second axis has n_layers - 1 entries.

    `hooked(model)` has `norm(l, "ln1", resid)`, `W_V(l)` and `W_O(l)` (one for each query head, heads first),
    and `unembed(resid)`, the end of the model.
    """
    lm = hooked(model)
    if k < 1 or lm.n_layers < 2:
        raise ConfigError(
            f"copying is scored by the k likeliest tokens, in the layers from 1 on: got k = {k} and "
            f"{counted(lm.n_layers, 'layer')}. Take k of at least 1 and a model with two layers or more."
        )
    embedded = embed_names(lm, names)
    scores = torch.zeros(2, lm.n_layers - 1, lm.n_heads, device=embedded.device)
    for layer in range(1, lm.n_layers):
        values = torch.einsum("nm,hmd->hnd", lm.norm(layer, "ln1", embedded[None])[0], lm.W_V(layer))
        outputs = values @ lm.W_O(layer)
        for idx, sign in enumerate((1, -1)):
            top = lm.unembed(sign * outputs).topk(k, dim=-1).indices
            scores[idx, layer - 1] = (top == names[:, None]).any(dim=-1).float().mean(dim=-1)
    return scores
