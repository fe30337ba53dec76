"""A norm's gain and centring moved into the weight that reads its output.

A norm first takes the mean away (LayerNorm), divides by a scale, and multiplies by a gain, entry for
entry. The first and the last are fixed linear maps, so they can be multiplied into the next weight,
once. What stays is the division: one positive number for each position, which scales a whole row and never
changes its direction. Our models keep their norms; the circuits of this package fold them.

Shapes:  a weight "*heads d_model d_out" and a gain "d_model" -> a weight of the same shape.
Raises:  UnknownNameError for a weight that is none of W_Q, W_K, W_V, and for a layer that is not there.
Source:  TransformerLens's `fold_layer_norm` and `center_writing_weights`; Elhage et al. 2021, "A
         mathematical framework for transformer circuits", section "Handling layer normalization".
Differs: both steps are taken where the stream is read; the weights that write to it stay as they are.
         A norm's bias is no part of a weight: it adds the same vector at each position.
"""

from typing import Any

from jaxtyping import Float
from torch import Tensor

from arena_lib.errors import UnknownNameError
from arena_lib.interp.assumptions import Assumption
from arena_lib.interp.hooking import hooked


def fold_norm(
    weight: Float[Tensor, "*heads d_model d_out"], gain: Float[Tensor, " d_model"], is_centred: bool = True
) -> Float[Tensor, "*heads d_model d_out"]:
    """The weight that does to the stream, up to the norm's scale, what norm and `weight` do together.

    A LayerNorm of x is (x - mean(x)) / scale * gain + bias. Row i of the result is row i of `weight`
    times gain[i]; then, if the norm takes the mean away (`is_centred`), the mean over the d_model rows
    is taken from each row: so (x - mean(x)) * gain @ weight = x @ result for every x. RMSNorm takes no
    mean away. `weight` stays as it is.
    """
    scaled = weight * gain[:, None]
    return scaled - scaled.mean(dim=-2, keepdim=True) if is_centred else scaled


def folded_reader(model: Any, layer: int, name: str) -> Float[Tensor, "n_heads d_model d_head"]:
    """`W_Q`, `W_K` or `W_V` of a layer by query head, with the layer's `ln1` folded in."""
    if name not in ("W_Q", "W_K", "W_V"):
        raise UnknownNameError("weight that reads the stream", name, ["W_Q", "W_K", "W_V"])
    lm = hooked(model)
    lm.require(Assumption.VALUES if name == "W_V" else Assumption.SCORES)
    return fold_norm(getattr(lm, name)(layer), *lm.gain(layer))


def folded_unembedding(model: Any) -> Float[Tensor, "d_model d_vocab"]:
    """`W_U` with the final norm folded in."""
    lm = hooked(model)
    return fold_norm(lm.W_U, *lm.gain(None))
