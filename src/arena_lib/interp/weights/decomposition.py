"""Where the attention scores of a second-layer head come from: each query part against each key part.

In an attention-only model the stream that enters layer 1 is a sum: the token embedding, what each head
of layer 0 adds, and that layer's bias. The norm before layer 1 is linear once its scale is known, and
the cache holds the scale; so the norm's output is a sum of as many parts, exactly. Queries and keys are
linear in it, scores are linear in both: score = sum over pairs of parts.

The parts, in this order ("n_heads + 2"): 0 the token embedding; 1 positions, and with them every
constant on the way (layer 0's b_O, the norm's bias, later b_Q or b_K), which no token and no head
brings; 2 + h what head h of layer 0 adds. In this form positions join after the norm, so they are taken
as they are; all else is centred, divided by the cached scale and multiplied by the gain.

Shapes:  "n_heads+2 seq d_model" -> "n_heads+2 seq d_head" -> "q_comp k_comp q_pos k_pos".
Raises:  ShapeError for a cache with a batch axis; ConfigError for a model that is not attention-only or
         has one layer alone.
Source:  Elhage et al. 2021, "A mathematical framework for transformer circuits", section "Two-layer
         attention-only transformers"; the treatment of norm and biases is our own derivation.
Differs: nothing is dropped: the parts add up to the cached scores at every entry that is not masked.
"""

from typing import Any

import einops
import torch
from jaxtyping import Float
from torch import Tensor

from arena_lib.errors import ConfigError, ShapeError
from arena_lib.interp.hooking import hooked
from arena_lib.transformer.activations.cache import ActivationCache


def decompose_qk_input(cache: ActivationCache) -> Float[Tensor, "n_comp seq d_model"]:
    """The input of layer 1's queries and keys as n_heads + 2 parts: token, position, then each head of layer 0.

    `cache` is that of one sequence (`remove_batch_dim=True`), `cache.model` the model. The parts:

        0      the token embedding, `cache["embed"]`
        1      layer 0's `b_O` (`model.b_O[0]`)
        2 + h  the output of head h of layer 0: `cache["result", 0]`, "seq n_heads d_model"

    These pass the norm: `cache.apply_ln_to_stack(parts, 1)` centres each, divides it by the scale that
    the norm had in this run and multiplies by the gain. Two things come after that, and are added to part 1:
    the norm's bias (`model.blocks[1].ln1.b`) and the position embedding, `cache["pos_embed"]`.
    """
    model = attention_only_model(cache.model)
    if cache["embed"].ndim != 2:
        raise ShapeError(
            f"the cache must be of one sequence, without a batch axis: got embed of shape {tuple(cache['embed'].shape)}. "
            "Run the model on one sequence with remove_batch_dim=True."
        )
    b_O = model.blocks[0].attn.b_O.expand_as(cache["embed"])
    heads = einops.rearrange(cache["result", 0], "seq n_heads d_model -> n_heads seq d_model")
    parts = cache.apply_ln_to_stack(torch.cat([torch.stack([cache["embed"], b_O]), heads]), 1)
    constants = model.blocks[1].ln1.b + cache["pos_embed"]
    return torch.cat([parts[:1], parts[1:2] + constants, parts[2:]])


def decompose_q(
    decomposed_qk_input: Float[Tensor, "n_comp seq d_model"], ind_head_index: int, model: Any
) -> Float[Tensor, "n_comp seq d_head"]:
    """The queries of head `ind_head_index` of layer 1 by part: each part times W_Q; b_Q is added to part 1.

    Part 1, of index 1, is that of the position. The head's weights are `model.W_Q[1, ind_head_index]`
    ("d_model d_head") and `model.b_Q[1, ind_head_index]`; the parts have passed the norm, so it isn't folded in.
    The sum over the parts is `cache["q", 1][:, ind_head_index]`.
    """
    attn = attention_only_model(model).blocks[1].attn
    return project_parts(decomposed_qk_input, attn.W_Q[ind_head_index], attn.b_Q[ind_head_index])


def decompose_k(
    decomposed_qk_input: Float[Tensor, "n_comp seq d_model"], ind_head_index: int, model: Any
) -> Float[Tensor, "n_comp seq d_head"]:
    """The keys of head `ind_head_index` of layer 1 by part: each part times W_K; b_K is added to part 1.

    Part 1, of index 1, is that of the position. The head's weights are `model.W_K[1, ind_head_index]`
    ("d_model d_head") and `model.b_K[1, ind_head_index]`; the parts have passed the norm, so it isn't folded in.
    The sum over the parts is `cache["k", 1][:, ind_head_index]`.
    """
    attn = attention_only_model(model).blocks[1].attn
    return project_parts(decomposed_qk_input, attn.W_K[ind_head_index], attn.b_K[ind_head_index])


def decompose_attn_scores(
    decomposed_q: Float[Tensor, "q_comp q_pos d_head"], decomposed_k: Float[Tensor, "k_comp k_pos d_head"], model: Any
) -> Float[Tensor, "q_comp k_comp q_pos k_pos"]:
    """What each pair of a query part and a key part adds to the scores: q . k / sqrt(d_head), unmasked.

    d_head is `model.cfg.d_head`. The sum over both kinds of parts is `cache["attn_scores", 1]` of the head,
    wherever the key is not in the future.
    """
    scores = einops.einsum(
        decomposed_q, decomposed_k, "q_comp q_pos d_head, k_comp k_pos d_head -> q_comp k_comp q_pos k_pos"
    )
    return scores / model.cfg.d_head**0.5


def component_labels(model: Any) -> list[str]:
    """The names of the parts, in order: "token", "position", "0.0", "0.1" ..."""
    return ["token", "position", *(f"0.{head}" for head in range(hooked(model).n_heads))]


def project_parts(
    parts: Float[Tensor, "n_comp seq d_model"], weight: Float[Tensor, "d_model d_head"], bias: Float[Tensor, " d_head"]
) -> Float[Tensor, "n_comp seq d_head"]:
    """Each part times the weight; the bias counts with part 1."""
    projected = parts @ weight
    return torch.cat([projected[:1], projected[1:2] + bias, projected[2:]])


def attention_only_model(model: Any) -> Any:
    """The model, if it is attention-only and has two layers."""
    lm = hooked(model)
    if lm.has_mlp or lm.n_layers < 2 or not hasattr(lm.model, "pos_embed"):
        raise ConfigError(
            f"the model must be attention-only, of at least two layers: got {type(lm.model).__name__} with "
            f"{lm.n_layers}{' and MLPs' if lm.has_mlp else ''}. Load attn-only-2l."
        )
    return lm.model
